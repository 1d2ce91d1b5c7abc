import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { link, readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { isOllamaConfigError } from '../../src/errors.ts'
import { type ConfigRecord, emptyConfigRecord, type HostRecord } from '../../src/record/record.ts'
import { openRecord } from '../../src/record/record-file.ts'
import { programWords } from '../support/built.ts'
import { tempFolder } from '../support/run-cli.ts'
import { countOf, host, openCounter, refusingLink, withCount } from './counter.ts'

const writerFile = fileURLToPath(new URL('./record-writer.ts', import.meta.url))

/** So many of the newest files stay, for those who are about to read them. */
const kept = 2

/** The one folder in which the files of the host are. */
function recordFolder(folder: string): string {
  const [name = '', ...others] = readdirSync(path.join(folder, 'record'))
  assert.deepEqual(others, [])
  return path.join(folder, 'record', name)
}

/** Numbers of the files, newest first; fails when there is anything else. */
function numbersIn(folder: string): readonly number[] {
  const names = readdirSync(folder)
  for (const name of names) assert.match(name, /^\d+\.json$/)
  return names.map((name) => Number.parseInt(name, 10)).sort((a, b) => b - a)
}

function newestFile(folder: string): string {
  return path.join(folder, `${numbersIn(folder)[0]}.json`)
}

/** Nobody is still writing this file. */
function age(file: string, seconds = 60): void {
  const then = Date.now() / 1000 - seconds
  utimesSync(file, then, then)
}

const digest = `sha256:${'ab'.repeat(32)}`
const config: ConfigRecord = {
  declared: ['a:latest', 'user/b:7b'],
  models: {
    'a:latest': {
      digest,
      broughtIn: true,
      at: '2026-01-02T03:04:05.678Z',
      blobs: [{ mediaType: 'application/vnd.ollama.image.model', digest, sizeBytes: 4_683_087_332 }],
    },
    'user/b:7b': { digest, broughtIn: false, at: '2026-01-02T03:04:05.678Z', blobs: null },
  },
  copies: {
    'a:latest-previous-ababababab12': {
      broughtIn: true,
      of: 'a:latest',
      digest,
      at: '2026-01-02T03:04:05.678Z',
      blobs: null,
    },
  },
}

test('what is written is read again, in private files, and no record is undefined', async (t) => {
  const folder = tempFolder(t)
  const file = openRecord({ folder, host })
  assert.equal(await file.read(), undefined)
  const configs = { '/home/x/ollama.config.ts': config, '/tmp/"ä" \n.ts': emptyConfigRecord }
  const written = await file.update((record) => {
    assert.deepEqual(record, { host, configs: {} })
    return { ...record, configs }
  })
  assert.deepEqual(written, { host, configs })
  assert.deepEqual(await openRecord({ folder, host }).read(), written)
  const own = recordFolder(folder)
  assert.match(path.basename(own), /^http-127\.0\.0\.1-11434-[0-9a-f]{12}$/)
  assert.match(readFileSync(newestFile(own), 'utf8'), /"size": 4683087332/)
  if (process.platform !== 'win32') {
    assert.equal(statSync(own).mode & 0o777, 0o700)
    assert.equal(statSync(newestFile(own)).mode & 0o777, 0o600)
  }
  // Another host has another record.
  assert.equal(await openRecord({ folder, host: 'http://127.0.0.1:11435' }).read(), undefined)
})

test('an update that changes nothing writes nothing', async (t) => {
  const folder = tempFolder(t)
  const file = openRecord({ folder, host })
  await file.update((record) => ({ ...record, configs: { '/x': config } }))
  const before = numbersIn(recordFolder(folder))
  await file.update((record) => ({ ...record, configs: { ...record.configs } }))
  assert.deepEqual(numbersIn(recordFolder(folder)), before)
})

test('what a change throws passes as it is, and nothing is written', async (t) => {
  const folder = tempFolder(t)
  const bug = new TypeError('a bug')
  const failing = openRecord({ folder, host }).update(() => {
    throw bug
  })
  await assert.rejects(failing, (error) => error === bug)
  assert.deepEqual(numbersIn(recordFolder(folder)), [])
})

test('only the newest files stay, and temporary files that nobody can be writing any more go', async (t) => {
  const folder = tempFolder(t)
  const counter = openCounter(folder)
  await counter.increase()
  const own = recordFolder(folder)
  const strays = ['.ollama-config-old.tmp', '.ollama-config-new.tmp']
  for (const name of strays) writeFileSync(path.join(own, name), '{')
  age(path.join(own, '.ollama-config-old.tmp'), 2 * 3600)
  for (let i = 0; i < 10; i++) await counter.increase()
  assert.equal(await counter.read(), 11)
  const names = await readdir(own)
  assert.deepEqual(
    names.filter((name) => name.endsWith('.tmp')),
    ['.ollama-config-new.tmp'],
  )
  assert.deepEqual(names.filter((name) => name.endsWith('.json')).length, kept)
})

// --- Several processes --------------------------------------------------------------------------------------------

for (const links of ['links', 'no-links']) {
  test(`8 processes that update at once (${links}): nothing is lost, nothing counts twice`, async (t) => {
    const folder = tempFolder(t)
    const times = 15
    const writers = await Promise.all(Array.from({ length: 8 }, () => startWriter(t, folder, times, links)))
    for (const writer of writers) writer.begin()
    assert.deepEqual(
      await Promise.all(writers.map(({ ended }) => ended)),
      writers.map(() => times),
    )
    assert.equal(await openCounter(folder).read(), 8 * times)
    assert.ok(numbersIn(recordFolder(folder)).length <= kept)
  })
}

for (const links of ['links', 'no-links']) {
  test(`processes that are killed while they update (${links}) never leave the record unreadable`, async (t) => {
    const folder = tempFolder(t)
    let told = 0
    for (const round of [0, 1, 2]) {
      const writers = await Promise.all(Array.from({ length: 4 }, () => startWriter(t, folder, 100_000, links)))
      for (const [index, writer] of writers.entries()) {
        // At a moment that has nothing to do with what the writer is doing.
        writer.onLine((lines) => lines === 2 + 3 * index + round && setImmediate(() => writer.child.kill('SIGKILL')))
        writer.begin()
      }
      for (const { ended } of writers) told += await ended
      const counter = openCounter(folder)
      const before = await counter.read()
      assert.ok(before >= told, `${told} updates were told to be written, ${before} are there`)
      await counter.increase()
      assert.equal(await counter.read(), before + 1)
      told = before + 1
    }
  })
}

interface Writer {
  readonly child: ChildProcess
  begin(): void
  onLine(listener: (lines: number) => void): void
  /** How many updates it told of. */
  readonly ended: Promise<number>
}

/** Resolves when it has loaded, so that several can begin at one moment. */
async function startWriter(t: TestContext, folder: string, times: number, links: string): Promise<Writer> {
  const child = spawn(process.execPath, [...programWords(writerFile), folder, String(times), links], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  let lines = -1
  let listener: (lines: number) => void = () => {}
  await new Promise<void>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', () => reject(new Error('the writer ended before it was ready')))
    createInterface({ input: child.stdout }).on('line', () => {
      lines += 1
      resolve()
      if (lines > 0) listener(lines)
    })
  })
  const ended = new Promise<number>((resolve) => child.on('close', () => resolve(lines)))
  return {
    child,
    begin: () => void child.stdin.end(),
    onLine: (given) => {
      listener = given
    },
    ended,
  }
}

test('an update whose number was used and cleaned away meanwhile is made again on what is there now', async (t) => {
  const folder = tempFolder(t)
  const others = openCounter(folder)
  await others.increase()
  let calls = 0
  const slow = openCounter(folder, async (from, to) => {
    calls += 1
    for (let i = 0; calls === 1 && i < 10; i++) await others.increase()
    await link(from, to)
  })
  await slow.increase()
  assert.equal(await others.read(), 12)
  assert.equal(calls, 2)
  assert.equal(numbersIn(recordFolder(folder)).length, kept)
})

test('an update on which others have built already is not made twice', async (t) => {
  const folder = tempFolder(t)
  const others = openCounter(folder)
  for (const ahead of [1, 2, 3, 10]) {
    const before = await others.read()
    const slow = openCounter(folder, async (from, to) => {
      await link(from, to)
      for (let i = 0; i < ahead; i++) await others.increase()
    })
    await slow.increase()
    assert.equal(await others.read(), before + ahead + 1, `${ahead} ahead`)
  }
})

test('the marks of changes, by which a writer finds its own again, do not grow for ever', async (t) => {
  const folder = tempFolder(t)
  const counter = openCounter(folder)
  for (let i = 0; i < 70; i++) await counter.increase()
  const { writes } = JSON.parse(readFileSync(newestFile(recordFolder(folder)), 'utf8'))
  assert.match(writes, /^(?:[0-9a-f]{8} ){63}[0-9a-f]{8}$/)
})

test('who is late again and again gives up with an error, and without a trace', async (t) => {
  const folder = tempFolder(t)
  const late = openCounter(folder, refusingLink('EEXIST'))
  await assert.rejects(late.increase(), { code: 'file-not-written' })
  assert.deepEqual(numbersIn(recordFolder(folder)), [])
})

// --- Files that are not as they should be --------------------------------------------------------------------------

for (const code of ['EPERM', 'ENOTSUP', 'ENOSYS', 'EOPNOTSUPP', 'EACCES']) {
  test(`without hard links (${code}) the record is written all the same`, async (t) => {
    const folder = tempFolder(t)
    const counter = openCounter(folder, refusingLink(code))
    for (let i = 0; i < 10; i++) await counter.increase()
    assert.equal(await openCounter(folder).read(), 10)
    assert.equal(numbersIn(recordFolder(folder)).length, kept)
  })
}

test('a newest file that a crash cut off is passed over, and never stands in the way', async (t) => {
  const folder = tempFolder(t)
  const counter = openCounter(folder)
  for (const text of ['', '{\n "formatVersion": "1.0",\n "ho', '\0'.repeat(300)]) {
    await counter.increase()
    const before = await counter.read()
    const own = recordFolder(folder)
    const cut = path.join(own, `${(numbersIn(own)[0] ?? 0) + 1}.json`)
    writeFileSync(cut, text)
    age(cut)
    assert.equal(await counter.read(), before)
    await counter.increase()
    assert.equal(await counter.read(), before + 1)
    assert.equal(readFileSync(cut, 'utf8'), text)
  }
})

test('a file that is just being written is waited for', async (t) => {
  const folder = tempFolder(t)
  const counter = openCounter(folder)
  await counter.increase()
  const own = recordFolder(folder)
  const text = await readFile(newestFile(own), 'utf8')
  const next = path.join(own, '2.json')
  writeFileSync(next, text.slice(0, 20))
  const reading = openRecord({ folder, host }).read()
  setTimeout(() => writeFileSync(next, text.replace('"size": 1', '"size": 70')), 30)
  assert.equal(countOf((await reading) ?? { host, configs: {} }), 70)
})

test('a record of a newer major version is refused and stays as it is', async (t) => {
  const folder = tempFolder(t)
  const counter = openCounter(folder)
  await counter.increase()
  const own = recordFolder(folder)
  const newer = '{ "formatVersion": "2.0", "hosts": [] }'
  writeFileSync(path.join(own, '2.json'), newer)
  const refusal = { code: 'record-invalid', message: /newer ollama-config/, hint: 'update ollama-config' }
  await assert.rejects(counter.read(), refusal)
  await assert.rejects(counter.increase(), refusal)
  assert.equal(readFileSync(path.join(own, '2.json'), 'utf8'), newer)
  assert.deepEqual(numbersIn(own), [2, 1])
})

test('a newer minor version and unknown fields are read', async (t) => {
  const folder = tempFolder(t)
  const counter = openCounter(folder)
  await counter.increase()
  const file = newestFile(recordFolder(folder))
  writeFileSync(file, readFileSync(file, 'utf8').replace('"1.0"', '"1.9", "more": { "x": [] }'))
  assert.equal(await counter.read(), 1)
})

test('a record of which nothing can be read is an error that names the folder and what to do', async (t) => {
  const folder = tempFolder(t)
  const file = openRecord({ folder, host })
  await file.update((record) => ({ ...record, configs: { '/x': config } }))
  const own = recordFolder(folder)
  const good = readFileSync(newestFile(own), 'utf8')
  const cases: readonly (readonly [string, RegExp])[] = [
    ['', /broken JSON/],
    [good.slice(0, -5), /broken JSON/],
    ['[]', /the file is not an object/],
    ['{}', /formatVersion is not a text/],
    [good.replace('"1.0"', '"one"'), /formatVersion is not a version/],
    [good.replace('"configs": {', '"configs": null, "x": {'), /configs is not an object/],
    [good.replace(digest, 'sha256:AB'), /digest is not a digest/],
    [good.replace('4683087332', '-1'), /blobs\[0\]\.size is not a number of bytes/],
    [good.replace('4683087332', '9007199254740993'), /blobs\[0\]\.size/],
    [good.replace('"broughtIn": false', '"broughtIn": 0'), /broughtIn is not true or false/],
    [good.replace('"user/b:7b": {', '"not a name": {'), /not a model name/],
    [good.replace('"user/b:7b"', '"not a name"'), /declared\[1\] is not a model name/],
    [good.replace('"of": "a:latest"', '"of": "../x/y/z"'), /of is not a model name/],
  ]
  for (const [text, message] of cases) {
    assert.notEqual(text, good)
    writeFileSync(newestFile(own), text)
    age(newestFile(own))
    const refused = (error: unknown) =>
      isOllamaConfigError(error) &&
      error.code === 'record-invalid' &&
      message.test(error.message) &&
      error.message.includes(own) &&
      /remove that folder/.test(error.hint ?? '')
    await assert.rejects(file.read(), refused, message.source)
    await assert.rejects(
      file.update((record) => withCount(record, 1)),
      refused,
      message.source,
    )
    assert.equal(readFileSync(newestFile(own), 'utf8'), text)
  }
})

test('keys such as __proto__ are names like any other', async (t) => {
  const folder = tempFolder(t)
  const file = openRecord({ folder, host })
  const configs = JSON.parse('{ "__proto__": { "declared": [], "models": {}, "copies": {} } }')
  for (const name of ['constructor', 'toString']) configs[name] = emptyConfigRecord
  await file.update((record) => ({ ...record, configs }))
  const record: HostRecord | undefined = await file.read()
  assert.deepEqual(Object.keys(record?.configs ?? {}).sort(), ['__proto__', 'constructor', 'toString'])
  assert.equal(Object.getPrototypeOf(record?.configs), Object.prototype)
  assert.equal('declared' in {}, false)
  const own = recordFolder(folder)
  const polluting = readFileSync(newestFile(own), 'utf8').replace('"models": {}', '"models": { "__proto__": {} }')
  writeFileSync(path.join(own, '1.json'), polluting)
  age(path.join(own, '1.json'))
  await assert.rejects(file.read(), { code: 'record-invalid' })
})

test('a folder that cannot be made or read is a clear error', async (t) => {
  const folder = tempFolder(t, { record: 'a file' })
  await assert.rejects(openCounter(folder).increase(), { code: 'file-not-written' })
  // Windows says of what lies below a file that it is not there.
  if (process.platform === 'win32') assert.equal(await openCounter(folder).read(), 0)
  else await assert.rejects(openCounter(folder).read(), { code: 'record-invalid' })
})

test('what is no file is not waited for, nor is an older file taken for the record', async (t) => {
  const folders = { 'a folder': (file: string) => mkdirSync(file) }
  const others = {
    'a pipe': (file: string) => execFileSync('mkfifo', [file]),
    'a device': (file: string) => symlinkSync('/dev/zero', file),
  }
  const kinds = process.platform === 'win32' ? folders : { ...folders, ...others }
  for (const [what, put] of Object.entries(kinds)) {
    const folder = tempFolder(t)
    const counter = openCounter(folder)
    await counter.increase()
    put(path.join(recordFolder(folder), '2.json'))
    const refused = {
      code: 'record-invalid',
      message: /2\.json is no file$/,
      hint: /^remove what is in the place of ".*2\.json"$/,
    }
    await assert.rejects(counter.read(), refused, what)
    await assert.rejects(counter.increase(), refused, what)
  }
})

const isRoot = process.getuid?.() === 0

test('a record that may not be read is no damaged one: nobody is told to remove it', {
  skip: process.platform === 'win32' || (isRoot && typeof process.seteuid !== 'function'),
}, async (t) => {
  const folder = tempFolder(t)
  const counter = openCounter(folder)
  await counter.increase()
  chmodSync(newestFile(recordFolder(folder)), 0)
  if (isRoot) process.seteuid?.(65534)
  try {
    await assert.rejects(counter.read(), { code: 'record-invalid', hint: /owner and mode/ })
  } finally {
    if (isRoot) process.seteuid?.(0)
  }
})
