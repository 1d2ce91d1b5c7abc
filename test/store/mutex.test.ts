/** One process at a time in a store, and none that is dead in the way of the next. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, existsSync, linkSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { link, mkdir } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { layoutOf } from '../../src/store/layout.ts'
import { holdStore } from '../../src/store/mutex.ts'
import { tempFolder } from '../support/run-cli.ts'
import { setTime, startWorker } from './models.ts'

/** Its processes, signals and error codes are not those that this looks for. */
const onDeno = process.versions['deno'] === undefined ? false : 'not on Deno'

const isLinux = process.platform === 'linux'
const name = '.ollama-config-mutex'
const minute = 60_000

/** What a holder in another container or on another machine left. */
function foreign(token: string): string {
  return JSON.stringify({ token, pid: 1, host: 'elsewhere', space: 'elsewhere', started: '1', since: '2026-01-01' })
}

test('it is held until it is released, and leaves nothing', async (t) => {
  const folder = tempFolder(t)
  const hold = await holdStore(layoutOf(folder), { command: 'apply' })
  const { pid, command, token } = JSON.parse(readFileSync(path.join(folder, name), 'utf8'))
  assert.deepEqual([pid, command, typeof token], [process.pid, 'apply', 'string'])
  await hold.assertHeld()
  await hold.release()
  assert.deepEqual(readdirSync(folder), [])
  await assert.rejects(hold.assertHeld(), { code: 'store-busy' })
  await (await holdStore(layoutOf(folder))).release()
})

test('eight processes count in one file, and none is lost', { skip: onDeno, timeout: 120_000 }, async (t) => {
  const folder = tempFolder(t, { count: '0' })
  const file = path.join(folder, 'count')
  const workers = await Promise.all(Array.from({ length: 8 }, () => startWorker(t, 'count', folder, file, '10')))
  for (const { begin } of workers) begin()
  const told = await Promise.all(workers.map(({ ended }) => ended))
  assert.deepEqual(
    told
      .flat()
      .map(Number)
      .sort((a, b) => a - b),
    Array.from({ length: 80 }, (_, index) => index + 1),
  )
  assert.deepEqual(readdirSync(folder), ['count'])
})

test('a holder that is killed is in nobody’s way', { skip: onDeno, timeout: 60_000 }, async (t) => {
  const folder = tempFolder(t)
  const worker = await startWorker(t, 'hold', folder)
  worker.begin()
  await worker.line(1)
  const waits: string[] = []
  const taken = holdStore(layoutOf(folder), {
    onWait: (holder) => {
      waits.push(holder)
      worker.child.kill('SIGKILL')
    },
  })
  await (await taken).release()
  assert.equal(waits.length, 1)
  assert.match(waits[0] ?? '', new RegExp(`^process ${worker.child.pid} \\(worker\\), since \\d{4}-`))
  assert.deepEqual(readdirSync(folder), [])
})

test('nor is one whose parent never asked what became of it', { skip: !isLinux, timeout: 60_000 }, async (t) => {
  const folder = tempFolder(t)
  // The shell becomes a program that does not know that it has a child.
  const parent = spawn('sh', ['-c', 'cat <&3 & echo $!; exec sleep 600'], {
    stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
  })
  t.after(() => parent.kill('SIGKILL'))
  const pid = Number(await new Promise((resolve) => parent.stdout?.once('data', resolve)))
  // Before, the shell would ask what became of its child.
  const program = () => readFileSync(`/proc/${parent.pid}/comm`, 'utf8').trim()
  while (program() !== 'sleep') await new Promise((resolve) => setImmediate(resolve))
  const input = parent.stdio[3]
  assert.ok(input !== null && input !== undefined && 'end' in input)
  input.end()
  const state = () => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.[0]
  while (state() !== 'Z') await new Promise((resolve) => setImmediate(resolve))
  const mine = await holdStore(layoutOf(folder))
  const file = path.join(folder, name)
  const holder = JSON.parse(readFileSync(file, 'utf8'))
  await mine.release()
  const started = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[19]
  writeFileSync(file, JSON.stringify({ ...holder, pid, started, token: 'dead' }))
  const hold = await holdStore(layoutOf(folder), { waitMs: 10_000 })
  await hold.assertHeld()
  await hold.release()
})

test('a process number that was used again is not taken for the holder', { skip: !isLinux }, async (t) => {
  const folder = tempFolder(t)
  const mine = await holdStore(layoutOf(folder))
  const file = path.join(folder, name)
  const holder = JSON.parse(readFileSync(file, 'utf8'))
  await mine.release()
  writeFileSync(file, JSON.stringify({ ...holder, token: 'earlier', started: '1' }))
  await (await holdStore(layoutOf(folder), { waitMs: 0 })).release()
})

test('the number of a process means nothing elsewhere: then its sign of life counts', async (t) => {
  const folder = tempFolder(t)
  const file = path.join(folder, name)
  // No process here has it.
  writeFileSync(file, foreign('a').replace('"pid":1', '"pid":4194399'))
  await assert.rejects(holdStore(layoutOf(folder), { waitMs: 300 }), {
    code: 'store-busy',
    message: /process 4194399 on elsewhere/,
  })
  assert.ok(existsSync(file))
  setTime(file, Date.now() - 31_000)
  await (await holdStore(layoutOf(folder), { waitMs: 0 })).release()
  assert.deepEqual(readdirSync(folder), [])
})

test('a live holder whose last sign is old, as after the machine slept, is not thrown out', {
  skip: !isLinux,
}, async (t) => {
  const folder = tempFolder(t)
  const hold = await holdStore(layoutOf(folder))
  setTime(path.join(folder, name), Date.now() - 10 * minute)
  await assert.rejects(holdStore(layoutOf(folder), { waitMs: 0 }), { code: 'store-busy' })
  await hold.assertHeld()
  await hold.release()
})

test('who lost it is told, and neither touches nor removes what the other one has', async (t) => {
  const folder = tempFolder(t)
  const file = path.join(folder, name)
  const hold = await holdStore(layoutOf(folder))
  writeFileSync(file, foreign('another'))
  const old = Date.now() - minute
  setTime(file, old)
  await assert.rejects(hold.assertHeld(), { code: 'store-busy' })
  await hold.release()
  assert.equal(readFileSync(file, 'utf8'), foreign('another'))
})

test('of many that see a dead one at the same moment, one has it at a time', {
  skip: onDeno,
  timeout: 180_000,
}, async (t) => {
  const folder = tempFolder(t, { count: '0' })
  const file = path.join(folder, 'count')
  let expected = 0
  for (let round = 0; round < 2; round++) {
    const mutex = path.join(folder, name)
    writeFileSync(mutex, foreign(`dead ${round}`))
    setTime(mutex, Date.now() - minute)
    const workers = await Promise.all(Array.from({ length: 8 }, () => startWorker(t, 'count', folder, file, '3')))
    for (const { begin } of workers) begin()
    const told = await Promise.all(workers.map(({ ended }) => ended))
    assert.equal(new Set(told.flat()).size, 24, `round ${round}`)
    expected += 24
    assert.equal(readFileSync(file, 'utf8'), String(expected))
  }
  assert.deepEqual(readdirSync(folder), ['count'])
})

test('of many in one process that see a dead one at the same moment, one has it at a time', async (t) => {
  const folder = tempFolder(t)
  const file = path.join(folder, name)
  for (let round = 0; round < 20; round++) {
    writeFileSync(file, foreign(`dead ${round}`))
    setTime(file, Date.now() - minute)
    let holders = 0
    const work = async () => {
      const hold = await holdStore(layoutOf(folder))
      holders++
      await hold.assertHeld()
      assert.equal(holders, 1, `round ${round}`)
      holders--
      await hold.release()
    }
    await Promise.all(Array.from({ length: 4 }, work))
    assert.deepEqual(readdirSync(folder), [])
  }
})

test('a hold keeps no process alive, and one that was not released is in nobody’s way', {
  skip: onDeno,
  timeout: 60_000,
}, async (t) => {
  const folder = tempFolder(t)
  const worker = await startWorker(t, 'forget', folder)
  worker.begin()
  assert.deepEqual(await worker.ended, ['held'])
  assert.deepEqual(readdirSync(folder), [name])
  await (await holdStore(layoutOf(folder), { waitMs: 10_000 })).release()
})

test('a folder that cannot be written is a clear error', {
  skip: process.platform === 'win32' || process.getuid?.() === 0,
}, async (t) => {
  const folder = tempFolder(t)
  chmodSync(folder, 0o555)
  t.after(() => chmodSync(folder, 0o755))
  await assert.rejects(holdStore(layoutOf(folder)), { code: 'file-not-written', message: /permission denied/ })
})

test('waiting can be given up, which leaves the holder alone and no files', async (t) => {
  const folder = tempFolder(t)
  const hold = await holdStore(layoutOf(folder))
  const gaveUp = new Error('gave up')
  const controller = new AbortController()
  const waiting = holdStore(layoutOf(folder), {
    signal: controller.signal,
    onWait: () => controller.abort(gaveUp),
  })
  await assert.rejects(waiting, (error) => error === gaveUp)
  await assert.rejects(holdStore(layoutOf(folder), { signal: controller.signal }), (error) => error === gaveUp)
  assert.deepEqual(readdirSync(folder), [name])
  await hold.assertHeld()
  await hold.release()
})

test('waiting can be given up also while another one removes what a dead one left', async (t) => {
  const folder = tempFolder(t, { [name]: foreign('gone'), [`.${name}.mutex`]: '' })
  setTime(path.join(folder, name), Date.now() - minute)
  const controller = new AbortController()
  const { signal } = controller
  const listen = signal.addEventListener.bind(signal)
  // Whoever listens to it has begun to wait.
  signal.addEventListener = (...words: Parameters<typeof listen>) => {
    listen(...words)
    controller.abort(new Error('gave up'))
  }
  await assert.rejects(holdStore(layoutOf(folder), { signal }), { message: 'gave up' })
  assert.deepEqual(readdirSync(folder).sort(), [`.${name}.mutex`, name].sort())
})

test('what a dead one left and nobody may remove is named, with who may', {
  skip: process.getuid?.() === 0 && typeof process.seteuid === 'function' ? onDeno : 'needs root',
}, async (t) => {
  const folder = tempFolder(t, { [name]: foreign('gone') })
  const file = path.join(folder, name)
  setTime(file, Date.now() - minute)
  // As in /tmp: only its owner may remove a file.
  chmodSync(folder, 0o1777)
  process.seteuid?.(65534)
  try {
    await assert.rejects(holdStore(layoutOf(folder), { waitMs: 0 }), {
      code: 'store-busy',
      message: /was in use by process 1 on elsewhere, since 2026-01-01, and what it left cannot be removed$/,
      hint: `remove "${file}" as the user to whom it belongs, or as root`,
    })
  } finally {
    process.seteuid?.(0)
  }
})

test('a file system without links has one holder too', async (t) => {
  const folder = tempFolder(t)
  const refuse = async () => {
    throw Object.assign(new Error('no links here'), { code: 'EPERM' })
  }
  const hold = await holdStore(layoutOf(folder), { link: refuse })
  await hold.assertHeld()
  await assert.rejects(holdStore(layoutOf(folder), { link: refuse, waitMs: 0 }), { code: 'store-busy' })
  await hold.release()
  assert.deepEqual(readdirSync(folder), [])
})

test('a link that was made though it was answered that there is one, as over NFS, counts', async (t) => {
  const folder = tempFolder(t)
  const hold = await holdStore(layoutOf(folder), {
    waitMs: 1000,
    link: async (from, to) => {
      await link(from, to)
      throw Object.assign(new Error('there is one'), { code: 'EEXIST' })
    },
  })
  await hold.assertHeld()
  await hold.release()
  assert.deepEqual(readdirSync(folder), [])
})

test('what lies in its place and is none is waited for, and goes when it is old', async (t) => {
  for (const text of ['', '{', '[]', 'null', '\0'.repeat(100)]) {
    const folder = tempFolder(t, { [name]: text })
    const file = path.join(folder, name)
    await assert.rejects(holdStore(layoutOf(folder), { waitMs: 0 }), { code: 'store-busy', message: /another process/ })
    setTime(file, Date.now() - minute)
    await (await holdStore(layoutOf(folder), { waitMs: 0 })).release()
    assert.deepEqual(readdirSync(folder), [], text)
  }
})

test('a link in its place leads nobody out of the store', { skip: process.platform === 'win32' }, async (t) => {
  for (const target of ['there', 'not-there']) {
    const elsewhere = tempFolder(t, { there: foreign('x') })
    const folder = tempFolder(t)
    symlinkSync(path.join(elsewhere, target), path.join(folder, name))
    setTime(path.join(elsewhere, 'there'), Date.now() - minute)
    await assert.rejects(holdStore(layoutOf(folder), { waitMs: 300 }), { code: 'store-busy' })
    assert.deepEqual(readdirSync(elsewhere), ['there'])
    assert.equal(readFileSync(path.join(elsewhere, 'there'), 'utf8'), foreign('x'))
  }
})

test('a folder in its place, or none to put it into, is a clear error', async (t) => {
  const folder = tempFolder(t)
  await mkdir(path.join(folder, name))
  await assert.rejects(holdStore(layoutOf(folder)), { code: 'file-not-written' })
  await assert.rejects(holdStore(layoutOf(path.join(folder, 'none'))), {
    code: 'file-not-written',
    message: /there is no such folder/,
  })
})

test('a holder gives signs of life', { timeout: 30_000 }, async (t) => {
  const folder = tempFolder(t)
  const file = path.join(folder, name)
  const hold = await holdStore(layoutOf(folder))
  // It keeps no process alive, so the test has to.
  const alive = setInterval(() => {}, 1000)
  t.after(() => clearInterval(alive))
  const twin = path.join(folder, 'twin')
  linkSync(file, twin)
  const text = readFileSync(file, 'utf8')
  const old = Date.now() - minute
  setTime(file, old)
  const { stat } = await import('node:fs/promises')
  while ((await stat(twin)).mtimeMs < old + 1000) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(readFileSync(twin, 'utf8'), text)
  await hold.release()
  rmSync(twin)
})
