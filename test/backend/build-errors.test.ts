/** Why a build or an upload failed: every text of the recordings, and what it is made to mean. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { buildError, uploadError } from '../../src/backend/build-errors.ts'
import type { CallContext } from '../../src/backend/errors.ts'

const context: CallContext = {
  origin: 'http://127.0.0.1:11434',
  loopback: true,
  socket: false,
  method: 'POST',
  path: '/api/create',
  serverVersion: '0.33.0',
  model: 'mine:latest',
}

interface Exchange {
  readonly request: { readonly path: string }
  readonly response: {
    readonly body?: { readonly error?: string }
    readonly lines?: readonly { readonly error?: string }[]
  }
}

/** Every error text of every recorded create. */
function recordedTexts(): readonly string[] {
  const folder = new URL('../fixtures/transcripts/', import.meta.url)
  const files = readdirSync(folder).filter((name) => name.startsWith('create-') && name.endsWith('.json'))
  return files.flatMap((name) => {
    const { exchanges }: { readonly exchanges: readonly Exchange[] } = JSON.parse(
      readFileSync(new URL(name, folder), 'utf8'),
    )
    return exchanges
      .filter(({ request }) => request.path === '/api/create')
      .flatMap(({ response }) => [response.body?.error, ...(response.lines ?? []).map(({ error }) => error)])
      .filter((text) => text !== undefined)
  })
}

test('no recorded text is without a meaning, a name and a hint, and each is kept as it was said', () => {
  const texts = [...new Set(recordedTexts())]
  assert.ok(texts.length >= 15, String(texts.length))
  for (const text of texts) {
    const { code, message, hint, details } = buildError(text, context)
    assert.equal(code, 'build-failed', text)
    assert.match(message, /^Model "mine:latest" cannot be built: ./, text)
    assert.doesNotMatch(message, /[.\n]$/, text)
    assert.ok(hint, text)
    assert.ok(String(details?.['serverMessage']).startsWith(text.slice(0, 40)), text)
  }
})

const meanings: readonly [string, RegExp][] = [
  [
    'template error: template: :1: unclosed action',
    /: its template is wrong: template: :1: unclosed action \| mend "template"/,
  ],
  [
    'quantization is only supported for F16, BF16 and F32 models',
    /only weights in F16, BF16 or F32 can be quantized \| drop/,
  ],
  [
    'unsupported quantization type NONSENSE - supported types are F32, F16, Q4_K_S, Q4_K_M, Q8_0',
    /NONSENSE.*\| choose another/,
  ],
  ['supplied file was not in GGUF format', /no GGUF file \| check "gguf" and "adapters"/],
  ['unknown type', /no GGUF file/],
  ['no files provided to convert', /no GGUF file/],
  ['only one adapter is currently supported', /takes one adapter \| drop all "adapters" but one/],
  ['open $OLLAMA_MODELS/blobs/sha256-12: no such file or directory', /a moment ago is gone \| try again/],
  ['json: cannot unmarshal number into Go value of type []string', /cannot unmarshal number.*\| look at the log/],
]

for (const [text, says] of meanings) {
  test(`a build that fails with ${JSON.stringify(text)}`, () => {
    const { message, hint } = buildError(text, context)
    assert.match(`${message} | ${hint}`, says)
  })
}

test('a server without llama-quantize is told so, though the text is of files that are not there', () => {
  const text = recordedTexts().find((said) => said.includes('llama-quantize'))
  assert.ok(text !== undefined)
  const { code, message, hint } = buildError(text, context)
  assert.equal(code, 'build-failed')
  assert.match(message, /the server cannot work on GGUF files/)
  assert.match(hint ?? '', /Ollama 0\.30/)
  assert.ok(message.length < 500)
})

test('a full disk is no fault of the declaration', () => {
  const { code, message } = buildError('write /models/blobs/sha256-12: no space left on device', context)
  assert.notEqual(code, 'build-failed')
  assert.match(message, /^Model "mine:latest" cannot be built: /)
})

test('hostile text stays on one line, without control characters', () => {
  const { message } = buildError(`template error: \u001b[31m${'x'.repeat(9000)}\nSecond: line`, context)
  assert.doesNotMatch(message, /[\x00-\x1f]/)
  assert.ok(message.length < 500)
})

test('only a mismatch is an upload that was other bytes', () => {
  const upload = { ...context, path: '/api/blobs/sha256:12' }
  const mismatch = '{"error":"digest mismatch, expected \\"sha256:1\\", got \\"sha256:2\\""}'
  assert.equal(uploadError({ status: 400, body: mismatch }, upload)?.code, 'digest-mismatch')
  assert.equal(uploadError({ status: 400, body: '{"error":"invalid digest format"}' }, upload), undefined)
  assert.equal(uploadError({ status: 500, body: mismatch }, upload), undefined)
})
