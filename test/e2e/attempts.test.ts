/** Pulls that break off, stand still or leave nothing: which are tried again, how often, and what is told of it. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Report } from '../../src/index.ts'
import type {
  Fault,
  OllamaServer,
  OllamaServerOptions,
  RegistryError,
  RegistryModel,
} from '../support/ollama-server.ts'
import { runCli, startServer, tempFolder } from '../support/run-cli.ts'

const pull = { path: '/api/pull' } as const
const slow: RegistryModel = { name: 'model', layers: [layer(4000)], bytesPerTick: 500 }

function layer(size: number) {
  return { mediaType: 'application/vnd.ollama.image.model', bytes: new Uint8Array(size).fill(7) }
}

interface Applied {
  readonly code: number
  readonly server: OllamaServer
  readonly stdout: string
  readonly stderr: string
  /** Pulls that the server was asked for. */
  readonly pulls: number
}

async function apply(
  t: TestContext,
  options: OllamaServerOptions,
  prepare: (server: OllamaServer) => void,
  ...words: string[]
): Promise<Applied> {
  const server = await startServer(t, options)
  prepare(server)
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['model'] } })
  const { code, stdout, stderr } = await runCli(['apply', '--yes', ...words], { cwd, env: { OLLAMA_HOST: server.url } })
  const pulls = server.requests.filter(({ path }) => path === pull.path).length
  assert.deepEqual(server.problems, [])
  return { code, server, stdout, stderr, pulls }
}

const passing: readonly [string, Fault, RegExp][] = [
  ['is cut', { kind: 'reset', afterLines: 3 }, /broke off/],
  ['is cut before its first line', { kind: 'reset', afterLines: 0 }, /broke off/],
  ['ends without a word', { kind: 'end', afterLines: 3 }, /broke off/],
  ['ends in half a line', { kind: 'truncate', afterLines: 3 }, /broke off/],
  ['meets a server that restarts', { kind: 'refuse' }, /broke off/],
  ['meets a busy server', { kind: 'status', status: 503, body: '{"error":"server busy"}' }, /server busy/],
  ['meets a proxy without a server', { kind: 'status', status: 502, body: '<html>' }, /does not reach Ollama/],
  [
    'loses its connection to the registry',
    error('max retries exceeded: unexpected EOF'),
    /does not reach the registry/,
  ],
  [
    'loses its stream to the registry',
    error('stream error: stream ID 1; INTERNAL_ERROR; received from peer'),
    /stream error/,
  ],
  [
    'is cut off on Windows',
    error('wsarecv: An existing connection was forcibly closed by the remote host.'),
    /forcibly/,
  ],
  ['takes the registry too long', error('pull model manifest: 408: Request Timeout'), /408/],
  ['is limited by the registry', error('pull model manifest: 429: slow down'), /429: slow down/],
  ['stands still', { kind: 'stall', afterLines: 3 }, /"model:latest" stood still/],
  ['gets no answer', { kind: 'stall' }, /"model:latest" stood still/],
]

function error(text: string): Fault {
  return { kind: 'body', body: `${JSON.stringify({ error: text })}\n`, contentType: 'application/x-ndjson' }
}

for (const [what, fault, says] of passing) {
  test(`a pull that ${what} is tried again`, async (t) => {
    const prepare = (server: OllamaServer) => server.fail(pull, fault, 1)
    const { code, server, stdout, stderr, pulls } = await apply(
      t,
      { registry: [slow] },
      prepare,
      ...(fault.kind === 'stall' ? ['--stall-timeout=1s'] : []),
    )
    assert.equal(code, 0, stderr)
    assert.equal(pulls, 2)
    assert.match(stderr, says)
    assert.match(stderr, /model:latest: attempt 2 follows in 0s: /)
    assert.match(stderr, /model:latest: pulled .*, 2 attempts/)
    assert.match(stdout, /Done: 1 pulled/)
    assert.deepEqual(server.installed(), ['model:latest'])
    // What was given up has to be over before it is asked for again.
    await server.waitForRequest({ ...pull, finished: true })
  })
}

test('where it stands still the connection is closed, and what came is not fetched again', async (t) => {
  const prepare = (server: OllamaServer) => server.fail(pull, { kind: 'stall', afterLines: 6 }, 1)
  const { server } = await apply(t, { registry: [slow] }, prepare, '--stall-timeout', '1s', '--json')
  const [first, second] = server.requests.filter(({ path }) => path === pull.path)
  assert.deepEqual([first?.aborted, first?.finished, second?.finished], [true, false, true])
})

const lasting: readonly RegistryError[] = [
  'missing',
  'unauthorized',
  'foreign-realm',
  'no-key',
  'too-new',
  'missing-blob',
  'plain-200',
  'disk-full',
  { status: 404, body: 'gone' },
  { status: 403, body: 'no' },
  { text: 'dial tcp: lookup registry.ollama.ai: no such host' },
  { text: 'tls: first record does not look like a TLS handshake' },
  { text: 'open /models: permission denied' },
  { text: 'max retries exceeded: write /models/blobs/x: input/output error' },
  { text: 'something new' },
]

for (const failure of lasting) {
  test(`what stays wrong is asked for once: ${JSON.stringify(failure)}`, async (t) => {
    const { code, stderr, pulls } = await apply(t, { registry: [{ name: 'model', error: failure }] }, () => {})
    assert.deepEqual([code, pulls], [1, 1], stderr)
    assert.doesNotMatch(stderr, /attempt/)
  })
}

test('what does not get further is given up after five attempts, bytes that come damaged after two', async (t) => {
  const unreachable = await apply(t, { registry: [{ name: 'model', error: 'unreachable' }] }, () => {}, '--json')
  assert.deepEqual([unreachable.code, unreachable.pulls, attemptsOf(unreachable)], [1, 5, 5])
  const damaged = await apply(t, { registry: [{ name: 'model', error: 'digest-mismatch' }] }, () => {}, '--json')
  assert.deepEqual([damaged.code, damaged.pulls, attemptsOf(damaged)], [1, 2, 2])
  const told = await apply(t, { registry: [{ name: 'model', error: 'unreachable' }] }, () => {})
  assert.match(told.stderr, /model:latest: failed after .*, 5 attempts/)
})

function attemptsOf({ stdout }: Applied): number | undefined {
  const last: { readonly report: Report } = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')
  return last.report.targets[0]?.results[0]?.attempts
}

test('as long as it gets further it is tried again and again', async (t) => {
  // The first lines of a later attempt tell of what came before: each gets two pieces further.
  const prepare = (server: OllamaServer) => server.fail(pull, { kind: 'reset', afterLines: 4 }, 7)
  const model = { ...slow, layers: [layer(40_000)], bytesPerTick: 2000 }
  const { code, pulls, stderr } = await apply(t, { registry: [model] }, prepare)
  assert.deepEqual([code, pulls], [0, 8], stderr)
})

test('a success after which a part is missing is pulled once more', async (t) => {
  const gone = { kind: 'status', status: 404, body: '{"error":"model \'model:latest\' not found"}' } as const
  const mended = await apply(t, { registry: [slow] }, (server) => server.fail({ path: '/api/show' }, gone, 1))
  assert.deepEqual([mended.code, mended.pulls], [0, 2], mended.stderr)
  const lost = await apply(t, { registry: [slow] }, (server) => server.fail({ path: '/api/show' }, gone))
  assert.deepEqual([lost.code, lost.pulls], [1, 2])
  assert.match(lost.stdout, /is not on .*, or a part of it is missing/)
})

test('a listing that fails for a moment after the pull is asked for again, and the model is not pulled again', async (t) => {
  const server = await startServer(t, { registry: [slow] })
  // The plan and the apply begin with one each.
  server.fail({ path: '/api/tags' }, { kind: 'slow', msPerLine: 0 }, 2)
  server.fail({ path: '/api/tags' }, { kind: 'status', status: 503, body: '{"error":"busy"}' }, 2)
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['model'] } })
  const { code, stderr } = await runCli(['apply', '--yes'], { cwd, env: { OLLAMA_HOST: server.url } })
  assert.equal(code, 0, stderr)
  assert.equal(server.requests.filter(({ path }) => path === pull.path).length, 1)
})
