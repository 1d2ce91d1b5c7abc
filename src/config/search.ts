/** Finds the config file. The only file that imports cosmiconfig. */
import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { OllamaConfigError } from '../errors.ts'

const extensions = ['ts', 'mts', 'js', 'mjs', 'json']
const places = ['', '.config/'].flatMap((folder) =>
  extensions.map((extension) => `${folder}ollama.config.${extension}`),
)

/**
 * Finds the config: `configFile` when given, else `ollama.config.ts` (or .mts, .js, .mjs, .json; also in `.config/`) in `cwd`
 * and the folders above, up to the one that holds `.git`. Outside a git repository only in `cwd`. Runs nothing.
 *
 * @param options.cwd an absolute path
 * @param options.configFile relative to `cwd`, or absolute
 * @returns an absolute path
 * @throws {OllamaConfigError} `config-not-found`; `details.searched` holds the folders, nearest first
 */
export async function findConfig(options: {
  cwd: string
  configFile?: string | undefined
  signal?: AbortSignal | undefined
}): Promise<string> {
  const { cwd, configFile, signal } = options
  signal?.throwIfAborted()
  if (configFile !== undefined) return requireFile(resolve(cwd, configFile))
  const folders = searchedFolders(resolve(cwd))
  const explorer = await createExplorer()
  for (const folder of folders) {
    signal?.throwIfAborted()
    const found = await explorer.search(folder)
    if (found !== null) return found.filepath
  }
  throw new OllamaConfigError(
    'config-not-found',
    `No ollama.config.{ts,mts,js,mjs,json} found in ${describe(folders)}`,
    {
      hint: `create ollama.config.ts, such as with export default { models: ['all-minilm'] }, or name another file with --config FILE`,
      details: { searched: folders },
    },
  )
}

/** The folders to look in, nearest first. */
function searchedFolders(cwd: string): [string, ...string[]] {
  const folders: [string, ...string[]] = [cwd]
  for (let folder = cwd; ; ) {
    // A file in a worktree or submodule, else a folder.
    if (existsSync(join(folder, '.git'))) return folders
    const parent = dirname(folder)
    if (parent === folder) return [cwd]
    folders.push(parent)
    folder = parent
  }
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
    searchPlaces: places,
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
  const stats = await stat(file).catch(() => undefined)
  if (stats?.isFile() === true) return file
  const problem = stats === undefined ? `There is no file "${file}"` : `"${file}" is not a file`
  throw new OllamaConfigError('config-not-found', problem, {
    hint: 'check the path given with --config',
    details: { searched: [file] },
  })
}

function describe(folders: readonly [string, ...string[]]): string {
  const last = folders.at(-1)
  const [first] = folders
  return folders.length === 1 ? `"${first}"` : `"${first}" or the folders above it up to "${last}"`
}
