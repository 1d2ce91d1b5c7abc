/** Imports a config on Deno and Bun, which run TypeScript themselves. Only the name of this package may need help. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { loadOf, withLoad, withoutMarks } from './marks.ts'
import { isLocal, type Resolved } from './modules.ts'
import { isInSelf, isRemote, isSelf, packageName, selfEntry } from './self.ts'

/** `module.registerHooks` of Node 22.15 and Deno, not yet in the types of Node 20. */
type RegisterHooks = (hooks: {
  resolve: (
    specifier: string,
    context: { parentURL?: string },
    next: (specifier: string, context: object) => Resolved,
  ) => Resolved
  load: (url: string, context: object, next: (url: string, context: object) => object) => object
}) => { deregister(): void }
interface BunBuild {
  module(specifier: string, load: () => { exports: object; loader: 'object' }): void
}
/** The part of `Bun.plugin` used here. */
interface Bun {
  plugin(plugin: { name: string; setup(build: BunBuild): void }): void
}

/**
 * @param path the config, with no symbolic link in it
 * @param url the same as URL
 * @param load number of this load in the process: as part of the URL it makes the runtime read the file again
 */
export async function importNatively(path: string, url: string, load: string): Promise<unknown> {
  const bun = (globalThis as { Bun?: Bun }).Bun
  const own = !isRemote && isInstalledFor(path) ? [] : ownImports(readFileSync(path, 'utf8'))
  if (bun !== undefined) {
    await aliasOnBun(bun, own)
    return import(load === '1' ? path : `${path}?ollama-config=${load}`)
  }
  const bridges = isRemote ? await bridgesTo(own) : undefined
  const hooks = own.length > 0 ? aliasOnDeno(bridges) : undefined
  try {
    return await import(withLoad(url, load))
  } catch (error) {
    hooks?.deregister()
    // With hooks Deno does not say what is wrong with an imported file, as long as one does not ask again.
    const broken = /^Loading unprepared module: (file:.+), imported from: /.exec(
      error instanceof Error ? error.message : '',
    )?.[1]
    if (broken !== undefined && existsSync(new URL(broken))) await import(broken)
    throw error
  } finally {
    // With hooks in place Deno 2.9 resolves no bare specifier by itself, so they stay no longer than needed.
    hooks?.deregister()
  }
}

/** What of this package a config may import: what its text names, and the main entry when a local file could name it. */
function ownImports(text: string): string[] {
  const named = text.match(new RegExp(`(?<=['"])${packageName}(?:/[^'"\\s]+)?(?=['"])`, 'g')) ?? []
  return named.length > 0 || /['"]\.\.?\//.test(text) ? [...new Set([packageName, ...named])] : []
}

const aliasedOnBun = new Set<string>()

/** Bun 1.4 lets a plugin stand in for a bare specifier only by its full name. */
async function aliasOnBun(bun: Bun, specifiers: readonly string[]): Promise<void> {
  for (const specifier of specifiers) {
    const own = selfEntry(specifier)
    if (own === undefined || aliasedOnBun.has(specifier)) continue
    aliasedOnBun.add(specifier)
    const exports: object = await import(own)
    bun.plugin({ name: specifier, setup: (build) => build.module(specifier, () => ({ exports, loader: 'object' })) })
  }
}

const bridgeUrl = 'ollama-config:bridge/'
const bridged = Symbol.for('ollama-config.bridged')

/**
 * By specifier, the text of a module that exports what the running copy does. With hooks Deno 2.9 loads no module from elsewhere by a static import,
 * so those are imported here, and handed on.
 */
async function bridgesTo(specifiers: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const bridges = new Map<string, string>()
  const modules: Record<string, object> = {}
  for (const specifier of specifiers) {
    const own = selfEntry(specifier)
    // What is not there is told of when the config is imported.
    const exports: object | undefined = own === undefined ? undefined : await import(own).catch(() => undefined)
    if (exports === undefined) continue
    modules[specifier] = exports
    const names = Object.keys(exports).filter((name) => name !== 'default')
    const code = `const it = globalThis[Symbol.for('ollama-config.bridged')][${JSON.stringify(specifier)}]
export const { ${names.join(', ')} } = it
export default it.default`
    bridges.set(specifier, code)
  }
  Object.assign(globalThis, { [bridged]: modules })
  return bridges
}

function aliasOnDeno(bridges: ReadonlyMap<string, string> | undefined): { deregister(): void } {
  // Not imported: on Deno that is 15 ms, and a config beside its own copy of this package needs none of it.
  const nodeModule = process.getBuiltinModule('node:module')
  const { registerHooks } = nodeModule as unknown as { registerHooks: RegisterHooks }
  let resolving = false
  return registerHooks({
    resolve(specifier, context, next) {
      const { parentURL } = context
      if (resolving || parentURL === undefined) return next(specifier, context)
      const load = loadOf(parentURL)
      if (load !== undefined && isSelf(specifier)) {
        const isThere = bridges === undefined || bridges.has(specifier)
        const own = bridges === undefined ? selfEntry(specifier) : bridgeUrl + specifier
        if (own === undefined || !isThere)
          throw new Error(`Cannot find module '${specifier}' imported from ${withoutMarks(parentURL)}`)
        return { url: own, format: 'module', shortCircuit: true }
      }
      if (isBare(specifier) && !nodeModule.isBuiltin(specifier) && parentURL.startsWith('file:')) {
        // What `next` makes of a bare specifier is a file beside the importer. `require` looks in node_modules, and asks this hook in turn.
        resolving = true
        try {
          return { url: pathToFileURL(nodeModule.createRequire(parentURL).resolve(specifier)).href, shortCircuit: true }
        } catch {
          return next(specifier, context) // Deno then says what is missing.
        } finally {
          resolving = false
        }
      }
      const found = next(specifier, context)
      return load !== undefined && isLocal(found.url) ? { ...found, url: withLoad(found.url, load) } : found
    },
    // Deno 2.9 asks the resolve hook only when there is a load hook too.
    load(url, context, next) {
      const source = url.startsWith(bridgeUrl) ? bridges?.get(url.slice(bridgeUrl.length)) : undefined
      return source === undefined ? next(url, context) : { format: 'module', source, shortCircuit: true }
    },
  })
}

function isBare(specifier: string): boolean {
  return !/^(?:\.{0,2}\/|[a-z][a-z\d+.-]*:|#)/i.test(specifier)
}

/**
 * True when an import of this package in `file` finds a copy without our help: in node_modules, or by what Deno reads.
 * `require.resolve` would not tell: under `deno run npm:ollama-config` it finds the running copy, which `import` does not.
 */
function isInstalledFor(file: string): boolean {
  if (isInSelf(pathToFileURL(file).href)) return false // A checkout's own config gets the copy that runs.
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'node_modules', packageName))) return true
    if (
      'Deno' in globalThis &&
      ['deno.json', 'deno.jsonc', 'package.json'].some((name) => mapsPackage(join(folder, name)))
    )
      return true
    if (folder === dirname(folder)) return false
  }
}

/** Looks for the name as a key, such as in "imports" or "dependencies"; good enough for a file that may hold comments. */
function mapsPackage(file: string): boolean {
  return existsSync(file) && new RegExp(`"${packageName}"\\s*:`).test(readFileSync(file, 'utf8'))
}
