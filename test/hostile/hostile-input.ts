/**
 * What anybody may send: texts, JSON and bytes that look for a hole; and how the tests of this folder try them.
 *
 * `HOSTILE_RUNS=5000` tries more of each (default 8), `HOSTILE_SEED=…` with `HOSTILE_PATH=…` repeats a failure as it was printed.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import vm from 'node:vm'
import fc from 'fast-check'
import { visible } from '../../src/artifact/text.ts'
import { isOllamaConfigError, type OllamaConfigError } from '../../src/errors.ts'

const environment = (name: string) => process.env[name] ?? ''

export const runs = Number(environment('HOSTILE_RUNS') || 8)
/** Everything is tried, and long texts are as long as they are to be. */
export const isLong = runs >= 100
/** Of lists. */
export const many = isLong ? 100_000 : 3000

/** Each sequence acts on a terminal, hides text or reorders it. */
export const terminalPieces = [
  '\x1b[2J',
  '\x1b[31m',
  '\x1b]52;c;ZXZpbA==\x07',
  '\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\',
  '\x1b]0;title\x07',
  '\x1bP1$r\x1b\\',
  '\x1bc',
  '\x1b',
  '\x9b2J',
  '\x9d52;c;ZXZpbA==\x9c',
  '\x85',
  '\x90',
  '\x07',
  '\b\b\b',
  '\r',
  '\n',
  '\t',
  '\v',
  '\f',
  '\0',
  '\x7f',
  '\u200b',
  '\u200d',
  '\u202e',
  '\u2028',
  '\u2029',
  '\u2066',
  '\u061c',
  '\ufeff',
  '\u{e0041}',
  '\ud800',
  '\udc00',
]

/** Each is read as something else somewhere: paths, keys of every object, numbers, quotes, other grammars. */
export const wordPieces = [
  '../',
  '..\\',
  '..',
  '.',
  '/',
  '//',
  '\\',
  '/etc/passwd',
  'C:\\',
  '\\\\server\\share',
  'CON',
  'nul.txt',
  '%2e%2e%2f',
  '%00',
  '%',
  'file:///',
  'http://',
  'https://user:password@host/',
  'unix:///',
  '@',
  ':',
  '::',
  '[::1]',
  '?',
  '#',
  '*',
  '**',
  ',',
  '=',
  ' ',
  '"',
  "'",
  '`',
  '"""',
  '{{',
  '}}',
  '{',
  '}',
  '[',
  ']',
  '(',
  ')',
  '$(x)',
  '-',
  '--',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'valueOf',
  'hasOwnProperty',
  'then',
  'null',
  'undefined',
  'true',
  'NaN',
  'Infinity',
  '-Infinity',
  '-0',
  '0x10',
  '1e400',
  '1_000',
  '9007199254740993',
  '18446744073709551616',
  'x',
  'a',
  'Ω',
  'İ',
  'ſ',
  '🦙',
  'e\u0301',
  `sha256:${'0'.repeat(64)}`,
]

const piece = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(...terminalPieces) },
  { weight: 3, arbitrary: fc.constantFrom(...wordPieces) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 6 }) },
)

/** Short, so that a counterexample can be read. */
export const hostileText = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''))

/** A text that was right, with something put in, taken out or said twice at a few places. */
export function damagedText(...samples: readonly string[]): fc.Arbitrary<string> {
  const damage = fc.record({ at: fc.nat(), length: fc.nat({ max: 12 }), put: piece, isCopy: fc.boolean() })
  return fc.tuple(fc.constantFrom(...samples), fc.array(damage, { maxLength: 4 })).map(([sample, damages]) =>
    damages.reduce((text, { at, length, put, isCopy }) => {
      const start = text.length === 0 ? 0 : at % text.length
      const end = isCopy ? start : start + length
      const middle = isCopy ? text.slice(start, start + length * 4) : put
      return text.slice(0, start) + middle + text.slice(end)
    }, sample),
  )
}

/** All of them in a long run, else some. */
export function some<T>(list: readonly T[], count: number): readonly T[] {
  const step = isLong ? 1 : Math.max(1, list.length / count)
  return list.filter((_, index) => Math.floor(index / step) !== Math.floor((index - 1) / step))
}

export function anyText(...samples: readonly string[]): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 2, arbitrary: hostileText },
    { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
    { weight: 3, arbitrary: damagedText(...samples) },
  )
}

/** Of an object as JSON gives it: `__proto__` is a key like any other. */
export const hostileKey = fc.oneof(
  fc.constantFrom('__proto__', 'constructor', 'prototype', 'toString', 'valueOf', 'hasOwnProperty', 'length', '', '0'),
  hostileText,
)

/** JSON texts rather than values: a number past 2^53, or a key said twice, is none in JavaScript. */
const scalarJson = fc.oneof(
  fc.constantFrom('null', 'true', 'false', '{}', '[]', '""', '0', '-0', '-1', '0.5', '1e400', '-1e400', '1e-400'),
  fc.constantFrom('9007199254740991', '9007199254740993', '18446744073709551616', '123456789012345678901234567890'),
  fc.constantFrom('"NaN"', '"Infinity"', '"1e400"', '"\\ud800"', '"\\u0000"', '"\\u001b[2J"', '"\\u202e"'),
  hostileText.map((text) => JSON.stringify(text)),
)

/** So deep that whoever calls itself for each level has no stack left. */
const deepJson = fc
  .tuple(fc.constantFrom(50, 1001, 10_001, 60_000), fc.constantFrom('[]', '{}'))
  .map(([depth, kind]) => (kind === '[]' ? '['.repeat(depth) + ']'.repeat(depth) : nestedObject(depth)))

function nestedObject(depth: number): string {
  return `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
}

/** Turning it into a text or a number fails, where an object is taken for one. */
const trapJson = fc.constantFrom(
  '{"toString":1,"valueOf":1}',
  '{"toJSON":1}',
  '{"then":1}',
  '{"length":1e9}',
  '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}',
)

export const hostileJson: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: scalarJson },
  { weight: 2, arbitrary: trapJson },
  { weight: 1, arbitrary: deepJson },
  { weight: 2, arbitrary: fc.array(scalarJson, { maxLength: 3 }).map((items) => `[${items.join(',')}]`) },
  {
    weight: 2,
    arbitrary: fc
      .array(fc.tuple(hostileKey, scalarJson), { maxLength: 3 })
      .map((entries) => `{${entries.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',')}}`),
  },
)

/** Stands for a value in a printed document; nothing else is spelled so. */
const hole = '\u0001hole\u0001'

/**
 * A document that was right, with values of it replaced by hostile ones, or keys added to its objects; or with damage to its text.
 */
export function damagedJson(...documents: readonly object[]): fc.Arbitrary<string> {
  const damage = fc.record({ at: fc.nat(), key: fc.option(hostileKey, { nil: undefined }), value: hostileJson })
  const structural = fc
    .tuple(fc.constantFrom(...documents), fc.array(damage, { minLength: 1, maxLength: 3 }))
    .map(([document, damages]) => damages.reduce(spoiled, JSON.stringify(document)))
  const texts = documents.map((document) => JSON.stringify(document))
  return fc.oneof(
    { weight: 5, arbitrary: structural },
    { weight: 1, arbitrary: hostileJson },
    { weight: 2, arbitrary: anyText(...texts) },
  )
}

interface Damage {
  readonly at: number
  readonly key: string | undefined
  readonly value: string
}

function spoiled(json: string, { at, key, value }: Damage): string {
  let document: unknown
  try {
    // Not what is too deep to be walked.
    document = /[[{]{20}|(?:\{"a":){20}/.test(json) ? undefined : JSON.parse(json)
  } catch {
    document = undefined
  }
  const places = placesIn(document)
  const place = places[at % Math.max(1, places.length)]
  if (place === undefined) return json
  place.put(key)
  // A function: in a text `$&` has a meaning.
  return JSON.stringify(document).replace(JSON.stringify(hole), () => value)
}

interface Place {
  /** Puts the hole there; with a key, beside what is there. */
  put(key: string | undefined): void
}

function placesIn(value: unknown): readonly Place[] {
  if (typeof value !== 'object' || value === null) return []
  const place = (key: string): Place => ({
    put: (other) =>
      Object.defineProperty(value, Array.isArray(value) ? key : (other ?? key), {
        value: hole,
        enumerable: true,
        configurable: true,
        writable: true,
      }),
  })
  return Object.entries(value).flatMap(([key, item]) => [place(key), ...placesIn(item)])
}

/** Bytes that were right, some of them changed, or the end cut off. */
export function damagedBytes(...samples: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  const damage = fc.record({
    at: fc.nat(),
    bytes: fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 8 }),
      fc.constantFrom(0, 0xff, 0x7f, 0x80).map((byte) => new Uint8Array(8).fill(byte)),
    ),
    isCut: fc.boolean(),
  })
  return fc.tuple(fc.constantFrom(...samples), fc.array(damage, { maxLength: 4 })).map(([sample, damages]) => {
    let bytes = Uint8Array.from(sample)
    for (const { at, bytes: put, isCut } of damages) {
      const start = at % Math.max(1, bytes.length)
      if (isCut && at % 5 === 0) bytes = bytes.slice(0, start)
      else bytes.set(put.subarray(0, bytes.length - start), start)
    }
    return Object.assign(bytes, { [fc.toStringMethod]: () => Buffer.from(bytes).toString('base64') })
  })
}

const shapes = [Object.prototype, Array.prototype, Function.prototype, String.prototype, Number.prototype]
const keysBefore = shapes.map((shape) => Reflect.ownKeys(shape).length)

/** Nobody put anything into what every object has. */
export function assertUnpolluted(): void {
  assert.deepEqual(
    shapes.map((shape) => Reflect.ownKeys(shape).length),
    keysBefore,
    'a prototype was changed',
  )
}

/** As `HOSTILE_SEED` and `HOSTILE_PATH` say. fast-check prints both when a property fails. */
function settings(share: number): fc.Parameters<[unknown]> {
  const [seed, path] = [environment('HOSTILE_SEED'), environment('HOSTILE_PATH')]
  return {
    numRuns: Math.max(1, Math.round(runs * share)),
    includeErrorInReport: true,
    // A short run is the same each time: what is rare is looked for on purpose, not by chance in somebody's change.
    ...(seed === '' ? (isLong ? {} : { seed: 4883 }) : { seed: Number(seed) }),
    ...(path === '' ? {} : { path }),
  }
}

/** @param share Of the runs, for what takes long */
export function holds<T>(
  what: string,
  input: fc.Arbitrary<T>,
  check: (value: T) => void | Promise<void>,
  share = 1,
): void {
  test(what, async () => {
    const property = fc.asyncProperty(input, async (value) => {
      await check(value)
      assertUnpolluted()
    })
    await fc.assert(property, settings(share))
  })
}

/** What the work gives, or the error of ours that it ended with. Any other fails the test. */
export function outcomeOf<T>(work: () => T): { readonly value: T } | { readonly error: OllamaConfigError } {
  try {
    return { value: work() }
  } catch (error) {
    return { error: ours(error) }
  }
}

/** As {@link outcomeOf}. */
export async function outcomeOfAsync<T>(
  work: () => Promise<T>,
): Promise<{ readonly value: T } | { readonly error: OllamaConfigError }> {
  try {
    return { value: await work() }
  } catch (error) {
    return { error: ours(error) }
  }
}

function ours(error: unknown): OllamaConfigError {
  if (!isOllamaConfigError(error)) throw error
  assert.notEqual(error.code, 'internal')
  assertVisible(error.message)
  assertVisible(error.hint ?? '')
  assert.ok(error.message.length < 1500, 'the message is as long as the input')
  return error
}

/** One line that acts on no terminal, hides nothing and reorders nothing. */
export function assertVisible(text: string): void {
  assert.equal(text, visible(text))
  assert.doesNotMatch(text, /[\t\n]/)
}

/** Lines of which each is visible. */
export function assertPrintableText(text: string): void {
  for (const line of text.split('\n')) assert.equal(line, visible(line))
}

/** JSON in which every character that is not visible is escaped, so that it may be shown on a terminal. */
export function assertPrintableJson(text: string): void {
  assertPrintableText(text)
  JSON.parse(text)
}

/** Of a megabyte, as in a long run, what takes a square of its time has no end; what does not is done at once. */
const largeLength = isLong ? 1_048_576 : 16_384
const limitMs = 20_000
let pending: () => unknown = () => undefined
const call = new vm.Script('globalThis.callPending()')
Object.assign(globalThis, { callPending: () => pending() })

/** Ends what goes on for too long, which nothing else can that runs on this thread. */
export function promptly<T>(work: () => T): T {
  let result: { readonly value: T } | undefined
  pending = () => {
    result = { value: work() }
  }
  // Others do not end it, and would only go on.
  if ('Deno' in globalThis || 'Bun' in globalThis) pending()
  else call.runInThisContext({ timeout: limitMs })
  assert.ok(result !== undefined)
  return result.value
}

const commonUnits = ['a', ' ', '/', '"', '\x1b[', '\n']

/** Texts of a megabyte, each made of one piece, with and without something else at its ends. In a short run only of what it names. */
export function* largeTexts(...units: readonly string[]): Generator<string> {
  for (const unit of new Set([...units, ...commonUnits, ...(isLong ? [...wordPieces, ...terminalPieces] : [])])) {
    const text = unit.repeat(Math.ceil(largeLength / unit.length))
    yield text
    yield `${units[0] ?? ''}${text}\u0000x`
  }
}

/** Each of these reads, or refuses, each of those texts at once. */
export function readsLargeTexts(
  readers: Readonly<Record<string, (text: string) => unknown>>,
  ...units: readonly string[]
): void {
  for (const [what, read] of Object.entries(readers)) {
    test(`${what} of ${isLong ? 'a megabyte' : '16 kB'}`, () => {
      for (const text of largeTexts(...units)) promptly(() => outcomeOf(() => read(text)))
    })
  }
}
