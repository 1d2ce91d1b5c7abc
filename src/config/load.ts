/** Runs the user's config file and returns what it exports, on Node, Deno and Bun. */
import { readFile, realpath } from 'node:fs/promises'
import { extname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { OllamaConfigError } from '../errors.ts'
import { parseJson } from '../json.ts'
import { abortable } from '../runtime/abortable.ts'
import { jsonError, loadError } from './load-error.ts'
import { withLoad } from './marks.ts'

const moduleExtensions = ['.ts', '.mts', '.js', '.mjs', '.cjs']

let loads = 0

export interface LoadFileOptions {
  readonly signal?: AbortSignal | undefined
  /** What to do where there is no default export. Default: what a config needs. */
  readonly exportHint?: string | undefined
}

/**
 * Loads a config file: runs a module, parses JSON. Each call reads the file, and the local modules it imports, again.
 *
 * @param file an absolute path
 * @returns the default export as it is, such as an object or a function
 * @throws {OllamaConfigError} `config-not-found` when there is no such file; `config-load-failed` when it has a syntax
 * error, throws, imports what is missing or has no default export. `details` then holds `file`, and where the place is
 * known `line`, `column` (both from 1) and `frame`, the lines around
 */
export async function loadConfigFile(file: string, options: LoadFileOptions = {}): Promise<unknown> {
  const { signal, exportHint = 'write export default before the config, as in export default defineConfig({ … })' } =
    options
  signal?.throwIfAborted()
  // tsx and bundled loaders differ in what they make of a symbolic link; its target is what relative imports start from.
  const path = await realpath(file).catch((cause: unknown) => {
    throw new OllamaConfigError('config-not-found', `Cannot read the config file "${file}"`, {
      hint: 'check the path given with --config',
      details: { file },
      cause,
    })
  })
  const extension = extname(path)
  if (extension === '.json') return loadJson(path, signal)
  if (!moduleExtensions.includes(extension)) {
    throw new OllamaConfigError(
      'config-load-failed',
      `Cannot load "${path}": a config is a .ts, .mts, .js, .mjs or .json file`,
      {
        hint: 'rename it, such as to ollama.config.ts',
        details: { file: path },
      },
    )
  }
  signal?.throwIfAborted()
  loads++
  let exports: unknown
  try {
    exports = await abortable(edge.importConfig(path, String(loads)), signal)
  } catch (error) {
    signal?.throwIfAborted()
    throw await loadError(path, error)
  }
  signal?.throwIfAborted()
  return defaultExport(exports, path, exportHint)
}

async function loadJson(path: string, signal: AbortSignal | undefined): Promise<unknown> {
  const read = await readFile(path, { encoding: 'utf8', signal }).catch((cause: unknown) => {
    signal?.throwIfAborted()
    const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : ''
    throw new OllamaConfigError('config-load-failed', `Cannot read the config file "${path}"${code}`, {
      hint: 'check that it is a file which this user may read',
      details: { file: path },
      cause,
    })
  })
  const text = read.replace(/^\uFEFF/, '')
  const result = parseJson(text)
  if ('value' in result) return result.value
  throw await jsonError(path, text, result)
}

/** A method, whose name the build leaves alone, unlike that of a function: in a stack trace `loadError` takes it for the end of the config. */
const edge = {
  async importConfig(path: string, load: string): Promise<unknown> {
    const url = pathToFileURL(path).href
    if ('Deno' in globalThis || 'Bun' in globalThis) {
      const { importNatively } = await import('./native.ts')
      return importNatively(path, url, load)
    }
    const { importWithTsx } = await import('./tsx.ts')
    return importWithTsx(withLoad(url, load))
  },
}

function defaultExport(exports: unknown, path: string, hint: string): unknown {
  const value = isRecord(exports) ? exports['default'] : undefined
  // A module compiled to CommonJS: what its source calls the default export is one level below.
  const inner = isRecord(value) && value['__esModule'] === true ? value['default'] : value
  if (inner !== undefined) return inner
  throw new OllamaConfigError('config-load-failed', `"${path}" has no default export`, {
    hint,
    details: { file: path },
  })
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
