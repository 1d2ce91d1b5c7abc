/** The test registry and the pulls of the test server against recordings of what a real server asked a registry. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { assertSameAnswer } from './conformance/compare.ts'
import { loopbackRegistry, readFixture, servedModels } from './conformance/recorded-registry.ts'
import {
  inOrder,
  type RecordedRequest,
  type RegistryRecording,
  recordedEntry,
  replayedEntry,
} from './conformance/registry-log.ts'
import { type RegistryScenario, registryScenarios } from './conformance/registry-scenarios.ts'
import { type Answer, type RecordedExchange, type Recording, replay } from './conformance/replay.ts'
import { startOllamaServer } from './ollama-server.ts'
import { makeOllamaKey, startRegistry, type TestRegistry } from './registry.ts'

for (const [name, scenario] of Object.entries(registryScenarios)) {
  const log = readFixture(`${name}.registry`) as RegistryRecording

  test(`a pull asks the registry as recorded in ${name}`, async () => {
    const { exchanges } = readFixture(name) as Recording
    const folder = await mkdtemp(join(tmpdir(), 'ollama-key-'))
    await using _folder = { [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) }
    const key = await makeOllamaKey(folder)
    await using registry = await startFor(scenario, log)
    registry.authorize(key.publicKey)
    await using server = await startOllamaServer({
      registries: { 'registry.ollama.ai': registry.url, [loopbackRegistry]: registry.url },
      ...(scenario.hasKey === true ? { keyFile: key.file } : {}),
    })
    scenario.setup?.(registry, server)
    for (const [index, exchange] of exchanges.entries()) {
      if (exchange.request.path !== '/api/pull') continue
      const answer = withoutProgress(await replay(server.url, exchange))
      assertSameAnswer(answer, recordedWithoutProgress(exchange), `${name}, exchange ${index}`)
    }
    const asked = inOrder(registry.requests.map(replayedEntry))
    assert.deepEqual(asked, inOrder(log.requests.map(recordedEntry)))
    assert.deepEqual([...registry.problems, ...server.problems], [])
  })

  test(`the registry answers as recorded in ${name}`, async () => {
    await using registry = await startFor(scenario, log)
    await using server = await startOllamaServer()
    scenario.setup?.(registry, server)
    for (const recorded of log.requests.filter(isRepeatable)) {
      const { body_text, body_bytes_sent } = recorded.response
      const body = await sendAgain(registry, recorded)
      const entry = registry.requests.map(replayedEntry).at(-1)
      const expected = recordedEntry(recorded)
      const where = expected.asked
      assert.deepEqual(entry?.answered, expected.answered, where)
      assert.equal(entry?.status, expected.status, where)
      if (body_text !== undefined) assert.equal(body.toString(), body_text.replaceAll('5060', registry.host.slice(10)))
      if (body_bytes_sent !== undefined) assert.equal(body.length, body_bytes_sent, where)
    }
  })
}

/** A signature or token of then opens nothing now; the other test has these. */
function isRepeatable({ request }: RecordedRequest): boolean {
  return request.headers['Authorization'] === undefined
}

async function startFor({ models = [] }: RegistryScenario, { requests }: RegistryRecording): Promise<TestRegistry> {
  const content = servedModels()
  const added = models.map((model) => {
    const known = content.find(({ name }) => name === `${model.name}:latest`)
    return { ...(known ?? {}), ...model, ...recordedContent(model.name, requests, known) }
  })
  return await startRegistry({ models: [...content, ...added] })
}

/** Models that are only in the log: their manifest, and blobs of the recorded sizes where anybody asked for them. */
function recordedContent(name: string, requests: RecordedRequest[], known: object | undefined) {
  if (known !== undefined) return {}
  const path = `/v2/${name}/manifests/latest`
  const manifest = requests.find(({ request, response }) => request.path === path && response.status === 200)
  const text = manifest?.response.body_text
  return text === undefined ? {} : { manifest: text, fill: { byte: 1 } }
}

async function sendAgain(registry: TestRegistry, { request }: RecordedRequest): Promise<Buffer> {
  const { Host = '', 'User-Agent': agent = '', ...others } = request.headers
  // The gate by version lets development builds, which the recorded server was, through.
  const headers = { ...others, 'User-Agent': agent.replace('ollama/0.0.0', 'ollama/0.33.0') }
  const port = registry.host.slice('127.0.0.1:'.length)
  const host = /^(localhost|cdn\.registry\.test)/.test(Host) ? `localhost:${port}` : registry.host
  const path = request.path.replace(/^\/(corrupt|cdnerror)\//, '/cdn/')
  return await new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path, method: request.method, headers: { ...headers, Host: host } }
    const outgoing = httpRequest({ ...options, agent: false }, (incoming) => {
      const chunks: Uint8Array[] = []
      incoming.on('data', (chunk: Uint8Array) => chunks.push(chunk))
      incoming.on('error', reject)
      incoming.on('end', () => resolve(Buffer.concat(chunks)))
    })
    outgoing.on('error', reject)
    outgoing.end()
  })
}

/** How many lines tell of bytes on their way is a matter of time; the lines for blobs that were there stay. */
function isProgress(line: Record<string, unknown>): boolean {
  return 'digest' in line && line['completed'] !== line['total']
}

function withoutProgress(answer: Answer): Answer {
  const lines = answer.text.split(/(?<=\n)/).filter((line) => !line.endsWith('\n') || !isProgress(JSON.parse(line)))
  return { ...answer, text: lines.join('') }
}

function recordedWithoutProgress(exchange: RecordedExchange): RecordedExchange {
  const { lines } = exchange.response
  if (lines === undefined) return exchange
  return { ...exchange, response: { ...exchange.response, lines: lines.filter((line) => !isProgress(line)) } }
}
