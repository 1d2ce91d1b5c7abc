import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { readParameters } from '../../src/backend/shown.ts'

const line = (name: string, value: string) => `${name.padEnd(30)} ${value}`

test('what a real server printed is read', () => {
  const url = new URL('../fixtures/transcripts/show-derived.json', import.meta.url)
  const recording: { exchanges: { response: { body: { parameters: string } } }[] } = JSON.parse(
    readFileSync(url, 'utf8'),
  )
  assert.deepEqual(readParameters(recording.exchanges[0]?.response.body.parameters ?? ''), {
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
  })
})

test('one value stands for itself, several are a list in their order, whatever stands between them', () => {
  const text = [line('stop', '"b"'), line('seed', '7'), line('stop', '"a"'), '', line('stop', '"c"')].join('\n')
  assert.deepEqual(readParameters(text), { stop: ['b', 'a', 'c'], seed: 7 })
})

test('numbers are those of Go, and what only looks like one stays text', () => {
  const values = {
    '1.048576e+06': 1048576,
    '1e-07': 1e-7,
    '-1': -1,
    '+Inf': '+Inf',
    'map[string]int{}': 'map[string]int{}',
  }
  for (const [text, value] of Object.entries(values)) {
    assert.deepEqual(readParameters(line('x', text)), { x: value }, text)
  }
})

test('text is unquoted as Go quoted it', () => {
  const cases: readonly (readonly [string, string])[] = [
    [String.raw`"a\nb\tc"`, 'a\nb\tc'],
    [String.raw`"\a\b\f\v\\\""`, '\x07\b\f\v\\"'],
    [String.raw`"\u200b\U0001f600\x00"`, '\u200b😀\0'],
    [String.raw`"\xff"`, '\ufffd'],
    ['"<|im_end|>"', '<|im_end|>'],
    ['"', '"'],
  ]
  for (const [text, value] of cases) assert.deepEqual(readParameters(line('x', text)), { x: value }, text)
})

test('a parameter may have any name, also one longer than its column', () => {
  const long = 'x'.repeat(40)
  const parameters = readParameters([line('__proto__', '1'), line(long, 'true')].join('\n'))
  assert.deepEqual(Object.entries(parameters), [
    ['__proto__', 1],
    [long, true],
  ])
})

test('any text that is quoted comes back', () => {
  fc.assert(
    fc.property(fc.string(), (value) => {
      // For these JSON and Go quote alike.
      const plain = value.replace(/[\u007f-\uffff]|\p{Surrogate}/gu, '')
      assert.deepEqual(readParameters(line('x', JSON.stringify(plain))), { x: plain })
    }),
  )
})
