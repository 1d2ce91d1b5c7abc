/** Programs are found on PATH as a shell finds them, and run no longer than they are given. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { findProgram } from '../../src/runtime/find-program.ts'
import { outputOf } from '../../src/runtime/run-program.ts'
import { posixOnly, standInPrograms } from '../support/programs.ts'
import { tempFolder } from '../support/run-cli.ts'

test('the first on PATH that can be run is taken, and never one of the working directory', posixOnly, (t) => {
  const folder = tempFolder(t)
  const programs = standInPrograms(folder)
  programs.add('tool')
  const other = path.join(folder, 'other')
  mkdirSync(path.join(other, 'folder'), { recursive: true })
  writeFileSync(path.join(other, 'tool'), '', { mode: 0o644 })
  const find = (name: string, PATH: string) => findProgram(name, { PATH }, 'linux')
  assert.equal(find('tool', `${other}:${programs.path}`), path.join(programs.path, 'tool'))
  assert.equal(find('folder', other), undefined)
  assert.equal(find('tool', `:.:${path.relative(process.cwd(), programs.path)}`), undefined)
  assert.equal(findProgram('tool', {}, 'linux'), undefined)
})

test('on Windows PATHEXT says what can be run, and names of variables have no case', posixOnly, (t) => {
  const folder = tempFolder(t, { 'winget.EXE': '', 'winget.txt': '', 'brew.cmd': '' })
  const env = { Path: `"${folder}";/nowhere`, PathExt: '.COM;.EXE;.cmd' }
  assert.equal(findProgram('winget', env, 'win32'), path.join(folder, 'winget.EXE'))
  assert.equal(findProgram('brew', env, 'win32'), path.join(folder, 'brew.cmd'))
  assert.equal(findProgram('winget', { Path: folder, PATHEXT: '.BAT' }, 'win32'), undefined)
  assert.equal(findProgram('winget', env, 'linux'), undefined)
})

test('what a program prints is given only when it succeeds in time', posixOnly, async (t) => {
  const programs = standInPrograms(tempFolder(t))
  programs.add('good', 'echo "it is $NAME"')
  programs.add('bad', 'echo no; exit 3')
  // What it starts has its stdout, and outlives it.
  programs.add('slow', 'echo begun; sleep 600')
  programs.add('endless', 'yes')
  const run = (name: string, timeoutMs: number, signal?: AbortSignal) =>
    outputOf(path.join(programs.path, name), [], { env: { NAME: 'this' }, timeoutMs, signal })
  assert.equal(await run('good', 60_000), 'it is this\n')
  assert.equal(await run('bad', 60_000), undefined)
  assert.equal(await run('missing', 60_000), undefined)
  assert.equal(await run('slow', 50), undefined)
  assert.equal(await run('endless', 60_000), undefined)
  await assert.rejects(run('slow', 60_000, AbortSignal.timeout(50)), { name: 'TimeoutError' })
  await assert.rejects(run('good', 60_000, AbortSignal.abort(new Error('stop'))), { message: 'stop' })
})
