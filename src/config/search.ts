/** Finds the config file. The only file that imports cosmiconfig. */
import { existsSync, type Stats } from 'node:fs'
import { lstat, open, readdir, stat } from 'node:fs/promises'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { quotedPath } from '../artifact/text.ts'
import { type Diagnostic, OllamaConfigError } from '../errors.ts'

const extensions = ['ts', 'mts', 'js', 'mjs', 'json']
/** Where a config lies, seen from a folder; the first that is there counts. */
export const configPlaces: readonly string[] = ['', '.config/'].flatMap((folder) =>
  extensions.map((extension) => `${folder}ollama.config.${extension}`),
)

/** A config is written by hand; what is larger is something else. */
const maxSize = 10_000_000

/**
 * Finds the config: `configFile` when given, else `ollama.config.ts` (or .mts, .js, .mjs, .json; also in `.config/`) in `cwd`
 * and the folders above, up to the one that holds `.git`. Outside a git repository only in `cwd`. Runs nothing.
 *
 * @param options.cwd an absolute path
 * @param options.configFile relative to `cwd`, or absolute
 * @returns an absolute path
 * @throws {OllamaConfigError} `config-not-found`; `details.searched` holds the folders, nearest first. Also when the nearest
 * config is there but cannot be one, such as a folder or a broken link: `details.file` names it
 */
export async function findConfig(options: {
  cwd: string
  configFile?: string | undefined
  signal?: AbortSignal | undefined
}): Promise<string> {
  const { cwd, configFile, signal } = options
  signal?.throwIfAborted()
  if (configFile !== undefined) return requireFile(resolve(cwd, configFile))
  const folders = projectFolders(resolve(cwd))
  const explorer = await createExplorer()
  for (const folder of folders) {
    signal?.throwIfAborted()
    await refuseUnusable(folder)
    const found = await explorer.search(folder)
    if (found !== null) return found.filepath
  }
  const similar = await findSimilar(folders)
  throw new OllamaConfigError(
    'config-not-found',
    `No ollama.config.{ts,mts,js,mjs,json} found in ${describe(folders)}`,
    {
      hint:
        similar === undefined
          ? 'write one with "ollama-config init", or name another file with --config FILE'
          : extensions.includes(extname(similar).slice(1))
            ? `rename ${quotedPath(similar)} to "ollama.config${extname(similar)}"`
            : `write ${quotedPath(similar)} as TypeScript, JavaScript or JSON, such as "ollama.config.ts"`,
      details: { searched: folders },
    },
  )
}

/** A file that somebody may have meant as a config. */
async function findSimilar(folders: readonly string[]): Promise<string | undefined> {
  for (const folder of folders) {
    for (const inner of [folder, join(folder, '.config')]) {
      const entries = await readdir(inner, { withFileTypes: true }).catch(() => [])
      const names = entries.filter((entry) => entry.isFile() && similarName.test(entry.name)).map(({ name }) => name)
      const [first] = names.sort()
      if (first !== undefined) return join(inner, first)
    }
  }
  return undefined
}

/** Such as `ollama.config.yaml`, `.ollama-config.ts`, `Ollama.config.ts.txt`. */
const similarName = /^\.?o?llama[-_. ]?config(?:\.(?:[cm]?[jt]s|json[5c]?|ya?ml|toml|txt))*$/i

/** One warning for what lies beside a config that was found, and is not read for that. What a compiler made of the config is none. */
export function otherConfigs(file: string): readonly Diagnostic[] {
  const near = dirname(file)
  const folder = basename(near) === '.config' ? dirname(near) : near
  const compiled = file.replace(/ts$/, 'js')
  const others = configPlaces
    .map((place) => join(folder, place))
    .filter((other) => other !== file && other !== compiled && existsSync(other))
  const [other] = others
  if (other === undefined) return []
  return [
    {
      severity: 'warning',
      code: 'config-ignored',
      message: `${quotedPath(other)} is not read: ${quotedPath(basename(file))} comes before it`,
      hint: 'keep one of the two, or name one with --config FILE',
    },
  ]
}

/**
 * The folders whose files may speak for what is in `folder`, nearest first: up to the one that holds `.git`. Without one only
 * `folder`: what lies above, such as in `/tmp`, may be anyone's.
 */
export function projectFolders(folder: string): [string, ...string[]] {
  const folders: [string, ...string[]] = [folder]
  for (let current = folder; ; ) {
    // A file in a worktree or submodule, else a folder.
    if (existsSync(join(current, '.git'))) return folders
    const parent = dirname(current)
    if (parent === current) return [folder]
    folders.push(parent)
    current = parent
  }
}

/** The file that a search would find, as far as its place tells: nothing of it is read, and nothing is loaded for that. */
export function nearestConfig(cwd: string): string | undefined {
  return projectFolders(cwd)
    .flatMap((folder) => configPlaces.map((place) => join(folder, place)))
    .find((candidate) => existsSync(candidate))
}

interface Explorer {
  search(folder: string): Promise<{ filepath: string } | null>
}
interface Internals {
  readonly Explorer: new (options: object) => Explorer
}

async function createExplorer(): Promise<Explorer> {
  // `cosmiconfig()` itself first runs `./.config/config.js` of the working directory, if there is one, for settings of its own, and
  // has no option against that. Its explorer class, which does the search, never does. The path is cosmiconfig 9's.
  const internals: unknown = await import('cosmiconfig/dist/Explorer.js')
  const { Explorer } = internals as Internals // Its types leave out what is marked as internal.
  // Loading is not its business: what counts is that the file is there.
  const loader = (filepath: string): string => filepath
  return new Explorer({
    moduleName: 'ollama',
    searchPlaces: [...configPlaces],
    searchStrategy: 'none', // One folder at a time: its own ways up stop elsewhere, or go on to the home directory.
    loaders: Object.fromEntries(extensions.map((extension) => [`.${extension}`, loader])),
    ignoreEmptySearchPlaces: false, // An empty config is a mistake to tell of, not a reason to take another one.
    cache: false,
    transform: (result: unknown) => result,
    metaConfigFilePath: null,
    mergeImportArrays: true,
    mergeSearchPlaces: false,
  })
}

async function requireFile(file: string): Promise<string> {
  const found = await look(file)
  if (found === 'usable') return file
  throw new OllamaConfigError('config-not-found', found === 'absent' ? `There is no file "${file}"` : found.problem, {
    hint: 'check the path given with --config',
    details: { searched: [file] },
  })
}

/** cosmiconfig passes over what it cannot read, and reads a pipe or a device for as long as that goes on. */
async function refuseUnusable(folder: string): Promise<void> {
  for (const place of configPlaces) {
    const file = join(folder, place)
    const found = await look(file)
    if (found === 'usable') return // What comes later in the order is not read.
    if (found === 'absent') continue
    throw new OllamaConfigError('config-not-found', found.problem, {
      hint: `${found.isRefused ? 'check its owner and mode' : 'remove it'}, or name another file with --config FILE`,
      details: { searched: [folder], file },
    })
  }
}

interface Unusable {
  readonly problem: string
  /** It may be fine, but this user may not read it. */
  readonly isRefused?: boolean
}

/** Says whether a file can be a config, without reading it. */
async function look(file: string): Promise<'usable' | 'absent' | Unusable> {
  let step = 'cannot be looked at'
  try {
    const entry = await lstat(file)
    const isLink = entry.isSymbolicLink()
    if (isLink) step = 'is a link that leads nowhere'
    const stats = isLink ? await stat(file) : entry
    if (!stats.isFile()) return { problem: `"${file}" is not a file but ${kindOf(stats)}` }
    if (stats.size > maxSize) return { problem: `"${file}" is larger than ${maxSize / 1e6} MB, too large for a config` }
    step = 'cannot be read'
    await (await open(file)).close() // More certain than asking for the rights.
    return 'usable'
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    // ENOTDIR: `.config` is a file, which is fine.
    if (step === 'cannot be looked at' && /^(?:ENOENT|ENOTDIR|ENAMETOOLONG)$/.test(code)) return 'absent'
    return { problem: `"${file}" ${step} (${code})`, isRefused: /^(?:EACCES|EPERM)$/.test(code) }
  }
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return 'a folder'
  if (stats.isFIFO()) return 'a named pipe'
  return stats.isSocket() ? 'a socket' : 'a device'
}

function describe(folders: readonly [string, ...string[]]): string {
  const last = folders.at(-1)
  const [first] = folders
  return folders.length === 1 ? `"${first}"` : `"${first}" or the folders above it up to "${last}"`
}
