/** What servers and registries answer: listings, details, streams, headers, errors. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { answerError } from '../../src/backend/answer-errors.ts'
import { buildError, uploadError } from '../../src/backend/build-errors.ts'
import type { CallContext } from '../../src/backend/errors.ts'
import { toHostError } from '../../src/backend/errors.ts'
import { pullError } from '../../src/backend/pull-errors.ts'
import { parseJson, readListing, readProgress, readVersion } from '../../src/backend/responses.ts'
import { secretsOf, withoutSecrets } from '../../src/backend/secrets.ts'
import { readDetails, readParameters } from '../../src/backend/shown.ts'
import { capabilitiesOf } from '../../src/backend/store-capabilities.ts'
import { OllamaConfigError } from '../../src/errors.ts'
import { differencesOf } from '../../src/plan/differences.ts'
import { parseChallenge, readToken, tokenRequest } from '../../src/registry/auth.ts'
import { failureAnswer, statusAnswer } from '../../src/registry/problems.ts'
import { KeyError, parsePrivateKey } from '../../src/registry/ssh-key.ts'
import { readLines } from '../../src/runtime/body.ts'
import type { HttpResponse } from '../../src/runtime/http.ts'
import { TransportError } from '../../src/runtime/transport-error.ts'
import { AnswerError, expectPart } from '../../src/transfer/source.ts'
import {
  anyText,
  assertVisible,
  damagedJson,
  holds,
  hostileText,
  many,
  outcomeOf,
  promptly,
  readsLargeTexts,
} from './hostile-input.ts'

const context: CallContext = {
  origin: 'http://127.0.0.1:11434',
  loopback: true,
  socket: false,
  method: 'POST',
  path: '/api/pull',
  model: 'qwen3:8b',
  serverVersion: '0.33.0',
}
const hex = 'ab'.repeat(32)
const listed = {
  models: [
    {
      name: 'qwen3:8b',
      model: 'qwen3:8b',
      modified_at: '2026-01-01T00:00:00Z',
      size: 4_683_087_332,
      digest: hex,
      remote_host: 'https://ollama.com:443',
      details: { parent_model: 'base', format: 'gguf', families: ['llama'] },
    },
    { name: 'x:local', size: 1, digest: hex, details: null },
  ],
}

holds(
  'a listing is refused with an error of ours, or its texts are visible and its numbers are some',
  damagedJson(listed),
  (text) => {
    const read = outcomeOf(() => readListing(text, context))
    if ('error' in read) return
    for (const { reference, sizeBytes, parentModel = '', remoteHost = '', digest } of read.value.models) {
      assert.match(reference.model, /^[\w.-]+$/)
      assert.ok(Number.isSafeInteger(sizeBytes) && sizeBytes >= 0)
      for (const said of [parentModel, remoteHost, digest]) assertVisible(said)
    }
    for (const name of read.value.unreadable) assertVisible(name)
  },
)

holds('the version of a server is a visible text, or none', damagedJson({ version: '0.33.0' }), (text) => {
  assertVisible(readVersion(text) ?? '')
})

const progress = { status: 'pulling', digest: `sha256:${hex}`, total: 10, completed: 5 }

holds('a line of a pull is refused with an error of ours, or is shown as it is', damagedJson(progress), (text) => {
  const read = outcomeOf(() => readProgress(parseJson(text, context), context))
  if ('error' in read) return
  const { status, digest = '', completedBytes = 0, totalBytes = 0 } = read.value
  assertVisible(status)
  assertVisible(digest)
  assert.ok(Number.isSafeInteger(completedBytes) && Number.isSafeInteger(totalBytes))
})

const modelfile = `# x\nFROM /root/.ollama/models/blobs/sha256-${hex}\nADAPTER /x/blobs/sha256-${hex}\nTEMPLATE """{{ .Prompt }}\n"x\n"""\nSYSTEM "a\nb"\nRENDERER r\nPARSER p\nPARAMETER stop "a"\nLICENSE """x"""\n`
const shown = {
  license: 'MIT',
  modelfile,
  parameters:
    'stop                           "a"\nstop                           "\\u202e"\nnum_ctx                        4096',
  template: '{{ .Prompt }}\n"x\n',
  system: 'a\nb',
  messages: [{ role: 'user', content: 'x' }],
  details: { family: 'llama', families: ['llama'], format: 'gguf', parameter_size: '8B', quantization_level: 'Q4_0' },
  model_info: { 'general.architecture': 'llama', 'general.parameter_count': 8 },
  capabilities: ['completion', 'tools'],
  requires: '0.14.0',
}
const noFiles = { files: [], adapters: [] }
const build = {
  from: 'x',
  system: 'y',
  template: null,
  parameters: { num_ctx: 1 },
  messages: [],
  licenses: [],
  renderer: null,
  parser: null,
  requires: null,
}

holds('details are refused with an error of ours, or what is shown of them is visible', damagedJson(shown), (text) => {
  const read = outcomeOf(() => readDetails(parseJson(text, context), context))
  if ('error' in read) return
  const { capabilities, family, format, parameterSize, quantization, renderer, parser, weightsFile } = read.value
  for (const said of [family, format, parameterSize, quantization, renderer, parser, weightsFile])
    assertVisible(said ?? '')
  for (const capability of capabilities) assertVisible(capability)
  for (const base of [null, read.value])
    for (const { field, text: said } of differencesOf(read.value, base, build, noFiles)) {
      assertVisible(field)
      assertVisible(said)
    }
})

holds('parameters as a server prints them', anyText(shown.parameters), (text) => {
  for (const value of Object.values(readParameters(text)).flat())
    assert.ok(typeof value !== 'number' || Number.isFinite(value))
})

const errorBodies = [
  '{"error":"model \'x\' not found"}',
  '{"error":"pull model manifest: 412: requires a newer version of Ollama"}',
  '{"error":"max retries exceeded: Get \\"https://r/v2\\": dial tcp: lookup r: no such host"}',
  '{"error":"realm host \\"a\\" does not match original host \\"b\\""}',
  'stat /x/y: no such file or directory',
  '<html><body>502 Bad Gateway</body></html>',
]
const paths = ['/api/pull', '/api/show', '/api/create', '/api/tags', '/api/delete', `/api/blobs/sha256:${hex}`]

holds(
  'whatever a server answers is an error of ours, in visible words',
  fc.record({
    status: fc.oneof(fc.constantFrom(200, 301, 400, 401, 403, 404, 405, 407, 412, 429, 500, 502, 503, 504), fc.nat()),
    body: anyText(...errorBodies),
    location: fc.option(anyText('https://user:pw@h.example/x?y#z'), { nil: undefined }),
    path: fc.constantFrom(...paths),
    model: fc.option(hostileText, { nil: undefined }),
  }),
  ({ path, model, ...answer }) => {
    const call = { ...context, path, ...(model === undefined ? {} : { model }) }
    const errors = [answerError(answer, call), pullError(answer.body, call), buildError(answer.body, call)]
    for (const error of [...errors, uploadError(answer, call)]) {
      if (error === undefined) continue
      const told = outcomeOf(() => {
        throw error
      })
      assert.ok('error' in told)
      assertVisible(String(told.error.details?.['serverMessage'] ?? ''))
    }
  },
)

holds(
  'whatever a connection fails with is an error of ours, in visible words',
  fc.record({
    problem: fc.constantFrom('timeout', 'too-large', 'interrupted', 'network', 'proxy', 'redirect', 'cancelled'),
    message: hostileText,
    code: fc.option(fc.oneof(fc.constantFrom('EPROTO', 'CERT_EXPIRED', 'HPE_X', 'ECONNRESET'), hostileText), {
      nil: undefined,
    }),
  }),
  ({ problem, message, code }) => {
    const error = new TransportError(problem, message, code === undefined ? {} : { code })
    outcomeOf(() => {
      throw toHostError(error, context)
    })
    for (const thrown of [error, new Error(message), message]) {
      const answer = failureAnswer(thrown, 'r.example')
      if ('problem' in answer) assertVisible(answer.problem)
    }
  },
)

holds(
  'what a registry says beside a manifest',
  fc.tuple(fc.nat({ max: 600 }), anyText(...errorBodies)),
  ([status, body]) => {
    const answer = statusAnswer(status, body, 'r.example')
    if ('problem' in answer) assertVisible(answer.problem)
  },
)

const challenge = 'Bearer realm="https://r.example/token",service="r.example",scope="repository:a/b:pull x"'

holds(
  'a challenge leads to one place with nothing but what was asked, or is none',
  anyText(challenge, challenge.replace('"https', 'https')),
  (header) => {
    const read = parseChallenge(header)
    if (read === undefined) return
    const key = { publicKey: 'AAAA', sign: () => 'c2ln' }
    const { url, authorization } = tokenRequest(read, key, 'nonce', 0)
    assert.equal(url.host, read.realm.host)
    assert.match(authorization, /^[\x21-\x7e]+$/)
    assert.match(url.href, /^[\x21-\x7e]*$/)
    assert.equal(
      url.searchParams.getAll('service').at(-1),
      new URL(`http://x/?${new URLSearchParams({ s: read.service })}`).searchParams.get('s'),
    )
  },
)

holds('a token can end no header', damagedJson({ token: 'abc.def' }), (text) => {
  assert.match(readToken(text) ?? 'none', /^[\x21-\x7e]+$/)
})

holds(
  'a key is read, or refused in visible words',
  anyText('-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----'),
  (text) => {
    try {
      parsePrivateKey(text)
    } catch (error) {
      assert.ok(error instanceof KeyError, String(error))
      assertVisible(error.message)
    }
  },
)

const range = { from: 100, to: 200 }

holds(
  'a part is what was asked for, or is refused in visible words',
  fc.record({
    status: fc.constantFrom(200, 206, 404, 410, 416, 429, 500),
    'content-range': anyText('bytes 100-199/1000', 'bytes 100-150/*'),
    'content-length': anyText('1000', '100'),
    'content-encoding': fc.oneof(fc.constantFrom('identity', 'gzip'), hostileText),
    'retry-after': anyText('3'),
    said: hostileText,
    asked: fc.boolean(),
  }),
  async ({ status, said, asked, ...headers }) => {
    const response: HttpResponse = {
      status,
      header: (name) => Object.entries(headers).find(([key]) => key === name)?.[1],
      body: (async function* () {
        yield new TextEncoder().encode(said)
      })(),
      consume: async () => {},
      cancel: () => {},
    }
    try {
      const part = await expectPart(response, asked ? range : undefined, 1000)
      if (asked) assert.ok(part.from === 100 && part.to > 100 && part.to <= 200)
      else assert.deepEqual(part, { from: 0, to: 1000 })
    } catch (error) {
      assert.ok(error instanceof AnswerError, String(error))
      assertVisible(error.message)
      assert.ok((error.retryAfterMs ?? 0) <= 60_000)
    }
  },
)

holds(
  'a stream is cut into its lines, wherever it was cut on its way',
  fc.tuple(anyText('{"status":"x"}\n{"error":"y"}\n'), fc.nat({ max: 7 })),
  async ([text, size]) => {
    const bytes = new TextEncoder().encode(text)
    const pieces = async function* () {
      for (let at = 0; at < bytes.length; at += size + 1) yield bytes.subarray(at, at + size + 1)
    }
    const lines: string[] = []
    for await (const line of readLines(pieces(), 10_000)) lines.push(line.text)
    const expected = new TextDecoder()
      .decode(bytes)
      .split('\n')
      .filter((line) => line.trim() !== '')
    assert.deepEqual(lines, expected)
  },
)

holds(
  'no secret of six characters or more is left in an error',
  fc.tuple(
    // No header ends in white space.
    fc.string({ unit: 'binary', minLength: 6, maxLength: 40 }).filter((text) => text.trim() === text),
    hostileText,
    fc.constantFrom('', 'Bearer ', 'Basic '),
  ),
  ([secret, around, scheme]) => {
    const secrets = secretsOf({ authorization: scheme + secret })
    const error = new OllamaConfigError('host-error', `${around}${secret}${around}`, {
      hint: secret,
      details: { said: secret },
    })
    const { message, hint, details } = withoutSecrets(error, secrets)
    // What is left may only be the stars, or what stood around it.
    for (const text of [message.slice(around.length, message.length - around.length), hint, details?.['said']])
      assert.ok(!String(text).includes(secret) || '***'.includes(secret), String(text))
  },
)

holds(
  'what a model can do is told in visible words',
  fc.tuple(damagedJson(shown), anyText('{{ range .Messages }}{{ .Thinking }}{{ end }}')),
  ([text, template]) => {
    const config = outcomeOf(() => parseJson(text, context))
    if ('error' in config) return
    for (const capability of capabilitiesOf({ config: config.value, projectors: [], template }))
      assertVisible(capability)
  },
)

const detailsOf = (fields: object) => readDetails({ ...shown, ...fields }, context)

readsLargeTexts(
  {
    'a listing': (text) => readListing(text, context),
    'a name in a listing': (text) =>
      readListing(JSON.stringify({ models: [{ ...listed.models[0], name: text }] }), context),
    'a version': readVersion,
    parameters: readParameters,
    'a Modelfile': (text) => detailsOf({ modelfile: text }),
    'a template': (text) => detailsOf({ modelfile: `TEMPLATE ${text}\nSYSTEM x` }),
    'a quoted template': (text) => detailsOf({ modelfile: `TEMPLATE "${text}`, system: '' }),
    'a template in three quotes': (text) => detailsOf({ modelfile: `TEMPLATE """${text}`, system: '' }),
    'a system prompt': (text) => detailsOf({ modelfile: `TEMPLATE ${text}\nSYSTEM ${text}`, system: text }),
    'a licence': (text) => detailsOf({ license: text, modelfile: `TEMPLATE ${text}\nLICENSE ${text}` }),
    'the error of a pull': (text) => pullError(text, context),
    'the error of a build': (text) => buildError(text, context),
    'an answer': (text) => answerError({ status: 400, body: JSON.stringify({ error: text }), location: text }, context),
    'a redirect': (text) => answerError({ status: 302, body: text, location: text }, context),
    'a challenge': (text) => parseChallenge(`Bearer ${text}`),
    'a scope': (text) =>
      tokenRequest(
        { realm: new URL('https://r/'), service: 'x', scope: text },
        { publicKey: 'a', sign: () => 'b' },
        'n',
        0,
      ),
    'a token': readToken,
    'a key': (text) => assert.throws(() => parsePrivateKey(text), KeyError),
    'what a registry says': (text) => statusAnswer(500, text, 'r'),
    // Messages are cut before, and a header is no longer than a server takes.
    'an error with a secret in it': (text) =>
      withoutSecrets(
        new OllamaConfigError('host-error', `${text.slice(0, 1000)}…`),
        secretsOf({ a: text.slice(0, 8192) }),
      ),
  },
  'stop "a"\n',
  '"\nPARAMETER ',
  '\nSYSTEM a',
  'realm=" ',
  'a b ',
  'LICENSE """',
)

test('very many models are read, and so are as many parameters of one', () => {
  const models = Array.from({ length: many }, (_, index) => ({ ...listed.models[0], name: `m${index}` }))
  assert.equal(readListing(JSON.stringify({ models }), context).models.length, many)
  const lines = Array.from({ length: many * 2 }, (_, index) => `${`p${index}`.padEnd(30)} 1`).join('\n')
  const details = promptly(() => detailsOf({ parameters: lines }))
  assert.ok(promptly(() => differencesOf(details, details, build, noFiles)).length > 0)
})
