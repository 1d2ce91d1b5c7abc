/** Programs as one file of JavaScript, made of the sources as they are now: such a process starts in a fraction of the time that tsx takes. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'
import { runtimeArguments } from './run-cli.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
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
  if (process.versions['deno'] !== undefined || process.versions['bun'] !== undefined)
    return [...runtimeArguments(), file]
  return [
    once(file, (folder) => {
      const outfile = path.join(folder, 'program.mjs')
      buildSync({ entryPoints: [file], outfile, bundle: true, packages: 'external', platform: 'node', format: 'esm' })
      return outfile
    }),
  ]
}

/** The file of the command, in a package as it is built. */
export function builtMain(): string {
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
  return path.join(folder, 'dist/cli/main.js')
}
