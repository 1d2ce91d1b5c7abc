import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeModelfile, type Modelfile, parseModelfile } from '../../src/artifact/modelfile.ts'
import { type ParameterKind, parameterKinds, retiredParameters } from '../../src/artifact/parameters.ts'
import { isOllamaConfigError } from '../../src/errors.ts'

const nothing: Modelfile = {
  from: ['x'],
  adapters: [],
  draft: [],
  parameters: {},
  messages: [],
  licenses: [],
  warnings: [],
}

/** Each after `FROM x` and a line end. */
const readings: readonly (readonly [what: string, text: string, expected: Partial<Modelfile>])[] = [
  ['nothing more', '', {}],
  ['blank lines and comments', '\n \t\n# SYSTEM no\n  # nor this\n', {}],
  ['instructions in any case', 'SyStEm a\nfrom y', { system: 'a', from: ['x', 'y'] }],
  ['blanks around instruction and value', '\t SYSTEM \t a  b \t\n', { system: 'a  b' }],
  ['a hash within a value', 'SYSTEM a # b', { system: 'a # b' }],
  ['one pair of quotes', 'SYSTEM " a "', { system: ' a ' }],
  ['one pair of quotes over lines', 'SYSTEM "a\nb"\nLICENSE c', { system: 'a\nb', licenses: ['c'] }],
  ['quotes that begin a word only', 'SYSTEM "a" b\nc"\nLICENSE d', { system: 'a" b\nc', licenses: ['d'] }],
  ['quotes that do not begin', 'SYSTEM a "b"', { system: 'a "b"' }],
  ['single quotes are no quotes', "SYSTEM 'a'", { system: "'a'" }],
  ['three quotes', 'SYSTEM """a "b" c"""', { system: 'a "b" c' }],
  [
    'three quotes over lines',
    'SYSTEM """\na  \n\n "b"\n"""  \nLICENSE c',
    { system: '\na  \n\n "b"\n', licenses: ['c'] },
  ],
  ['a quote right within three', 'SYSTEM """"a""""', { system: '"a"' }],
  ['text after three quotes goes on', 'SYSTEM """a""" b\nc"""', { system: 'a""" b\nc' }],
  ['five quotes are no end', 'SYSTEM """""\n"""', { system: '""\n' }],
  ['a quote alone opens', 'SYSTEM "\n"', { system: '\n' }],
  ['windows line ends', 'SYSTEM """a\r\nb"""\r\nLICENSE c\r\n', { system: 'a\r\nb', licenses: ['c'] }],
  ['old line ends', 'SYSTEM a\rLICENSE b\r', { system: 'a', licenses: ['b'] }],
  ['what is there twice', 'SYSTEM a\nSYSTEM b\nTEMPLATE c\nTEMPLATE d', { system: 'b', template: 'd' }],
  [
    'lists',
    'LICENSE a\nLICENSE ""\nADAPTER b\nADAPTER c\nDRAFT d',
    { licenses: ['a', ''], adapters: ['b', 'c'], draft: ['d'] },
  ],
  ['paths with spaces', 'FROM ./my model.gguf', { from: ['x', './my model.gguf'] }],
  ['FROM with nothing', 'FROM \n', { from: ['x', ''] }],
  ['renderer, parser', 'RENDERER a\nPARSER b', { renderer: 'a', parser: 'b' }],
  ['a version', 'REQUIRES v0.14.0-rc.1+build.01', { requires: '0.14.0-rc.1+build.01' }],
  ['a short version', 'REQUIRES 1.2', { requires: '1.2' }],
  [
    'messages',
    'MESSAGE user Hi: there\nMESSAGE assistant """\nHello\n"""\nMESSAGE system \n',
    {
      messages: [
        { role: 'user', content: 'Hi: there' },
        { role: 'assistant', content: '\nHello\n' },
        { role: 'system', content: '' },
      ],
    },
  ],
  ['one stop', 'PARAMETER stop "a "', { parameters: { stop: ['a '] } }],
  [
    'several stops',
    'PARAMETER stop a\nPARAMETER seed 1\nPARAMETER stop b',
    { parameters: { stop: ['a', 'b'], seed: 1 } },
  ],
  ['whole numbers', 'PARAMETER seed +007\nPARAMETER num_gpu -1', { parameters: { seed: 7, num_gpu: -1 } }],
  ['the last of a parameter', 'PARAMETER seed 1\nPARAMETER seed 2', { parameters: { seed: 2 } }],
  [
    'numbers of 32 bits',
    'PARAMETER min_p 0.123456789\nPARAMETER top_p .1',
    { parameters: { min_p: 0.12345679, top_p: 0.1 } },
  ],
  ['numbers as Go writes them', 'PARAMETER min_p 1_0e-1\nPARAMETER top_p -0', { parameters: { min_p: 1, top_p: 0 } }],
  ['true', 'PARAMETER use_mmap T', { parameters: { use_mmap: true } }],
  ['false', 'PARAMETER use_mmap 0', { parameters: { use_mmap: false } }],
  [
    'PARAMETER with an instruction, as Ollama does it',
    'PARAMETER system a\nPARAMETER model b',
    { system: 'a', from: ['x', 'b'] },
  ],
  ['PARAMETER with a message', 'PARAMETER message "user: a"', { messages: [{ role: 'user', content: 'a' }] }],
  ['an instruction after a character that cannot be seen', '\u200bSYSTEM a', { system: 'a' }],
  [
    'what is retired',
    '\nPARAMETER mirostat much',
    { warnings: ['Line 3 of the Modelfile: mirostat is no parameter any more, and Ollama leaves it out'] },
  ],
  [
    'an empty text',
    'SYSTEM a\nSYSTEM ""',
    { warnings: ['Line 3 of the Modelfile: an empty SYSTEM takes nothing away: that of the base stays'] },
  ],
  [
    'characters that cannot be seen',
    'SYSTEM """a\u00a0b\n\u{1f469}\u200d\u{1f4bb}\ufeff\u0007\t"""',
    {
      system: 'ab\n\u{1f469}\u{1f4bb}\t',
      warnings: [
        'Line 2 of the Modelfile: Ollama leaves out characters that cannot be seen: U+00A0, U+200D, U+FEFF, …',
      ],
    },
  ],
  [
    'what was not UTF-8',
    'SYSTEM caf\ufffd',
    {
      system: 'caf\ufffd',
      warnings: ['Line 2 of the Modelfile: some bytes are not UTF-8, and Ollama puts U+FFFD in their place'],
    },
  ],
]

for (const [what, text, expected] of readings) {
  test(`parseModelfile: ${what}`, () =>
    assert.deepEqual(parseModelfile(`FROM x\n${text}`), { ...nothing, ...expected }))
}

/** The line is that of the whole text. */
const refusals: readonly (readonly [
  what: string,
  text: string,
  line: number | undefined,
  message: RegExp,
  hint: RegExp,
])[] = [
  ['an empty file', '', undefined, /^There is no FROM in the Modelfile$/, /FROM qwen3:8b$/],
  ['no FROM', 'SYSTEM a', undefined, /no FROM/, /FROM/],
  ['FROM in a comment', '# FROM a', undefined, /no FROM/, /FROM/],
  [
    'another instruction',
    'FROM x\nSYSTEM a\nFRM b',
    3,
    /: "FRM" is not an instruction$/,
    /known are FROM, PARAMETER, .*"""/,
  ],
  ['a name of Object', 'FROM x\nconstructor b', 2, /"constructor" is not an instruction/, /FROM/],
  ['a text over lines without quotes', 'FROM x\r\nSYSTEM a\r\n\r\nNo: b', 4, /"No:" is not an instruction/, /"""/],
  ['an instruction alone', 'FROM', 1, /FROM must be followed by a space and a value: found "FROM"$/, /FROM qwen3:8b$/],
  ['another separator', 'FROM=x', 1, /must be followed by a space .*found "FROM=x"$/, /FROM qwen3:8b$/],
  [
    'a parameter without a value',
    'FROM x\nPARAMETER seed\n',
    2,
    /one space and a value: found "PARAMETER seed"$/,
    /num_ctx 8192$/,
  ],
  ['two spaces before a parameter', 'FROM x\nPARAMETER  seed 1', 2, /followed by one space/, /num_ctx 8192$/],
  ['a parameter with a dash', 'FROM x\nPARAMETER num-ctx 1', 2, /found "PARAMETER num-ctx 1"$/, /num_ctx 8192$/],
  [
    'an unknown parameter',
    'FROM x\nPARAMETER numctx 1',
    2,
    /"numctx" is not a parameter of Ollama$/,
    /num_ctx, .*stop$/,
  ],
  ['a parameter in upper case', 'FROM x\nPARAMETER SEED 1', 2, /"SEED" is not a parameter/, /seed/],
  ['a parameter of Object', 'FROM x\nPARAMETER __proto__ 1', 2, /"__proto__" is not a parameter/, /seed/],
  [
    'no whole number',
    'FROM x\nPARAMETER num_ctx 4k',
    2,
    /num_ctx must be a whole number: found "4k"$/,
    /num_ctx 4096$/,
  ],
  ['a fraction', 'FROM x\nPARAMETER seed 1.0', 2, /a whole number: found "1.0"$/, /seed 4096$/],
  [
    'a comment after a number',
    'FROM x\nPARAMETER seed 1 # one',
    2,
    /found "1 # one"$/,
    /a comment has a line of its own$/,
  ],
  ['more than 64 bits', 'FROM x\nPARAMETER seed 9223372036854775808', 2, /a whole number/, /seed 4096$/],
  ['no number', 'FROM x\nPARAMETER top_p NaN', 2, /top_p must be a number: found "NaN"$/, /top_p 0\.7$/],
  ['more than 32 bits', 'FROM x\nPARAMETER top_p 3.5e38', 2, /must be a number/, /0\.7$/],
  [
    'neither true nor false',
    'FROM x\nPARAMETER use_mmap yes',
    2,
    /must be true or false: found "yes"$/,
    /use_mmap true$/,
  ],
  [
    'another role',
    'FROM x\nMESSAGE tool a',
    2,
    /roles system, user, assistant.*found "MESSAGE tool a"$/,
    /MESSAGE user Hello$/,
  ],
  ['a role in upper case', 'FROM x\nMESSAGE User a', 2, /one of the roles/, /MESSAGE user/],
  ['a role without a text', 'FROM x\nMESSAGE user', 2, /one space and a text: found "MESSAGE user"$/, /MESSAGE user/],
  ['a message as a parameter', 'FROM x\nPARAMETER message a', 2, /"message" is not a parameter$/, /MESSAGE user/],
  [
    'no version',
    'FROM x\nREQUIRES latest',
    2,
    /REQUIRES must be the number of a version: found "latest"$/,
    /0\.14\.0$/,
  ],
  ['a version with a zero in front', 'FROM x\nREQUIRES 0.014.0', 2, /number of a version/, /0\.14\.0$/],
  ['a prerelease with a zero in front', 'FROM x\nREQUIRES 1.0.0-rc.01', 2, /number of a version/, /0\.14\.0$/],
  ['a prerelease of a short version', 'FROM x\nREQUIRES 1.0-rc', 2, /number of a version/, /0\.14\.0$/],
  [
    'three quotes without an end',
    'FROM x\n\nSYSTEM """a\nb""\n\n',
    3,
    /the text that begins with """ has no end$/,
    /put """ at the end/,
  ],
  [
    'one quote without an end',
    'FROM x\nSYSTEM "a\nb',
    2,
    /the text that begins with " has no end$/,
    /put " at the end/,
  ],
  ['hostile text', 'FROM x\n\x1b[31mRED\u202e x', 2, /: "RED" is not an instruction$/, /known/],
]

for (const [what, text, line, message, hint] of refusals) {
  test(`parseModelfile refuses ${what}`, () => {
    const error = failure(text)
    assert.equal(error.code, 'modelfile-invalid')
    assert.match(error.message, message)
    assert.match(error.hint ?? '', hint)
    if (line === undefined) assert.equal(error.details, undefined)
    else {
      assert.deepEqual(error.details, { line })
      assert.ok(error.message.startsWith(`Line ${line} of the Modelfile: `), error.message)
    }
  })
}

function failure(text: string) {
  try {
    parseModelfile(text)
  } catch (error) {
    if (isOllamaConfigError(error)) return error
    throw error
  }
  return assert.fail(`taken: ${JSON.stringify(text)}`)
}

test('parseModelfile calls the file what it is told to', () => {
  assert.throws(() => parseModelfile('x', '"a/Modelfile"'), { message: /^Line 1 of "a\/Modelfile": / })
  assert.throws(() => parseModelfile('', '"a/Modelfile"'), { message: 'There is no FROM in "a/Modelfile"' })
})

test('decodeModelfile: UTF-8 and UTF-16, with and without a byte order mark', () => {
  const text = '# é\nFROM 模型🦙'
  const utf8 = new TextEncoder().encode(text)
  const little = Buffer.from(`\ufeff${text}`, 'utf16le')
  const big = Uint8Array.from(little).map((_, index, bytes) => bytes[index ^ 1] ?? 0)
  for (const bytes of [utf8, Uint8Array.from([0xef, 0xbb, 0xbf, ...utf8]), little, big]) {
    assert.equal(decodeModelfile(bytes), text)
  }
  assert.equal(decodeModelfile(new Uint8Array()), '')
  assert.equal(decodeModelfile(Uint8Array.of(0x61, 0xff)), 'a\ufffd')
  assert.equal(decodeModelfile(Uint8Array.of(0xfe, 0xff, 0, 0x61, 0)), 'a\ufffd')
})

test('parseModelfile throws nothing but errors of its own, on one line', () => {
  const pieces = fc.oneof(
    fc.constantFrom(
      'FROM x\n',
      'SYSTEM ',
      'PARAMETER ',
      'MESSAGE ',
      'REQUIRES ',
      'stop ',
      'seed ',
      'user ',
      '__proto__ ',
    ),
    fc.constantFrom('"', '"""', ' ', '\t', '\n', '\r\n', '#', '1', '.', '-', ':', '\ud800', '\u200b', '\x1b[31m', '🦙'),
    fc.string({ unit: 'binary' }),
  )
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 20 }), fc.boolean(), (parts, from) => {
      const text = (from ? 'FROM x\n' : '') + parts.join('')
      try {
        assert.ok(parseModelfile(text).from.length > 0)
      } catch (error) {
        assert.ok(isOllamaConfigError(error) && error.code === 'modelfile-invalid', String(error))
        assert.doesNotMatch(error.message, /[\x00-\x1f\x7f-\x9f\u200b\u202e]|\p{Surrogate}/u)
      }
    }),
    { numRuns: 1000 },
  )
})

/** What can stand between three quotes. */
const textOf = fc
  .array(
    fc.oneof(fc.constantFrom('a', ' ', '\t', '\n', '\r\n', '"', '#', 'é', '模', '🦙', 'SYSTEM b', '{{ .Prompt }}')),
  )
  .map((parts) => parts.join('').replaceAll(/"{3,}/g, '""'))
const parameterOf: Readonly<Record<ParameterKind, fc.Arbitrary<number | boolean | readonly string[]>>> = {
  integer: fc.maxSafeInteger(),
  // Six digits, which 32 bits can hold.
  number: fc
    .tuple(fc.integer({ min: -999_999, max: 999_999 }), fc.nat(6))
    .map(([digits, shift]) => Number(`${digits}e-${shift}`)),
  boolean: fc.boolean(),
  texts: fc.array(textOf, { minLength: 1 }),
}
const parametersOf = fc
  .uniqueArray(
    fc
      .constantFrom(...Object.entries(parameterKinds))
      .chain(([name, kind]) => fc.tuple(fc.constant(name), parameterOf[kind])),
    { selector: ([name]) => name },
  )
  .map((entries) => Object.fromEntries(entries))
const filled = textOf.filter((text) => text !== '')
const modelfileOf = fc.record(
  {
    from: fc.array(textOf, { minLength: 1, maxLength: 3 }),
    adapters: fc.array(textOf, { maxLength: 2 }),
    draft: fc.array(textOf, { maxLength: 2 }),
    licenses: fc.array(textOf, { maxLength: 2 }),
    parameters: parametersOf,
    messages: fc.array(
      fc.record({ role: fc.constantFrom('system', 'user', 'assistant'), content: textOf }, { noNullPrototype: true }),
      {
        maxLength: 4,
      },
    ),
    template: filled,
    system: filled,
    renderer: filled,
    parser: filled,
    requires: fc.tuple(fc.nat(), fc.nat(), fc.nat()).map((numbers) => numbers.join('.')),
  },
  { requiredKeys: ['from', 'adapters', 'draft', 'licenses', 'parameters', 'messages'], noNullPrototype: true },
)

/** One line per instruction, in the order of the keys. */
function print(file: Omit<Modelfile, 'warnings'>): string {
  const line = (head: string, value: unknown) => `${head} ${typeof value === 'string' ? `"""${value}"""` : value}`
  return Object.entries(file)
    .flatMap(([key, value]) => {
      if (key === 'parameters') {
        return Object.entries(file.parameters).flatMap(([name, parameter]) =>
          [parameter].flat().map((one) => line(`PARAMETER ${name}`, one)),
        )
      }
      if (key === 'messages') return file.messages.map(({ role, content }) => line(`MESSAGE ${role}`, content))
      const word = { adapters: 'ADAPTER', licenses: 'LICENSE' }[key] ?? key
      return [value].flat().map((one) => line(word, one))
    })
    .join('\n')
}

test('parseModelfile reads back what is printed', () => {
  fc.assert(
    fc.property(modelfileOf, (file) => {
      assert.deepEqual(parseModelfile(print(file)), { ...file, warnings: [] })
    }),
  )
})

test('parseModelfile takes time in proportion to the text', () => {
  // Quadratic work on these would not end before the timeout of any test run.
  const size = 1_000_000
  const lines = (line: string) => line.repeat(size / line.length)
  assert.equal(parseModelfile(`FROM x\nSYSTEM """${lines('a "b"\n')}"""`).from.length, 1)
  assert.equal(parseModelfile(`FROM x\nSYSTEM a${' '.repeat(size)}b`).system?.length, size + 2)
  assert.equal(parseModelfile(lines('FROM x\r\n\r\n')).from.length, size / 10)
  assert.equal(parseModelfile(`FROM x\n${lines('PARAMETER mirostat 1\n')}`).warnings.length, Math.floor(size / 21))
  for (const text of [
    `SYSTEM """${lines('"" \n')}`,
    `${lines('"')}`,
    `PARAMETER top_p ${lines('1')}x`,
    `PARAMETER top_p ${lines('1_')}x`,
    `PARAMETER seed ${lines('1')}`,
    `REQUIRES 1.0.0-${lines('0.')}`,
    `REQUIRES 1.0.0-${lines('1')}_`,
    `${lines('x')}`,
    `MESSAGE ${lines('x')}`,
  ]) {
    assert.equal(failure(`FROM x\n${text}`).code, 'modelfile-invalid')
  }
})

const page = readFileSync(new URL('../../docs/modelfile.md', import.meta.url), 'utf8')

test('docs/modelfile.md: the example and its declaration are the same model', () => {
  const [, modelfile = '', code = ''] = /## Example\n\n```\n(.*?)```.*?```ts\n(.*?)```/s.exec(page) ?? []
  const body = code.replace(/^import .*$/m, '').replace('export default', 'return')
  const config: unknown = new Function('defineConfig', body)((written: unknown) => written)
  const { from, adapters, draft, licenses, warnings, ...same } = parseModelfile(modelfile)
  assert.deepEqual([adapters, draft, warnings], [[], [], []])
  assert.deepEqual(config, { models: [{ name: 'reviewer', from: from[0], license: licenses[0], ...same }] })
})

test('docs/modelfile.md lists every parameter with its type, and every instruction', () => {
  const words = { integer: 'whole number', number: 'number', boolean: 'true or false', texts: 'list of texts' }
  assert.deepEqual(
    new Map([...page.matchAll(/^\| `([a-z_]+)` \| ([a-z ]+) \| \S/gm)].map(([, name, type]) => [name, type])),
    new Map(Object.entries(parameterKinds).map(([name, kind]) => [name, words[kind]])),
  )
  for (const name of retiredParameters) assert.ok(page.includes(`\`${name}\``), name)
  const known = /known are ([A-Z, ]+);/.exec(failure('x').hint ?? '')?.[1] ?? ''
  assert.ok(known.length > 0)
  for (const word of known.split(', ')) assert.ok(page.includes(`\n| \`${word} `), word)
})
