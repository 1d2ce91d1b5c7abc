/**
 * Lets Node import a TypeScript config, by tsx. The only file that imports tsx.
 *
 * Two ways, because tsx has two: hooks on the main thread where Node has good synchronous ones, else a hook worker (hooks.ts).
 * The worker is started without tsx's own API, which would evaluate tsx and esbuild twice, in the worker and on the main
 * thread: 30 ms of 130 on Node 20.
 */
import * as nodeModule from 'node:module'
import { pathToFileURL } from 'node:url'
import { entryImporter, forTsx, fromTsx, loadOf, withLoad, withoutMarks, withoutScope } from './marks.ts'
import { nearestTsconfig, type ResolveContext, type Resolved, readModule, settle, standIn } from './modules.ts'
import { withCache } from './tsx-cache.ts'

/** `module.registerHooks` of Node 22.15, not yet in the types of Node 20. */
type RegisterHooks = (hooks: {
  resolve?: (
    specifier: string,
    context: ResolveContext,
    next: (specifier: string, context: ResolveContext) => Resolved,
  ) => Resolved
  load?: (url: string, context: object, next: (url: string, context: object) => object) => object
}) => unknown

/** Imports a marked URL of a config with what TypeScript needs. Registers each hook once per process. */
export async function importWithTsx(url: string): Promise<unknown> {
  return hasSyncTsx() ? importSync(url) : importByWorker(url)
}

/** The versions whose synchronous hooks tsx uses; they have to be known here, since for others `register` of tsx starts a worker. */
function hasSyncTsx(): boolean {
  const [major = 0, minor = 0, patch = 0] = process.versions.node.split('.').map(Number)
  if (major === 22) return minor > 22 || (minor === 22 && patch >= 3)
  if (major === 24) return minor > 11 || (minor === 11 && patch >= 1)
  return major > 25 || (major === 25 && minor >= 1)
}

type ScopedImport = (url: string, importer: string) => Promise<unknown>

// One scope per tsconfig.json, since a scope holds one. Promises, so that two loads at once make one.
const scopes = new Map<string | false, Promise<ScopedImport>>()

async function importSync(url: string): Promise<unknown> {
  const tsconfig = nearestTsconfig(url)
  let scope = scopes.get(tsconfig)
  if (scope === undefined) {
    scope = createScope(tsconfig, scopes.size)
    scopes.set(tsconfig, scope)
  }
  // The entry's load reaches the hooks by its importer: tsx keeps what is after "?" to itself when it asks Node.
  return (await scope)(withoutMarks(url), withLoad(entryImporter, loadOf(url) ?? '0'))
}

let hooked = false

async function createScope(tsconfig: string | false, number: number): Promise<ScopedImport> {
  const { register } = await withCache(() => import('tsx/esm/api'))
  const { registerHooks } = nodeModule as unknown as { registerHooks: RegisterHooks }
  // Hooks run last in, first out: ours once below tsx, to see what it asks Node for, and once above, to see what Node asks it for.
  if (!hooked) registerHooks({ resolve: resolveBelowTsx, load: loadBelowTsx })
  hooked = true
  const { import: scopedImport } = register({ namespace: `ollama-config-${number}`, tsconfig })
  registerHooks({
    resolve: resolveAboveTsx,
    load: (url, context, next) => next(loadOf(url) === undefined ? url : forTsx(url), context),
  })
  return scopedImport
}

/**
 * Takes what is not the config's own out of the scope of tsx: packages run as they are, and those the process
 * has loaded already, such as this one, are not read and run a second time.
 */
function resolveAboveTsx(
  specifier: string,
  context: ResolveContext,
  next: (specifier: string, context: ResolveContext) => Resolved,
): Resolved {
  const found = next(specifier, context)
  const isPackage = loadOf(context.parentURL) !== undefined && loadOf(found.url) === undefined
  return isPackage ? { ...found, url: withoutScope(found.url) } : found
}

function resolveBelowTsx(
  specifier: string,
  context: ResolveContext,
  next: (specifier: string, context: ResolveContext) => Resolved,
): Resolved {
  const { parentURL = '' } = context
  const load = loadOf(parentURL)
  if (load === undefined) return next(specifier, context)
  let found: Resolved
  try {
    // Where the process runs with tsx for itself (`node --import tsx`), that one must not take these modules for its own.
    // The load's mark stays: Node hands this context to the next call of the same resolution too.
    found = next(specifier, { ...context, parentURL: withoutScope(parentURL) })
  } catch (error) {
    return standIn(specifier, error)
  }
  return settle(specifier, load, found)
}

function loadBelowTsx(url: string, context: object, next: (url: string, context: object) => object): object {
  const asked = fromTsx(url)
  return readModule(asked, context) ?? next(asked, context)
}

// --- By a worker ---------------------------------------------------------------------------------------------------

let registered = false

async function importByWorker(url: string): Promise<unknown> {
  if (!registered) {
    registered = true
    process.setSourceMapsEnabled(true) // As tsx does on the main thread: without, positions would be those of the generated code.
    // Starting it earlier, beside the search for the config, gains nothing: Node waits for the thread, and then each import asks it.
    // By its place below src/ or dist/: a bundler may have put this module beside others, but hooks.ts stays a file of its own.
    const hooks = new URL(`../config/hooks${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)
    nodeModule.register(hooks, { data: { tsx: nodeModule.createRequire(import.meta.url).resolve('tsx/esm') } })
  }
  return import(url)
}

/** Says what esbuild makes of JavaScript, in the words it has for TypeScript; undefined when it finds nothing wrong. */
export async function checkSyntax(source: string, path: string): Promise<string | undefined> {
  // esbuild comes with tsx, and need not be found from here.
  const find = nodeModule.createRequire(nodeModule.createRequire(import.meta.url).resolve('tsx'))
  const { transform }: { transform(source: string, options: object): Promise<unknown> } = await import(
    pathToFileURL(find.resolve('esbuild')).href
  )
  return transform(source, { loader: 'js', sourcefile: path, logLevel: 'silent' }).then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error.message : undefined),
  )
}
