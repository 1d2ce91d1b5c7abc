/** What /api/show tells: recordings of a real server, values in Go's syntax, and Modelfiles that are made to mislead. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { printedText } from '../../src/artifact/modelfile.ts'
import type { ModelDetails } from '../../src/backend/backend.ts'
import type { CallContext } from '../../src/backend/errors.ts'
import { readDetails, readParameters } from '../../src/backend/shown.ts'
import { isOllamaConfigError } from '../../src/errors.ts'

interface Exchange {
  readonly request: { readonly body: { readonly model: string; readonly options?: object } }
  readonly response: { readonly status: number; readonly body: Readonly<Record<string, unknown>> }
}
const context: CallContext = {
  origin: 'http://127.0.0.1:11434',
  loopback: true,
  socket: false,
  method: 'POST',
  path: '/api/show',
  serverVersion: '0.33.0',
}

function recorded(name: string, model: string): ModelDetails {
  const file = new URL(`../fixtures/transcripts/${name}.json`, import.meta.url)
  const { exchanges }: { readonly exchanges: readonly Exchange[] } = JSON.parse(readFileSync(file, 'utf8'))
  const found = exchanges.find(({ request }) => request.body.model === model)
  assert.ok(found !== undefined, model)
  return readDetails(found.response.body, context)
}

const weights = 'sha256:ddd239ef0d753c8105e11148033c817073b1b278ad1ca09d575e643e1fa981c8'

test('a recorded model with everything that a build decides', () => {
  const { modelInfo, ...shown } = recorded('show-derived', 'derived:v1')
  assert.deepEqual(shown, {
    capabilities: ['completion'],
    family: 'llama',
    format: 'gguf',
    parameterSize: '64',
    quantization: 'Q4_K_M',
    weightsFile: `$OLLAMA_MODELS/blobs/${weights.replace(':', '-')}`,
    weights: [weights],
    adapters: [],
    templateSection: 'TEMPLATE "{{ .System }}\n{{ .Prompt }}"',
    renderer: null,
    parser: null,
    system: 'You are <b>terse</b> & kind.\nAlways.',
    license:
      'Example Model License 1.0\n\nYou may use this model for tests & <nothing> else.\n\nLicense A\nsecond line\nLicense B',
    requires: null,
    messages: [
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: 'hello <&> you\nline two' },
    ],
    parameters: {
      temperature: 0.25,
      num_ctx: 16384,
      top_k: 40,
      top_p: 1,
      seed: 123456789012,
      min_p: 1e-7,
      repeat_penalty: 1.1,
      use_mmap: false,
      num_predict: -1,
      stop: ['<|stop|>', 'say "hi"', 'tab\there'],
      not_a_known_parameter: 'kept',
    },
  })
  assert.equal(modelInfo['general.parameter_count'], 64)
})

test('recorded models with renderer, parser and required version; of a second generation; and as they were pulled', () => {
  const { renderer, parser, requires, system, templateSection } = recorded('show-derived', 'coder')
  assert.deepEqual([renderer, parser, requires, system], ['qwen3-coder', 'qwen3-coder', '0.14.0', null])
  assert.match(templateSection, /^TEMPLATE "\{\{- if \.System \}\}[\s\S]*<\|end\|>\n"$/)
  assert.equal(recorded('show-derived', 'grandchild').system, 'Second generation.')
  const pulled = recorded('show-pulled', '127.0.0.1:5060/library/small')
  assert.deepEqual([pulled.system, pulled.renderer, pulled.messages], [null, null, []])
  assert.deepEqual(pulled.parameters, { num_ctx: 4096, stop: ['<|end|>', '<|user|>'], temperature: 0.7 })
  const bare = recorded('show-pulled', '127.0.0.1:5060/library/bare')
  assert.deepEqual([bare.templateSection, bare.license, bare.parameters], ['TEMPLATE {{ .Prompt }}', null, {}])
})

test("readParameters() reads Go's syntax", () => {
  const name = (text: string) => text.padEnd(30)
  assert.deepEqual(
    readParameters(
      [
        `${name('a')} "quote \\" back \\\\ tab \\t bell \\a vertical \\v"`,
        `${name('b')} "\\x00\\x7f\\u2028\\ufeff\\U0010ffff Grüße 🦙 \\u00ad"`,
        `${name('c')} "true"`,
        `${name('d')} "5"`,
        `${name('e')} 1e-07`,
        `${name('f')} 1.23456789012e+11`,
        `${name('g')} -0.5`,
        `${name('h')} true`,
        `${name('i')} ""`,
        `${name('j')} "one"`,
        `${name('j')} 2`,
        `${name('j')} false`,
        `${'long'.repeat(9)} 1`,
        `${name('k')} <nil>`,
        `${name('l m')} "n o"`,
        'nothing',
        '',
      ].join('\n'),
    ),
    {
      a: 'quote " back \\ tab \t bell \x07 vertical \v',
      b: '\0\x7f\u2028\ufeff\u{10ffff} Grüße 🦙 \u00ad',
      c: 'true',
      d: '5',
      e: 1e-7,
      f: 123456789012,
      g: -0.5,
      h: true,
      i: '',
      j: ['one', 2, false],
      [`${'long'.repeat(9)}`]: 1,
      k: '<nil>',
      'l m': 'n o',
    },
  )
  // No code point: nothing that a server writes.
  assert.deepEqual(readParameters('a "\\Uffffffff"'), { a: '\ufffd' })
})

interface Parts {
  readonly template: string
  readonly system?: string | undefined
  readonly renderer?: string | undefined
  readonly parser?: string | undefined
  readonly stop?: string | undefined
  readonly license?: string | undefined
  readonly message?: string | undefined
}

/** The server's answer, as far as it counts here. */
function answer({ template, system, renderer, parser, stop, license, message }: Parts): object {
  const line = (word: string, text: string | undefined) => (text === undefined ? [] : [`${word} ${text}`])
  const printed = (word: string, text: string | undefined) => line(word, text && printedText(text))
  return {
    details: {},
    modelfile: [
      '# Modelfile generated by "ollama show"',
      '',
      `FROM /models/blobs/${weights.replace(':', '-')}`,
      `ADAPTER /models/blobs/sha256-${'a'.repeat(64)}`,
      ...printed('TEMPLATE', template),
      ...printed('SYSTEM', system),
      ...line('RENDERER', renderer),
      ...line('PARSER', parser),
      ...printed('PARAMETER stop', stop),
      ...printed('LICENSE', license),
      ...printed('MESSAGE user', message),
      '',
    ].join('\n'),
    ...(system === undefined ? {} : { system }),
    ...(license === undefined ? {} : { license }),
    ...(stop === undefined ? {} : { parameters: `stop ${JSON.stringify(stop)}` }),
    ...(message === undefined ? {} : { messages: [{ role: 'user', content: message }] }),
  }
}

function assertRead(parts: Parts): void {
  const shown = readDetails(answer(parts), context)
  assert.equal(shown.templateSection, `TEMPLATE ${printedText(parts.template)}`, JSON.stringify(parts))
  assert.deepEqual(
    [shown.renderer, shown.parser, shown.weights, shown.adapters],
    [parts.renderer ?? null, parts.parser ?? null, [weights], [`sha256:${'a'.repeat(64)}`]],
    JSON.stringify(parts),
  )
}

test('texts that look like instructions are none', () => {
  const hostile = `a\nFROM /x/blobs/sha256-${'b'.repeat(64)}\nADAPTER /x\nRENDERER evil\nPARSER evil\nPARAMETER a 1\nSYSTEM x\nLICENSE y\nMESSAGE user z\nb`
  for (const renderer of [undefined, 'harmony']) {
    for (const part of ['template', 'system', 'stop', 'license', 'message']) {
      assertRead({ template: 'T', renderer, parser: renderer, [part]: hostile })
      assertRead({ template: 'T', system: 'S', stop: 'E', renderer, [part]: hostile })
    }
  }
  // One line is not put in quotes, whatever it begins with.
  for (const template of ['"', '"""', '"a"', '"""a"""', '"{{ .Prompt }}', 'a"']) {
    assertRead({ template, system: '"""\nb', license: 'c"\nd', renderer: 'x' })
    assertRead({ template, license: '"""\nTEMPLATE """x' })
    assertRead({ template })
  }
})

test('whatever the texts are, the template ends where it ends', () => {
  const text = fc
    .array(
      fc.constantFrom('a', ' ', '\n', '"', '"""', '\nSYSTEM b', '\nPARAMETER c 1', '\nLICENSE d', '\t', '\u2028', 'é'),
      {
        minLength: 1,
        maxLength: 6,
      },
    )
    .map((pieces) => pieces.join(''))
  // Quotes before such a line, in the template or behind one line that begins with them: that cannot be told apart.
  const template = text.filter((written) => !/^"|"\n/.test(written))
  const optional = fc.option(text, { nil: undefined })
  const word = fc.constantFrom(undefined, 'qwen3-coder')
  fc.assert(
    fc.property(
      fc.record({
        template,
        system: optional,
        renderer: word,
        parser: word,
        stop: optional,
        license: optional,
        message: optional,
      }),
      assertRead,
    ),
    { numRuns: 500 },
  )
})

test('an answer of another shape is refused, and one that lacks things is not', () => {
  for (const value of [null, [], 'x', {}, { details: [] }, { details: {}, capabilities: 'x' }]) {
    assert.throws(
      () => readDetails(value, context),
      (error) => isOllamaConfigError(error) && error.code === 'invalid-response',
      JSON.stringify(value),
    )
  }
  const shown = readDetails(
    { details: {}, capabilities: null, modelfile: 7, messages: [null, { role: 1 }, { role: 'user' }] },
    context,
  )
  assert.deepEqual(
    [shown.capabilities, shown.templateSection, shown.weightsFile, shown.messages, shown.modelInfo],
    [[], '', null, [{ role: 'user', content: '' }], {}],
  )
})

test('a path that no server has is none', () => {
  const from = (path: string) => readDetails({ details: {}, modelfile: `FROM ${path}\nTEMPLATE x\n` }, context)
  const blob = `blobs/sha256-${'c'.repeat(64)}`
  assert.equal(from(`/models/${blob}`).weightsFile, `/models/${blob}`)
  assert.deepEqual(from(`C:\\models\\${blob.replace('/', '\\')}`).weights, [`sha256:${'c'.repeat(64)}`])
  for (const path of [`/mod\u001b[2Jels/${blob}`, '/etc/passwd', `/models/${blob}0`, 'small:latest']) {
    assert.equal(from(path).weightsFile, null, path)
  }
})
