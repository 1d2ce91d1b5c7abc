import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { batchArguments, isBatchFile } from '../../src/runtime/batch-file.ts'
import { programNames } from '../../src/runtime/find-program.ts'
import { runCommand } from '../../src/runtime/run-command.ts'
import { tempFolder } from '../support/run-cli.ts'

const posix = { skip: process.platform === 'win32' ? 'modes of POSIX' : false }

test('what cannot be run says why, and what to do', posix, async (t) => {
  const cwd = tempFolder(t)
  writeFileSync(path.join(cwd, 'plain'), 'echo\n')
  writeFileSync(path.join(cwd, 'lost'), '#!/no/such/shell\n')
  chmodSync(path.join(cwd, 'lost'), 0o755)
  mkdirSync(path.join(cwd, 'folder'))
  const cases: readonly [name: string, code: string, message: RegExp, hint: RegExp][] = [
    ['no-such-tool', 'command-not-found', /^There is no program "no-such-tool" on PATH$/, /npx no-such-tool/],
    ['npm run dev', 'command-not-found', /"npm run dev"/, /give its words one by one/],
    ['./no/such', 'command-not-found', /^There is no program "\.\/no\/such"$/, /check the path: .*"\/.*\/no\/such"$/],
    ['', 'command-not-found', /""/, /check the name/],
    ['./plain', 'command-not-run', /^"\.\/plain" cannot be run: it is not executable$/, /chmod \+x/],
    ['./folder', 'command-not-run', /^"\.\/folder" cannot be run: it is not executable$/, /chmod \+x/],
    ['./lost', 'command-not-run', /^"\.\/lost" cannot be run: the interpreter .* is not there$/, /first line/],
  ]
  const options = { cwd, env: { PATH: process.env['PATH'] }, platform: process.platform }
  for (const [name, code, message, hint] of cases)
    await assert.rejects(runCommand([name, '--json'], options), { code, message, hint }, name)
})

test('signals are given back when the command has ended, or never began', posix, async (t) => {
  const cwd = tempFolder(t)
  let taken = 0
  const takeSignals = () => {
    taken++
    return () => {
      taken--
    }
  }
  const options = { cwd, env: { PATH: process.env['PATH'] }, platform: process.platform, takeSignals }
  assert.equal(await runCommand(['sh', '-c', 'exit 3'], options), 3)
  await assert.rejects(runCommand(['no-such-tool'], options))
  assert.equal(taken, 0)
  const signal = AbortSignal.abort(new Error('stop'))
  await assert.rejects(runCommand(['sh', '-c', 'exit 3'], { ...options, signal }), { message: 'stop' })
})

test(
  'on Windows a program is started by its file, and a batch file by the shell that COMSPEC names',
  posix,
  async (t) => {
    const cwd = tempFolder(t)
    const script = (name: string, text: string) => {
      writeFileSync(path.join(cwd, name), `#!/bin/sh\n${text}\n`)
      chmodSync(path.join(cwd, name), 0o755)
    }
    const told = () => readFileSync(path.join(cwd, 'told'), 'utf8')
    script('tool.exe', 'echo "tool $*" > told')
    script('npm.cmd', 'echo nobody runs this by itself')
    script('shell', 'for word; do echo "$word"; done > told')
    const env = { Path: `"${cwd}"`, PATHEXT: '.exe;.cmd', ComSpec: path.join(cwd, 'shell') }
    const options = { cwd, env, platform: 'win32' }
    assert.equal(await runCommand(['tool', 'a b'], options), 0)
    assert.equal(told(), 'tool a b\n')
    assert.equal(await runCommand(['./tool', 'c'], options), 0)
    assert.equal(told(), 'tool c\n')
    assert.equal(await runCommand(['npm', 'run', 'a&b'], options), 0)
    assert.equal(told(), `${batchArguments(path.join(cwd, 'npm.cmd'), ['run', 'a&b']).join('\n')}\n`)
    for (const name of ['no-such', './no-such'])
      await assert.rejects(runCommand([name], options), { code: 'command-not-found' })
  },
)

test('on Windows a name is looked for with the extensions of PATHEXT, and as it is where it has one of them', () => {
  const env = { PathExt: '.EXE;.CMD' }
  assert.deepEqual(programNames('npm', env, 'win32'), ['npm.EXE', 'npm.CMD'])
  assert.deepEqual(programNames('npm.cmd', env, 'win32'), ['npm.cmd', 'npm.cmd.EXE', 'npm.cmd.CMD'])
  assert.deepEqual(programNames('npm', env, 'linux'), ['npm'])
  assert.ok(isBatchFile('C:\\x\\npm.CMD') && isBatchFile('a.bat') && !isBatchFile('a.cmd.exe'))
})

test('words for a batch file stay inside of their quotes', () => {
  const line = (...words: string[]) => batchArguments('C:\\npm.cmd', words).at(-1)
  assert.equal(line(), '""C:\\npm.cmd""')
  assert.equal(line('run', 'a b', ''), '""C:\\npm.cmd" "run" "a b" """')
  assert.equal(line('a&calc'), '""C:\\npm.cmd" "a&calc""')
  assert.equal(line('a"&calc"'), '""C:\\npm.cmd" "a""&calc""""')
  assert.equal(line('a\\"b\\'), '""C:\\npm.cmd" "a\\\\""b\\\\""')
  assert.equal(line('%PATH%'), '""C:\\npm.cmd" "%%cd:~,%PATH%%cd:~,%""')
  for (const word of ['a\nb', 'a\rb', 'a\0b']) assert.throws(() => line(word), { code: 'usage' })
})

test('property: cmd.exe, for which each quote turns quoting on or off, sees no special character outside of quotes', () => {
  const word = fc.string({ unit: fc.constantFrom('"', '\\', '&', '|', '<', '>', '^', '%', ' ', 'a') })
  fc.assert(
    fc.property(fc.array(word), (words) => {
      const line = batchArguments('C:\\a b\\npm.cmd', words).at(-1)?.slice(1, -1) ?? ''
      let inside = false
      for (const character of line) {
        if (character === '"') inside = !inside
        else assert.ok(inside || !/[&|<>^%]/.test(character), line)
      }
      assert.ok(!inside)
    }),
  )
})
