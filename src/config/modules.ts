/** Which file an import in a config means, and how it is read: the rules behind the module hooks, on every thread and runtime. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadOf, withLoad } from './marks.ts'
import { projectFolders } from './search.ts'
import { isInSelf, isSelf, selfEntry } from './self.ts'

/** The part of what Node hands to a resolve hook, and gets from it, that matters here. */
export interface ResolveContext {
  readonly parentURL?: string | undefined
}
export interface Resolved {
  readonly url: string
  readonly format?: string | null | undefined
  readonly shortCircuit?: boolean
}

/** The result for an import in a config, made from what Node found. */
export function settle(specifier: string, load: string, found: Resolved): Resolved {
  if (isSelf(specifier)) {
    // From source, package.json leads from the checkout's own config to dist/, which is another copy, or none.
    const own = isInSelf(found.url) ? selfEntry(specifier) : undefined
    return own === undefined ? found : { ...found, url: own, format: 'module' }
  }
  if (!isLocal(found.url)) return found
  const format = forcedFormat(found.url)
  return { ...found, url: withLoad(found.url, load), ...(format === undefined ? {} : { format }) }
}

/** The running package, when `specifier` asks for it and it is not installed beside the config; else throws `error`. */
export function standIn(specifier: string, error: unknown): Resolved {
  const own = isSelf(specifier) && isNotFound(error) ? selfEntry(specifier) : undefined
  if (own === undefined) throw error
  return { url: own, format: 'module', shortCircuit: true }
}

function isNotFound(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    (error.code === 'ERR_MODULE_NOT_FOUND' || error.code === 'MODULE_NOT_FOUND')
  )
}

/**
 * The tsconfig.json nearest to a config, in the folders that the config itself is looked for in: its `paths` say which file an
 * import means. By itself tsx takes that of the working directory, or of any folder above.
 */
export function nearestTsconfig(url: string): string | false {
  const files = projectFolders(dirname(fileURLToPath(url))).map((folder) => join(folder, 'tsconfig.json'))
  return files.find((file) => existsSync(file)) ?? false
}

/** True for a file that the user wrote, as opposed to an installed package. */
export function isLocal(url: string): boolean {
  return url.startsWith('file:') && !url.includes('/node_modules/')
}

/**
 * `'module'` when a local file is to be read as a module whatever "type" in package.json says: in a package that is not
 * `"type": "module"` tsx would make CommonJS of it, which has no top-level await.
 */
function forcedFormat(url: string): 'module' | undefined {
  if (!isLocal(url)) return undefined
  const extension = /\.([a-z]+)(?:[?#]|$)/.exec(url)?.[1]
  if (extension === 'ts' || extension === 'tsx') return 'module'
  return (extension === 'js' || extension === 'jsx') && isModuleText(url) ? 'module' : undefined
}

/** Node's own detection asks a parser; for the few files of a config the first words of its lines tell as well. */
function isModuleText(url: string): boolean {
  try {
    const text = readFileSync(fileURLToPath(url), 'utf8')
    return (
      /^\s*(?:import\b(?!\s*\()|export\s+(?:default|const|let|var|function|async|class|\*|\{))/m.test(text) &&
      !/\bmodule\.exports\b/.test(text)
    )
  } catch {
    return false // Whoever reads it next says why it cannot be read.
  }
}

/**
 * What a load hook returns for a module of a config, read from its file; undefined when Node has to read it, such as CommonJS.
 * Not left to Node, since where the process runs with tsx for itself, that one would compile the module too.
 */
export function readModule(
  url: string,
  context: object,
): { format: string; source: string; shortCircuit: true } | undefined {
  if (loadOf(url) === undefined || !('format' in context) || context.format !== 'module') return undefined
  return { format: 'module', source: readFileSync(fileURLToPath(url), 'utf8'), shortCircuit: true }
}
