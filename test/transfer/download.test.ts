/** The download engine against servers that do it right, wrong and not at all. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, truncateSync } from 'node:fs'
import { chmod, link, lstat, mkdir, mkdtemp, open, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { type ErrorCode, isOllamaConfigError } from '../../src/errors.ts'
import { Downloader, type DownloaderOptions } from '../../src/transfer/downloader.ts'
import { journalOf, removeJournal } from '../../src/transfer/partial.ts'
import { BlobGoneError, diskProblem } from '../../src/transfer/problems.ts'
import { tempFolder } from '../support/run-cli.ts'
import { type Behave, type BlobServer, madeUpBytes, serveBlob } from './blob-server.ts'

/** Its processes, signals and error codes are not those that this looks for. */
const onDeno = process.versions['deno'] === undefined ? false : 'not on Deno'

const KiB = 1024
const MiB = 1024 * KiB
const bytes = madeUpBytes(4 * MiB + 123)

interface Bench {
  readonly server: BlobServer
  readonly file: string
  fetch(options?: DownloaderOptions & { signal?: AbortSignal; onProgress?: (bytes: number) => void }): Promise<void>
}

async function bench(
  t: TestContext,
  behave?: Behave,
  { silenceMs, served = bytes }: { silenceMs?: number; served?: Buffer } = {},
): Promise<Bench> {
  const folder = await mkdtemp(path.join(tmpdir(), 'ollama-config-download-'))
  const server = await serveBlob(served, behave, silenceMs)
  t.after(async () => {
    await server.close()
    await rm(folder, { recursive: true, force: true })
  })
  const file = path.join(folder, 'blob')
  const { digest, source } = server
  return {
    server,
    file,
    fetch: async ({ signal, onProgress, ...options } = {}) => {
      const downloader = new Downloader({ partBytes: 512 * KiB, pauseMs: 1, ...options })
      try {
        await downloader.fetch({ digest, sizeBytes: served.length, file, source, signal, onProgress })
      } finally {
        downloader.close()
      }
    },
  }
}

async function assertWhole({ file, server }: Bench): Promise<void> {
  assert.ok(server.bytes.equals(await readFile(file)), 'the bytes are wrong')
}

function failsWith(code: ErrorCode, message: RegExp): (error: unknown) => true {
  return (error) => {
    assert.ok(isOllamaConfigError(error), String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, message)
    return true
  }
}

/** Breaks off after so many bytes of the body. */
function cut({ from, to, ranged }: Parameters<Behave>[0], response: Parameters<Behave>[1], after: number): true {
  response.writeHead(ranged ? 206 : 200, {
    'content-length': to - from,
    ...(ranged ? { 'content-range': `bytes ${from}-${to - 1}/${bytes.length}` } : {}),
  })
  response.write(bytes.subarray(from, from + after), () => response.destroy())
  return true
}

test('parts come from the lowest offset on, none twice, over as many connections as allowed', async (t) => {
  const it = await bench(t)
  const told: number[] = []
  await it.fetch({ connections: 3, onProgress: (completed) => told.push(completed) })
  await assertWhole(it)
  const { asked, mostAtOnce, sentBytes } = it.server
  assert.ok(mostAtOnce <= 3, `${mostAtOnce} at once`)
  assert.equal(sentBytes, bytes.length)
  const froms = asked.map(({ from }) => from)
  assert.deepEqual(
    froms,
    froms.toSorted((a, b) => a - b),
  )
  assert.equal(told.at(-1), bytes.length)
  assert.deepEqual(
    told,
    told.toSorted((a, b) => a - b),
  )
})

test('a blob of one part is asked for without a word about ranges; one without bytes is not asked for', async (t) => {
  const it = await bench(t, undefined, { served: madeUpBytes(1000) })
  await it.fetch()
  await assertWhole(it)
  assert.deepEqual(
    it.server.asked.map(({ ranged }) => ranged),
    [false],
  )
  const empty = await bench(t, undefined, { served: Buffer.alloc(0) })
  await empty.fetch()
  await assertWhole(empty)
  assert.deepEqual(empty.server.asked, [])
})

test('all downloads together keep to the limit of connections', async (t) => {
  const [one, two] = [await bench(t), await bench(t, undefined, { served: madeUpBytes(3 * MiB, 7) })]
  let [atOnce, most] = [0, 0]
  const counted = ({ server }: Bench) => ({
    host: 'registry.test',
    surroundings: {},
    open: async (...words: Parameters<typeof server.source.open>) => {
      most = Math.max(most, ++atOnce)
      const response = await server.source.open(...words)
      return {
        ...response,
        header: response.header,
        consume: (take: Parameters<typeof response.consume>[0]) => response.consume(take).finally(() => atOnce--),
      }
    },
  })
  const downloader = new Downloader({ connections: 3, partBytes: 256 * KiB })
  await Promise.all(
    [one, two].map(({ server, file, ...rest }) =>
      downloader.fetch({
        digest: server.digest,
        sizeBytes: server.bytes.length,
        file,
        source: counted({ server, file, ...rest }),
      }),
    ),
  )
  downloader.close()
  await assertWhole(one)
  await assertWhole(two)
  assert.ok(most <= 3, `${most} at once`)
})

test('what was fetched and is not in its place yet is not fetched again', async (t) => {
  const it = await bench(t)
  await it.fetch()
  const asked = it.server.asked.length
  await it.fetch()
  await assertWhole(it)
  assert.equal(it.server.asked.length, asked)
  await removeJournal(it.file)
  assert.ok(!existsSync(journalOf(it.file)))
})

test('what was fetched before an interruption is not fetched again', async (t) => {
  const controller = new AbortController()
  const it = await bench(t)
  const reason = { why: 'test' }
  let before = 0
  await assert.rejects(
    it.fetch({
      signal: controller.signal,
      connections: 2,
      onProgress: (completed) => {
        before = completed
        if (completed > bytes.length / 2) controller.abort(reason)
      },
    }),
    (error) => error === reason,
  )
  const first = it.server.sentBytes
  assert.ok(before > bytes.length / 2)
  await it.fetch({ connections: 2 })
  await assertWhole(it)
  // What came after the last word of progress, as the abort was under way, is within two parts.
  assert.ok(it.server.sentBytes - first <= bytes.length - before, 'it was fetched again')
})

test('a range whose bytes were changed meanwhile is fetched again, and nothing else', async (t) => {
  let stop = true
  const it = await bench(t, ({ from }, response) => {
    if (!stop || from < 3 * MiB) return undefined
    response.destroy()
    return true
  })
  await assert.rejects(it.fetch({ connections: 1, attempts: 2 }), failsWith('registry-unreachable', /registry\.test/))
  const handle = await open(it.file, 'r+')
  await handle.write(Buffer.from('changed'), 0, 7, 600 * KiB)
  await handle.close()
  stop = false
  const before = it.server.asked.length
  await it.fetch({ connections: 1 })
  await assertWhole(it)
  const again = it.server.asked.slice(before).map(({ from, to }) => [from, to])
  assert.deepEqual(again[0], [512 * KiB, 1024 * KiB])
  assert.equal(again[1]?.[0], 3 * MiB)
})

test('a journal that is none, or of another size, is not believed', async (t) => {
  for (const text of [
    '',
    'nonsense\n0 4194427 0\n',
    'ollama-config parts 1 5\n0 5 0\n',
    `ollama-config parts 1 ${bytes.length}\n0 99999999 1\n5 3 1\n-1 4 2`,
  ]) {
    const it = await bench(t)
    await writeFile(it.file, 'something')
    await writeFile(journalOf(it.file), text)
    await it.fetch()
    await assertWhole(it)
    assert.equal(it.server.sentBytes, bytes.length)
  }
})

test('links, pipes and second names in place of its files are replaced, and nothing behind them is touched', {
  skip: process.platform === 'win32',
  timeout: 30_000,
}, async (t) => {
  for (const nameOf of [(file: string) => file, journalOf]) {
    for (const put of [symlink, link, async (_: string, file: string) => void execFileSync('mkfifo', [file])]) {
      const it = await bench(t)
      const elsewhere = `${it.file}-elsewhere`
      await writeFile(elsewhere, 'of somebody else', { mode: 0o600 })
      await put(elsewhere, nameOf(it.file))
      await it.fetch()
      await assertWhole(it)
      const { size, mode } = await stat(elsewhere)
      assert.deepEqual([size, mode & 0o777, (await lstat(it.file)).isFile()], [16, 0o600, true])
    }
    const blocked = await bench(t)
    await mkdir(nameOf(blocked.file))
    await assert.rejects(blocked.fetch(), failsWith('file-not-written', /there is a folder in its place/))
  }
})

test('what another user left unfinished is begun anew', {
  skip: process.platform === 'win32' || (process.getuid?.() === 0 && typeof process.seteuid !== 'function'),
}, async (t) => {
  const it = await bench(t)
  await chmod(path.dirname(it.file), 0o777)
  for (const file of [it.file, journalOf(it.file)]) await writeFile(file, 'theirs', { mode: 0o400 })
  const isRoot = process.getuid?.() === 0
  if (isRoot) process.seteuid?.(65534)
  try {
    await it.fetch()
    await assertWhole(it)
  } finally {
    if (isRoot) process.seteuid?.(0)
  }
})

test('connections that break off are made anew and go on where they were', async (t) => {
  const it = await bench(t, (asked, response) => (asked.number % 2 === 0 ? cut(asked, response, 100 * KiB) : undefined))
  await it.fetch()
  await assertWhole(it)
  const starts = it.server.asked.map(({ from }) => from)
  assert.equal(new Set(starts).size, starts.length, 'a part began where it had begun')
})

test('a source that never gives more than nothing ends with an error, and what came stays', {
  skip: onDeno,
}, async (t) => {
  const it = await bench(t, ({ from }, response) => {
    if (from < 2 * MiB) return undefined
    response.destroy()
    return true
  })
  await assert.rejects(
    it.fetch({ attempts: 3, connections: 1 }),
    failsWith(
      'registry-unreachable',
      /after 3 tries in a row: registry\.test cannot be reached: it closed the connection$/,
    ),
  )
  assert.equal(it.server.asked.filter(({ from }) => from >= 2 * MiB).length, 3)
  assert.ok(existsSync(it.file))
})

test('a silent connection is given up for a new one', { timeout: 30_000 }, async (t) => {
  const it = await bench(t, ({ number }) => number === 1 || undefined, { silenceMs: 100 })
  await it.fetch({ connections: 2 })
  await assertWhole(it)
})

test('a connection without work takes half of what a slow one still has to do', { timeout: 60_000 }, async (t) => {
  const release: (() => void)[] = []
  // As much as is written at once, and so told as progress.
  const little = 128 * KiB
  const it = await bench(t, (asked, response) => {
    if (asked.from !== 0) return undefined
    // A little, and then nothing until all the others are done.
    response.writeHead(206, {
      'content-length': asked.to - asked.from,
      'content-range': `bytes 0-${asked.to - 1}/${bytes.length}`,
    })
    response.write(bytes.subarray(0, little))
    release.push(() => response.end(bytes.subarray(little, asked.to)))
    return true
  })
  const parts = new Set<number>()
  await it.fetch({
    connections: 2,
    partBytes: 2 * MiB,
    onProgress: (completed) => {
      parts.add(it.server.asked.length)
      // Only what cannot be split further is left.
      if (completed > bytes.length - 256 * KiB) release.pop()?.()
    },
  })
  await assertWhole(it)
  assert.equal(it.server.asked.filter(({ from }) => from <= little).length, 1, 'it was given up')
  assert.ok(
    it.server.asked.some(({ from }) => from > little && from < 2 * MiB),
    'it was not split',
  )
})

test('a source that ignores ranges is read by one connection, also when it breaks off', async (t) => {
  const it = await bench(t, (asked, response) => {
    const all = { ...asked, from: 0, to: bytes.length, ranged: false }
    if (asked.number < 3 && asked.number > 0) return cut(all, response, 2 * MiB * asked.number)
    it.server.answer(all, response)
    return true
  })
  await it.fetch({ connections: 4 })
  await assertWhole(it)
})

const liars: Readonly<Record<string, (...words: Parameters<Behave>) => void>> = {
  'another range': ({ from, to }, response) => {
    response.writeHead(206, { 'content-range': `bytes ${from + 1}-${to}/${bytes.length}` })
    response.end(bytes.subarray(from + 1, to + 1))
  },
  'no range at all': ({ from, to }, response) => void response.writeHead(206).end(bytes.subarray(from, to)),
  'another size': ({ from, to }, response) => {
    response.writeHead(206, { 'content-range': `bytes ${from}-${to - 1}/${bytes.length + 1}` })
    response.end(bytes.subarray(from, to))
  },
  'shifted bytes': ({ from, to }, response) => {
    response.writeHead(206, { 'content-range': `bytes ${from}-${to - 1}/${bytes.length}` })
    response.end(bytes.subarray(from + 1, to + 1))
  },
  'more than asked for': ({ from, to }, response) => {
    response.writeHead(206, { 'content-range': `bytes ${from}-${to - 1}/${bytes.length}` })
    response.end(Buffer.concat([bytes.subarray(from, to), Buffer.alloc(1000)]))
  },
  'less than promised': ({ from, to }, response) => {
    response.writeHead(206, { 'content-range': `bytes ${from}-${to - 1}/${bytes.length}` })
    response.end(bytes.subarray(from, to - 1000))
  },
  'encoded bytes': ({ from, to }, response) => {
    response.writeHead(206, { 'content-range': `bytes ${from}-${to - 1}/${bytes.length}`, 'content-encoding': 'gzip' })
    response.end(bytes.subarray(from, to))
  },
  'a web page': (_, response) =>
    void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>sign in</html>'),
  '503': (_, response) => void response.writeHead(503, { 'retry-after': '0' }).end('busy'),
  '416': (_, response) => void response.writeHead(416).end(),
}

for (const [what, lie] of Object.entries(liars)) {
  test(`a source that once sends ${what} does no harm`, async (t) => {
    const it = await bench(t, (asked, response, served) => {
      if (asked.number !== 1) return undefined
      lie(asked, response, served)
      return true
    })
    await it.fetch()
    await assertWhole(it)
  })
}

test('bytes that are always wrong are an error, and none of them stay', async (t) => {
  const it = await bench(t, ({ from, to, ranged }, response) => {
    response.writeHead(ranged ? 206 : 200, ranged ? { 'content-range': `bytes ${from}-${to - 1}/${bytes.length}` } : {})
    response.end(Buffer.alloc(to - from))
    return true
  })
  await assert.rejects(it.fetch(), failsWith('digest-mismatch', /registry\.test sent wrong bytes .*, twice/))
  assert.ok(!existsSync(it.file))
  assert.ok(!existsSync(journalOf(it.file)))
})

test('where nothing came, nothing is left', async (t) => {
  const it = await bench(t, (_, response) => {
    response.destroy()
    return true
  })
  await assert.rejects(it.fetch({ attempts: 2 }), failsWith('registry-unreachable', /cannot be fetched/))
  assert.ok(!existsSync(it.file))
  assert.ok(!existsSync(journalOf(it.file)))
})

test('who gives up waiting for its turn lets nobody past the one before', async () => {
  const downloader = new Downloader()
  const done: string[] = []
  let finish = () => {}
  const first = downloader.inTurn('x', async () => {
    await new Promise<void>((resolve) => {
      finish = resolve
    })
    done.push('first')
  })
  const stop = new AbortController()
  const second = downloader.inTurn('x', async () => done.push('second'), stop.signal)
  stop.abort(new Error('stop'))
  await assert.rejects(second, { message: 'stop' })
  const third = downloader.inTurn('x', async () => done.push('third'))
  finish()
  await Promise.all([first, third])
  assert.deepEqual(done, ['first', 'third'])
  downloader.close()
})

test('a blob that is gone is asked for once', async (t) => {
  const it = await bench(t, (_, response) => {
    response.writeHead(404).end('gone')
    return true
  })
  await assert.rejects(
    it.fetch({ connections: 1 }),
    (error) => error instanceof BlobGoneError && failsWith('registry-error', /does not have the part/)(error),
  )
  assert.equal(it.server.asked.length, 1)
})

for (const [status, code] of [
  [400, 'registry-error'],
  [401, 'registry-unauthorized'],
  [403, 'registry-unauthorized'],
  [451, 'registry-error'],
] as const) {
  test(`status ${status} is asked for once, and told as what it is`, async (t) => {
    const it = await bench(t, (_, response) => {
      response.writeHead(status).end('not for you')
      return true
    })
    await assert.rejects(
      it.fetch({ connections: 1 }),
      failsWith(code, new RegExp(`cannot be fetched: registry\\.test answered with status ${status}: not for you$`)),
    )
    assert.equal(it.server.asked.length, 1)
  })
}

test('a status that may pass is tried again, and then told as what it is', async (t) => {
  const it = await bench(t, (_, response) => {
    response.writeHead(503).end('busy')
    return true
  })
  await assert.rejects(
    it.fetch({ connections: 1, attempts: 3 }),
    (error) =>
      failsWith(
        'registry-error',
        /^The part .*, after 3 tries in a row: registry\.test answered with status 503: busy$/,
      )(error) &&
      isOllamaConfigError(error) &&
      error.hint === 'the registry has a problem: try again later; what is there already is not fetched again',
  )
  assert.equal(it.server.asked.length, 3)
})

test('a disk that is too small is told of before anything is asked for', async (t) => {
  const it = await bench(t)
  const downloader = new Downloader()
  t.after(() => downloader.close())
  await assert.rejects(
    downloader.fetch({ digest: it.server.digest, sizeBytes: 2 ** 52, file: it.file, source: it.server.source }),
    failsWith('disk-full', /is full: it needs .* more, and has /),
  )
  assert.deepEqual(it.server.asked, [])
  // Looked at before the file got its size: that alone may fail, or take the room.
  assert.ok(!existsSync(it.file))
  assert.ok(!existsSync(journalOf(it.file)))
})

test('a quota that is used up is told as that, whatever the disk has left', async (t) => {
  const file = path.join(tempFolder(t), 'blob')
  const problem = await diskProblem(Object.assign(new Error('EDQUOT: no'), { code: 'EDQUOT' }), file, 3_000_000)
  failsWith('disk-full', /^Your quota on the disk of ".*" is used up: it needs 3 MB more$/)(problem)
  assert.match(String(isOllamaConfigError(problem) && problem.hint), /have the quota raised/)
})

test('a file that cannot be read back is not told as one that was not written', async (t) => {
  const it = await bench(t)
  const onProgress = (completed: number) => {
    if (completed === bytes.length) truncateSync(it.file, 10)
  }
  await assert.rejects(
    it.fetch({ onProgress }),
    failsWith('store-unreadable', /cannot be read back: the file is shorter/),
  )
})

test('a signal that is up already: nothing is asked for, nothing is written', async (t) => {
  const it = await bench(t)
  const reason = { why: 'test' }
  await assert.rejects(it.fetch({ signal: AbortSignal.abort(reason) }), (error) => error === reason)
  assert.deepEqual(it.server.asked, [])
  assert.ok(!existsSync(it.file))
})
