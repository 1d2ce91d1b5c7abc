/** What a server goes by in a Go template. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readGoTemplate } from '../../src/artifact/go-template.ts'

const fieldsOf = (text: string) => [...readGoTemplate(text).fields].sort()

test('fields are found wherever an action names them', () => {
  assert.deepEqual(fieldsOf('.Text {{ .Prompt }} .More'), ['prompt'])
  const branches = '{{- if and .Tools (eq .Role "user") -}}{{ else if not .Suffix }}{{ end }}'
  assert.deepEqual(fieldsOf(branches), ['role', 'suffix', 'tools'])
  const variables = '{{ range $i, $m := $.Messages }}{{ $m.Content.Inner }}{{ $x := .A }}{{ end }}'
  assert.deepEqual(fieldsOf(variables), ['a', 'content', 'inner', 'messages'])
  const defined = '{{ define "x" }}{{ .Tools }}{{ end }}{{ template "x" .Other }}{{ .A|len }}'
  assert.deepEqual(fieldsOf(defined), ['a', 'other', 'tools'])
  assert.deepEqual(fieldsOf('{{ .TOOLS }}{{ .Grüße_1 }}'), ['grüße_1', 'tools'])
})

test('comments, texts and what is behind brackets name nothing', () => {
  assert.deepEqual(fieldsOf('{{/* .A }} {{ .B */}}{{- /* .C */ -}}{{ .D }}'), ['d'])
  assert.deepEqual(fieldsOf('{{ "}} .A \\" .B" }}{{ `.C }}` }}{{ print \'"\' .D }}'), ['d'])
  assert.deepEqual(fieldsOf('{{ (index .A 0).B }}{{ ((.C).D .E).F.G }}{{ (index .H 0) .I }}{{ (.J) }}'), [
    'h',
    'i',
    'j',
  ])
  assert.deepEqual(fieldsOf('{{ x.A }}{{ 1.5 }}{{ . }}{{ $ }}'), [])
})

const marks: readonly (readonly [boolean, string])[] = [
  [true, '{{ range .Messages }}<think>{{ .Thinking }}</think>{{ end }}'],
  [true, '{{ range $i, $m := .Messages }}{{ if and $.Think .Thinking }}<t>{{ .Thinking }}</t>{{ end }}{{ end }}'],
  [true, '{{ range .Messages }}{{ if .A }}{{ else if .B }}<t>{{ .Thinking }}</t>{{ else }}x{{ end }}{{ end }}'],
  [true, '{{ range .Messages }}{{ with .A }}x{{ end }}{{ if .B }}{{ else }}<t>{{ .Thinking }}</t>{{ end }}{{ end }}'],
  [true, '{{ range .Messages }}a{{ range .Tools }}b{{ end }}{{ .Thinking }}c{{ end }}'],
  [true, '{{ range .Messages }}{{ .A }}{{ else }}<t>{{ .Thinking }}</t>{{ end }}'],
  [true, '{{ range .Messages }}<t>{{ if .A }}{{ else if .B }}x{{ end }}{{ .Thinking }}</t>{{ end }}'],
  // Both may come from different places.
  [true, '{{ range .Messages }}<t>{{ .Thinking }}{{ if .A }}{{ .Thinking }}</t>{{ end }}{{ end }}'],
  [true, '{{ range .Messages }}<t>{{ .Thinking }}</t>{{ end }}{{ range .Messages }} {{- .Thinking -}} {{ end }}'],
  [false, '<think>{{ .Thinking }}</think>{{ range .Messages }}{{ end }}'],
  [false, '{{ range .Messages }}{{ end }}<think>{{ .Thinking }}</think>'],
  [false, '{{ range .Messages }}{{ .Thinking }}</think>{{ end }}'],
  [false, '{{ range .Messages }}<think>{{ .Thinking }} \n{{ end }}'],
  [false, '{{ range .Messages }}<think>{{ if .Thinking }}{{ end }}{{ end }}'],
  [false, '{{ range $.Messages }}<think>{{ .Thinking }}</think>{{ end }}'],
  [false, '{{ range $m := .Messages }}<think>{{ $m.Thinking }}</think>{{ end }}'],
  [false, '{{ range .Messages }}<think>{{ .A.Thinking }}</think>{{ end }}'],
  [false, '{{ range .Messages }}<think>{{ .thinking }}</think>{{ end }}'],
  [false, '{{ range .Messages }}{{ range .Tools }}<think>{{ .Thinking }}</think>{{ end }}{{ end }}'],
  [false, '{{ with .Messages }}<think>{{ .Thinking }}</think>{{ end }}'],
  [false, '{{ define "x" }}{{ range .Messages }}<think>{{ .Thinking }}</think>{{ end }}{{ end }}'],
  [false, '{{ range .Messages }}<t>{{ .Thinking }}</t>{{ end }}{{ range .Messages }} {{ .Thinking }} {{ end }}'],
]
for (const [wanted, text] of marks) {
  test(`thoughts are ${wanted ? '' : 'not '}marked by ${JSON.stringify(text)}`, () => {
    assert.equal(readGoTemplate(text).marksThoughts, wanted)
  })
}

test('any text gives something, and in time', { timeout: 60_000 }, () => {
  const words = '{{ }} {{- -}} /* */ " ` \' \\ ( ) .A $ end else if range define x'.split(' ')
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...words, ' '), { maxLength: 40 }), (pieces) => {
      for (const field of readGoTemplate(pieces.join('')).fields) assert.ok(field.startsWith('a'), field)
    }),
    { numRuns: 2000 },
  )
  const endless = [
    '{{ .A ',
    '{{ "\\"',
    '{{(',
    '{{ (.a).b',
    '{{if .A}}',
    '{{else}}',
    '{{end}}',
    '{{/*',
    '{{ `',
    '{{-',
    '{{ $',
  ]
  for (const text of endless) readGoTemplate(text.repeat(50_000))
})
