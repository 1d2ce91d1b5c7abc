/** The package as it is built, in a folder of its own: a process of it starts in a fraction of the time that the sources take with tsx. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
let main: string | undefined

/** The file of the command, of the sources as they are now. Made once for a process, and removed when it ends. */
export function builtMain(): string {
  if (main !== undefined) return main
  const folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'ollama-config-built-')))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const { status, stderr } = spawnSync(process.execPath, ['build.mjs', path.join(folder, 'dist')], {
    cwd: root,
    encoding: 'utf8',
  })
  assert.equal(status, 0, stderr)
  cpSync(path.join(root, 'package.json'), path.join(folder, 'package.json'))
  for (const name of ['node_modules', 'docs'])
    symlinkSync(path.join(root, name), path.join(folder, name), 'junction')
  main = path.join(folder, 'dist/cli/main.js')
  return main
}
