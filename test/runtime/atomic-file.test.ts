import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { isOllamaConfigError } from '../../src/errors.ts'
import { makeFolders, notWritten, writeFileAtomically } from '../../src/runtime/atomic-file.ts'
import { tempFolder } from '../support/run-cli.ts'

const posix = process.platform !== 'win32'

test('a new file has the mode that was asked for, less the umask', async (t) => {
  const folder = tempFolder(t)
  await writeFileAtomically(path.join(folder, 'a'), 'ä\u{1f999}\n')
  assert.equal(readFileSync(path.join(folder, 'a'), 'utf8'), 'ä\u{1f999}\n')
  await writeFileAtomically(path.join(folder, 'b'), '', { mode: 0o600 })
  if (posix) {
    assert.equal(statSync(path.join(folder, 'a')).mode & 0o777, 0o644 & ~process.umask())
    assert.equal(statSync(path.join(folder, 'b')).mode & 0o777, 0o600)
  }
  assert.deepEqual(readdirSync(folder).sort(), ['a', 'b'])
})

test('an existing file keeps its mode, also one that the umask would not give it', async (t) => {
  if (!posix) return t.skip('Windows has no such modes')
  const file = path.join(tempFolder(t, { x: 'old' }), 'x')
  for (const mode of [0o600, 0o640, 0o664, 0o666, 0o755, 0o444]) {
    chmodSync(file, mode)
    await writeFileAtomically(file, `${mode}`, { mode: 0o600 })
    assert.equal(statSync(file).mode & 0o777, mode)
    assert.equal(readFileSync(file, 'utf8'), `${mode}`)
  }
})

test('over symbolic links their target is written, also one that is not there yet', async (t) => {
  const folder = tempFolder(t, { file: 'old' })
  mkdirSync(path.join(folder, 'deep'))
  mkdirSync(path.join(folder, 'deep', 'er'))
  const links = { one: 'file', two: 'one', 'deep/up': '../file', new: 'deep/new', 'deep/newer': '../deep/er/newer' }
  for (const [link, target] of Object.entries(links)) symlinkSync(target, path.join(folder, link))
  // A way up over a link leads out of where the link leads to.
  symlinkSync('deep/er', path.join(folder, 'shortcut'))
  symlinkSync('../beside', path.join(folder, 'deep', 'er', 'out'))
  for (const [link, target] of [
    ['one', 'file'],
    ['two', 'file'],
    ['deep/up', 'file'],
    ['new', 'deep/new'],
    ['deep/newer', 'deep/er/newer'],
    ['shortcut/out', 'deep/beside'],
  ]) {
    const file = path.join(folder, link ?? '')
    const before = readlinkSync(file)
    await writeFileAtomically(file, `over ${link}`)
    assert.equal(readFileSync(path.join(folder, target ?? ''), 'utf8'), `over ${link}`)
    assert.ok(lstatSync(file).isSymbolicLink())
    assert.equal(readlinkSync(file), before)
  }
  assert.deepEqual(
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.tmp')),
    [],
  )
})

test('what cannot be written is a clear error, and everything is as it was', async (t) => {
  const folder = tempFolder(t, { file: 'old' })
  mkdirSync(path.join(folder, 'dir'))
  symlinkSync('circle', path.join(folder, 'circle'))
  symlinkSync('dir', path.join(folder, 'to-dir'))
  symlinkSync('missing/x', path.join(folder, 'to-missing'))
  if (posix) execFileSync('mkfifo', [path.join(folder, 'pipe')])
  const before = readdirSync(folder)
  const cases: readonly (readonly [string, RegExp])[] = [
    ['dir', /something else than a file/],
    ['to-dir', /something else than a file/],
    // Windows says of what lies below a file, and of a name that is too long, that it is not there.
    ['file/x', posix ? /what should be its folder is a file/ : /there is no such folder/],
    ['missing/x', /there is no such folder/],
    ['to-missing', /there is no such folder/],
    ['circle', /links go in a circle/],
    ['n'.repeat(300), posix ? /its name is too long/ : /there is no such folder/],
    ...(posix ? ([['pipe', /something else than a file/]] as const) : []),
  ]
  for (const [name, problem] of cases) {
    const file = path.join(folder, name)
    await assert.rejects(
      writeFileAtomically(file, 'new'),
      (error) =>
        isOllamaConfigError(error) &&
        error.code === 'file-not-written' &&
        problem.test(error.message) &&
        error.message.includes(file.slice(0, 60)) &&
        error.hint !== undefined,
      `${name.slice(0, 20)}: ${problem.source}`,
    )
  }
  assert.deepEqual(readdirSync(folder), before)
  assert.equal(readFileSync(path.join(folder, 'file'), 'utf8'), 'old')
})

test('folders are made from the uppermost on, and somebody else may make them too', async (t) => {
  const folder = tempFolder(t)
  const made: string[] = []
  const onMade = async (name: string) => void made.push(path.relative(folder, name))
  const deep = path.join(folder, 'a', 'b')
  await makeFolders(deep, { mode: 0o700, onMade })
  await makeFolders(deep, { mode: 0o700, onMade })
  assert.deepEqual(made, ['a', path.join('a', 'b')])
  if (posix) assert.equal(statSync(deep).mode & 0o777, 0o700)
  const many = Array.from({ length: 8 }, () => makeFolders(path.join(folder, 'x', 'y', 'z'), { mode: 0o755, onMade }))
  await Promise.all(many)
  assert.equal(made.length, 5)
})

test('a folder that cannot be made is a clear error', { skip: !posix, timeout: 20_000 }, async (t) => {
  const folder = tempFolder(t, { file: '' })
  symlinkSync('nowhere', path.join(folder, 'link'))
  const cases: readonly (readonly [name: string, message: RegExp])[] = [
    [path.join(folder, 'link'), /"\S+link" cannot be made: the symbolic link "\S+link" leads to nothing that is there/],
    [path.join(folder, 'link', 'blobs'), /the symbolic link "\S+link" leads to nothing/],
    [path.join(folder, 'file'), /"\S+file" is no folder/],
    // It answers ENOENT, for which a recursive mkdir of Node tries its parent again and again.
    ...(process.platform === 'linux' ? ([['/proc/x/blobs', /no folder can be made in "\/proc"/]] as const) : []),
  ]
  for (const [name, message] of cases)
    await assert.rejects(makeFolders(name, { mode: 0o755 }), { code: 'file-not-written', message }, name)
  assert.deepEqual(readdirSync(folder), ['file', 'link'])
})

test('when the disk is full the old content is still there, and no temporary file', async (t) => {
  const folder = tempFolder(t, { file: 'old' })
  const file = path.join(folder, 'file')
  // A limit of the shell on the size of files stands for the disk; the signal that it comes with is ignored.
  const module = JSON.stringify(new URL('../../src/runtime/atomic-file.ts', import.meta.url).href)
  const program = path.join(folder, 'program.mts')
  writeFileSync(
    program,
    `import { writeFileAtomically } from ${module}
     process.on('SIGXFSZ', () => {})
     const text = 'x'.repeat(8 * 1024 * 1024)
     await writeFileAtomically(${JSON.stringify(file)}, text).catch((error) => console.log(error.code, error.message))`,
  )
  if (!posix || 'Bun' in globalThis) return t.skip('there is no limit on the size of files here')
  const runtime =
    'Deno' in globalThis ? ['run', '-A', '--no-check', '--no-prompt'] : ['--import', import.meta.resolve('tsx')]
  const { stdout, stderr } = spawnSync(
    'bash',
    ['-c', `trap '' XFSZ; ulimit -f 4096; exec "$@"`, 'bash', process.execPath, ...runtime, program],
    { encoding: 'utf8', cwd: fileURLToPath(new URL('../..', import.meta.url)) },
  )
  assert.match(stdout, /^file-not-written/, stderr)
  assert.equal(readFileSync(file, 'utf8'), 'old')
  assert.deepEqual(readdirSync(folder).sort(), ['file', 'program.mts'])
})

test('notWritten() says in words what the system means, and lets through what others have said', () => {
  const reason = (code: string) => notWritten('/x/y', Object.assign(new Error(`${code}: bad`), { code }))
  for (const [code, words] of [
    ['EACCES', 'permission denied'],
    ['EROFS', 'the file system is read-only'],
    ['ENOSPC', 'the disk is full'],
    ['EFBIG', 'its file system, or a limit, allows no file of that size'],
    ['EDQUOT', 'the disk quota is used up'],
    ['EIO', 'EIO: bad'],
    ['constructor', 'constructor: bad'],
  ]) {
    const error = reason(code ?? '')
    assert.ok(isOllamaConfigError(error))
    assert.equal(error.message, `"/x/y" cannot be written: ${words}`)
    assert.ok(error.hint !== undefined)
  }
  const denied = Object.assign(new Error('Requires write access'), { name: 'NotCapable' })
  assert.equal(notWritten('/x', denied), denied)
})

test('a permission that Deno was not given passes as it is', async (t) => {
  if (!('Deno' in globalThis)) return t.skip('only Deno has permissions')
  const folder = tempFolder(t, { file: 'old' })
  const module = JSON.stringify(new URL('../../src/runtime/atomic-file.ts', import.meta.url).href)
  writeFileSync(
    path.join(folder, 'program.ts'),
    `import { writeFileAtomically } from ${module}
     await writeFileAtomically(Deno.args[0], 'new').catch((error) => console.log(error.name))`,
  )
  // Without any such word Deno's child_process would give all permissions.
  for (const permissions of [['--allow-read'], ['--allow-write']]) {
    const words = [
      'run',
      '--no-prompt',
      '--no-check',
      ...permissions,
      path.join(folder, 'program.ts'),
      path.join(folder, 'file'),
    ]
    const { stdout, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8' })
    assert.equal(stdout, 'NotCapable\n', stderr)
  }
  assert.equal(readFileSync(path.join(folder, 'file'), 'utf8'), 'old')
  assert.deepEqual(readdirSync(folder).sort(), ['file', 'program.ts'])
})
