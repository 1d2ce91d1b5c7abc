/** Programs as one file of JavaScript, made of the sources as they are now: such a process starts in a fraction of the time that tsx takes. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'

const root = fileURLToPath(new URL('../..', import.meta.url))
const mainFile = path.join(root, 'src/cli/main.ts')
export const isNode: boolean = process.versions['deno'] === undefined && process.versions['bun'] === undefined
const made = new Map<string, string>()

/** Made once for a process of the tests, and removed when that ends. */
function once(name: string, make: (folder: string) => string): string {
  const known = made.get(name)
  if (known !== undefined) return known
  const folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'ollama-config-built-')))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const file = make(folder)
  made.set(name, file)
  return file
}

/** What a runtime is started with for a program of the tests, such as `store/store-worker.ts`. */
export function programWords(file: string): readonly string[] {
  if (!isNode) return [...runtimeArguments(), file]
  return [once(file, (folder) => bundle(file, path.join(folder, 'program.mjs')))]
}

/** As {@link programWords}, of a program that has all of the command in it: it lies where that lies. */
export function variantWords(file: string): readonly string[] {
  return [once(file, () => bundle(file, path.join(path.dirname(builtMain()), 'variant.js')))]
}

function bundle(file: string, outfile: string): string {
  buildSync({ entryPoints: [file], outfile, bundle: true, packages: 'external', platform: 'node', format: 'esm' })
  return outfile
}

/** What a runtime is started with for the command: as it is built, and where it is counted what the tests reach, of the sources. */
export function commandWords(denoPermissions?: readonly string[]): readonly string[] {
  const isCounted = process.env['NODE_V8_COVERAGE'] !== undefined
  return isNode && !isCounted ? [builtMain()] : [...runtimeArguments(denoPermissions), mainFile]
}

/** What `process.execPath` needs before a TypeScript file. */
export function runtimeArguments(denoPermissions: readonly string[] = ['--allow-all']): readonly string[] {
  if ('Deno' in globalThis) return ['run', ...denoPermissions, '--no-prompt', '--no-check']
  return 'Bun' in globalThis ? [] : ['--import', import.meta.resolve('tsx')]
}

/** The file of the command, in {@link builtPackage}. */
export function builtMain(): string {
  return path.join(builtPackage(), 'dist/cli/main.js')
}

/** A folder with the package as it is built, but for the types. */
export function builtPackage(): string {
  return once('package', buildPackage)
}

function buildPackage(folder: string): string {
  const { status, stderr } = spawnSync(process.execPath, ['build.mjs', path.join(folder, 'dist')], {
    cwd: root,
    encoding: 'utf8',
  })
  assert.equal(status, 0, stderr)
  cpSync(path.join(root, 'package.json'), path.join(folder, 'package.json'))
  for (const name of ['node_modules', 'docs']) symlinkSync(path.join(root, name), path.join(folder, name), 'junction')
  return folder
}
