/** Texts of models and files: Modelfiles, templates, source that is shown, descriptions of plugins and what their hooks return. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { readGoTemplate } from '../../src/artifact/go-template.ts'
import { decodeModelfile, parseModelfile, printedText } from '../../src/artifact/modelfile.ts'
import {
  printable,
  quoted,
  quotedName,
  quotedPath,
  settingOf,
  visible,
  wellFormed,
  withoutEnd,
} from '../../src/artifact/text.ts'
import { formatDiagnostic, formatError } from '../../src/cli/views/problems.ts'
import { createStyle } from '../../src/cli/views/style.ts'
import { fold, truncate, wrap } from '../../src/cli/views/text.ts'
import { describe } from '../../src/config/describe.ts'
import { codeFrame } from '../../src/config/frame.ts'
import { loadError } from '../../src/config/load-error.ts'
import { OllamaConfigError } from '../../src/errors.ts'
import { readDeclarations, readDiagnostics, readModelDetails } from '../../src/plugins/results.ts'
import { specProblems } from '../../src/plugins/spec.ts'
import { ShapeError } from '../../src/shape.ts'
import {
  anyText,
  assertPrintableText,
  assertVisible,
  damagedBytes,
  damagedJson,
  holds,
  hostileText,
  outcomeOf,
  outcomeOfAsync,
  readsLargeTexts,
} from './hostile-input.ts'

holds('what is made printable or visible is so, however often', anyText('a b', 'Grüße 🦙'), (text) => {
  assertVisible(printable(text))
  assertVisible(quoted(text))
  assertVisible(quotedName(text))
  assert.equal(visible(visible(text)), visible(text))
  assertVisible(quotedPath(text))
  for (const [inside, line] of [
    [quoted(text).slice(1, -1), printable(text, 100)],
    [quotedPath(text).slice(1, -1), visible(text).replaceAll('\t', ' ')],
  ] as const)
    assert.equal(line.includes('"') ? inside.replaceAll(/\\(["\\])/g, '$1') : inside, line)
  assert.doesNotMatch(wellFormed(text), /\p{Surrogate}/u)
  assert.ok(text.startsWith(withoutEnd(text, ' /')))
  settingOf(text)
})

const modelfile = `FROM qwen3:8b
# comment
PARAMETER num_ctx 4096
PARAMETER stop "a"
SYSTEM """You
are"""
TEMPLATE "{{ .Prompt }}"
MESSAGE user hello
ADAPTER ./lora.gguf
LICENSE MIT
REQUIRES v0.14.0
RENDERER r
`

holds('a Modelfile is refused with an error of ours that names the line, or is read', anyText(modelfile), (text) => {
  const read = outcomeOf(() => parseModelfile(text))
  if ('error' in read) {
    assert.equal(read.error.code, 'modelfile-invalid')
    return
  }
  const { from, parameters, warnings, requires = '0' } = read.value
  assert.ok(from.length > 0)
  for (const warning of warnings) assertVisible(warning)
  assert.match(requires, /^[\w.+-]+$/)
  for (const [name, value] of Object.entries(parameters)) {
    assert.match(name, /^[a-z_]+$/)
    for (const item of [value].flat()) assert.ok(typeof item !== 'number' || Number.isFinite(item))
  }
  // Twice the same.
  assert.deepEqual(parseModelfile(text), read.value)
})

const encoded = [
  Buffer.from(modelfile),
  Buffer.from(`\ufeff${modelfile}`, 'utf16le'),
  Buffer.from('\xfe\xff\0F\0R', 'latin1'),
]

holds('bytes of a Modelfile become text', damagedBytes(...encoded), (bytes) => {
  assert.doesNotMatch(decodeModelfile(bytes), /[\ud800-\udbff](?![\udc00-\udfff])/)
})

const template =
  '{{- range $i, $m := .Messages }}{{ if eq .Role "user" }}<|user|>{{ .Content }}{{ else }}{{ .Thinking }}{{ end }}{{ end }}'

holds('a template tells which fields it names', anyText(template), (text) => {
  for (const field of readGoTemplate(text).fields) assert.match(field, /^[\p{L}\p{M}\p{N}_]+$/u)
  assert.ok(printedText(text).includes(text))
})

const source = 'export default {\n\tmodels: ["a"],\n}\n'

holds(
  'source that is shown acts on no terminal',
  fc.tuple(anyText(source), fc.nat({ max: 12 }), fc.nat({ max: 400 })),
  ([text, line, column]) => {
    assertPrintableText(codeFrame(text, line, column))
  },
)

holds(
  'whatever is thrown by a config, it is an error of ours',
  hostileText,
  async (text) => {
    const values = [
      text,
      new Error(text),
      new SyntaxError(`${text}:1:1: ERROR: ${text}`),
      Object.assign(new Error(text), { stack: `${text}\n    at file:///${text}:1:2` }),
      null,
      { message: text },
    ]
    for (const value of values) {
      const failed = await outcomeOfAsync(async () => {
        throw await loadError('/x/ollama.config.ts', value)
      })
      assert.ok('error' in failed)
    }
  },
  0.1,
)

holds(
  'errors and diagnostics of any texts are fit for a terminal, at any width',
  fc.tuple(hostileText, fc.integer({ min: 1, max: 80 })),
  ([text, columns]) => {
    const style = createStyle(false)
    const error = new OllamaConfigError('usage', text, { hint: text, cause: new Error(text) })
    for (const width of [columns, undefined]) {
      assertPrintableText(formatError(error, { style, debug: true, columns: width }))
      assertPrintableText(
        formatDiagnostic(
          { severity: 'error', code: 'x', message: text, hint: text },
          style,
          width === undefined ? undefined : width + 4,
        ),
      )
    }
    assertPrintableText(wrap(printable(text), columns).join('\n'))
    assertPrintableText(fold(printable(text), columns))
    assertPrintableText(truncate(printable(text), columns))
  },
)

const spec = { apiVersion: 1, name: 'x', models: ['qwen3*'], timeoutMs: 1, review: 1, prefers: 'y' }

holds('a plugin that is none is told of in visible words', damagedJson(spec), (text) => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return
  }
  if (typeof value !== 'object' || value === null) return
  for (const { message, hint = '' } of specProblems({ ...spec, ...value, review: () => [] } as never, 'plugins[0]')) {
    assertVisible(message)
    assertVisible(hint)
  }
})

const results = [
  [{ severity: 'warning', code: 'a', message: 'b', path: 'c', hint: 'd' }],
  { license: 'MIT', capabilities: ['tools'], sizeBytes: 1, parameters: { a: 1 } },
  [{ name: 'a', from: 'b' }],
]

holds('what hooks return is refused with its place, or is visible', damagedJson(...results), (text) => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return
  }
  describe(value)
  for (const { read, isShown } of [
    { read: () => readDiagnostics(value, 'x'), isShown: true },
    { read: () => readModelDetails(value), isShown: false },
    { read: () => readDeclarations(value), isShown: false },
  ]) {
    let found: unknown
    try {
      found = read()
    } catch (error) {
      assert.ok(error instanceof ShapeError, String(error))
      assertVisible(error.message)
      continue
    }
    if (isShown && Array.isArray(found))
      for (const said of found.flatMap((diagnostic) => Object.values(diagnostic))) assertVisible(String(said))
  }
})

readsLargeTexts(
  {
    'a text to show': printable,
    'a line to show': visible,
    'a Modelfile': parseModelfile,
    'a value in a Modelfile': (text) => parseModelfile(`FROM x\nSYSTEM """${text}"""`),
    'a number in a Modelfile': (text) => parseModelfile(`FROM x\nPARAMETER top_p ${text}`),
    'an integer in a Modelfile': (text) => parseModelfile(`FROM x\nPARAMETER num_ctx ${text}`),
    'a version in a Modelfile': (text) => parseModelfile(`FROM x\nREQUIRES ${text}`),
    'stops in a Modelfile': (text) => parseModelfile(`FROM x\n${text}`),
    'a template': readGoTemplate,
    'an action of a template': (text) => readGoTemplate(`{{ ${text} }}`),
    source: (text) => codeFrame(text, 1, 1_000_000),
    'words to wrap': (text) => wrap(text, 40),
    'words to fold': (text) => fold(text, 40),
  },
  '{{ .A }}',
  'PARAMETER stop a\n',
  '.A(',
  '$a',
  '1_1',
  '{{ if .A }}',
  '"""',
  '1-a.',
  '{{/*',
)
