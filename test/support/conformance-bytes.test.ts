/** Derived models against the recorded ones, byte for byte: manifest, config, layers, digest, and the lines on the way. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { readFixture, recorded } from './conformance/recorded-registry.ts'
import type { Line, Recording } from './conformance/replay.ts'
import { type OllamaServer, type StoredLayer, startOllamaServer } from './ollama-server.ts'

interface RecordedBlob {
  mediaType: string
  digest: string
  base64: string
}

interface Listed {
  name: string
  model: string
  size: number
  digest: string
  details: object
}

interface RecordedCase {
  case: string
  description: string
  request: { model: string; from?: string; files?: Record<string, string>; adapters?: Record<string, string> }
  lines: Line[]
  tags_entry: Listed
  stored: { manifest: { base64: string }; config: RecordedBlob; layers: RecordedBlob[] }
}

const { bases, cases } = readFixture('bytes-derived') as { bases: Record<string, unknown>; cases: RecordedCase[] }

const notBuilt: Record<string, string> = { stub: 'the test server builds no remote stubs' }

/** Cases build on earlier ones, so that all of them go to one server. */
test('models are stored as recorded in bytes-derived', async (t) => {
  await using server = await startOllamaServer({ version: '0.0.0' })
  for (const name of Object.keys(bases)) server.install(recorded(name))
  for (const { request } of cases.filter((entry) => entry.case.startsWith('length-'))) {
    server.install({ ...recorded('small'), name: request.from ?? '' })
  }
  for (const bytes of uploads()) await upload(server, bytes)
  for (const entry of cases) {
    const options = { skip: notBuilt[entry.case] ?? false }
    await t.test(`${entry.case}: ${entry.description}`, options, () => assertSameBytes(server, entry))
  }
  assert.deepEqual(server.problems, [])
})

/** Files that the two cases with files name. */
function uploads(): Buffer[] {
  const { exchanges } = readFixture('create-gguf-file') as Recording
  return exchanges.flatMap(({ request }) =>
    request.body_base64 === undefined ? [] : [Buffer.from(request.body_base64, 'base64')],
  )
}

async function upload(server: OllamaServer, bytes: Buffer): Promise<void> {
  const hash = Buffer.from(await crypto.subtle.digest('SHA-256', new Uint8Array(bytes))).toString('hex')
  const url = `${server.url}/api/blobs/sha256:${hash}`
  const { status } = await fetch(url, { method: 'POST', body: new Uint8Array(bytes) })
  assert.equal(status, 201)
}

async function assertSameBytes(server: OllamaServer, { request, lines, stored, tags_entry }: RecordedCase) {
  const response = await fetch(`${server.url}/api/create`, { method: 'POST', body: JSON.stringify(request) })
  const sent = (await response.text()).trim().split('\n')
  assert.deepEqual(sent.map(withoutAge), lines.map((line) => JSON.stringify(line)).map(withoutAge))
  const built = server.stored(request.model)
  assert.deepEqual(built.config && comparable(built.config), recordedBlob(stored.config))
  assert.deepEqual(built.layers.map(comparable), stored.layers.map(recordedBlob))
  assert.equal(built.manifest, Buffer.from(stored.manifest.base64, 'base64').toString())
  const listing = (await (await fetch(`${server.url}/api/tags`)).json()) as { models: Listed[] }
  const listed = listing.models.find(({ name }) => name === tags_entry.name)
  assert.deepEqual(listed && factsOf(listed), factsOf(tags_entry))
}

/** The recorded store still had layers of earlier attempts. */
function withoutAge(line: string): string {
  return line.replace(/creating new|using existing/, '(…)')
}

/** All but the time and the capabilities, of which the test server knows only those of the base. */
function factsOf({ name, model, size, digest, details }: Listed): Listed {
  return { name, model, size, digest, details }
}

function comparable({ mediaType, digest, bytes }: StoredLayer): object {
  return { mediaType, digest, text: Buffer.from(bytes ?? []).toString('latin1') }
}

function recordedBlob({ mediaType, digest, base64 }: RecordedBlob): object {
  return { mediaType, digest, text: Buffer.from(base64, 'base64').toString('latin1') }
}
