/** Facts of GGUF files: any file that is right is read, and none that is wrong costs memory or time. */
import assert from 'node:assert/strict'
import { truncateSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { isOllamaConfigError } from '../../src/errors.ts'
import { type Gguf, readGguf } from '../../src/store/gguf.ts'
import { makeGguf } from '../support/gguf.ts'
import { derivedModels, pulledModels } from '../support/recorded-store.ts'
import { tempFolder } from '../support/run-cli.ts'
import { bytesOf, int, long, type Tensor, text, type Value, writeGguf } from './gguf-writer.ts'

type Reader = (bytes: Uint8Array, sizeBytes?: number) => Promise<Gguf>

/** Reads by way of a file; a size makes it that long, with a hole at its end. */
function readerIn(t: TestContext): Reader {
  const file = path.join(tempFolder(t), 'weights')
  return async (bytes, sizeBytes = bytes.length) => {
    writeFileSync(file, bytes)
    if (sizeBytes !== bytes.length) truncateSync(file, sizeBytes)
    const handle = await open(file)
    try {
      return await readGguf(handle, sizeBytes)
    } finally {
      await handle.close()
    }
  }
}

const refused = (message: RegExp) => ({ code: 'invalid-response', message })

test('recorded weights give what the recorded server told of them', async (t) => {
  const read = readerIn(t)
  let count = 0
  for (const { what, stored, modelInfo } of pulledModels()) {
    const weights = stored.layers[0]
    const { values, parameterCount } = await read(Buffer.from(weights?.base64 ?? '', 'base64'))
    const { 'general.name': _, ...info } = Object.fromEntries(values)
    assert.deepEqual({ ...info, 'general.parameter_count': parameterCount }, modelInfo, what)
    count++
  }
  assert.ok(count >= 6)
  const adapter = derivedModels()
    .find(({ what }) => what === 'adapter')
    ?.stored.layers.at(3)
  const { values } = await read(Buffer.from(adapter?.base64 ?? '', 'base64'))
  assert.equal(values.get('general.type'), 'adapter')
})

const short = fc.string({ unit: 'grapheme', maxLength: 20 })
const scalars: readonly fc.Arbitrary<Value>[] = [
  fc.record({ type: fc.constant(0 as const), value: fc.nat(255) }),
  fc.record({ type: fc.constant(1 as const), value: fc.integer({ min: -128, max: 127 }) }),
  fc.record({ type: fc.constant(2 as const), value: fc.nat(65535) }),
  fc.record({ type: fc.constant(3 as const), value: fc.integer({ min: -32768, max: 32767 }) }),
  fc.record({ type: fc.constant(4 as const), value: fc.nat(2 ** 32 - 1) }),
  fc.record({ type: fc.constant(5 as const), value: fc.integer() }),
  fc.record({ type: fc.constant(6 as const), value: fc.float() }),
  fc.record({ type: fc.constant(7 as const), value: fc.boolean() }),
  fc.record({ type: fc.constant(8 as const), value: short }),
  fc.record({ type: fc.constant(10 as const), value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }),
  fc.record({ type: fc.constant(11 as const), value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) }),
  fc.record({ type: fc.constant(12 as const), value: fc.double() }),
]
const listOf = (item: fc.Arbitrary<Value>): fc.Arbitrary<Value> =>
  fc
    .array(item, { maxLength: 8 })
    .chain((items) => fc.nat(12).map((type) => ({ type: 9 as const, of: items[0]?.type ?? type, items })))
const list = fc.oneof(...scalars.map(listOf), listOf(fc.oneof(...scalars.map(listOf))))
const entries = fc.uniqueArray(fc.tuple(short, fc.oneof(...scalars, list)), {
  selector: ([key]) => key,
  maxLength: 12,
})
const floats: fc.Arbitrary<readonly Tensor[]> = fc.array(
  fc.record({
    name: short,
    shape: fc.array(fc.bigInt({ min: 0n, max: 12n }), { maxLength: 4 }),
    kind: fc.constant(0),
    offset: fc.bigInt({ min: 0n, max: 999n }),
  }),
  { maxLength: 6 },
)

function elements({ shape }: Tensor): number {
  return shape.reduce((product, length) => product * Number(length), 1)
}

/** What JSON would make of it, and whoever reads that. */
function told(value: Value): unknown {
  if (value.type === 9) return value.items.length > 0 ? null : value.of === 0 ? '' : []
  if (value.type === 10 || value.type === 11) return Number(value.value)
  if (typeof value.value === 'number' && !Number.isFinite(value.value)) return null
  return value.value
}

test('any file is read as it was written', async (t) => {
  const read = readerIn(t)
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(2, 3), entries, floats, async (version, values, tensors) => {
      const own = values.filter(([key]) => key !== 'general.alignment')
      const dataBytes = Math.max(0, ...tensors.map((tensor) => Number(tensor.offset) + 4 * elements(tensor)))
      const file = writeGguf({ version, values: own, tensors, dataBytes })
      const found = await read(file)
      assert.deepEqual(
        [...found.values.keys()],
        own.map(([key]) => key),
      )
      for (const [key, value] of own) {
        const [got, wanted] = [found.values.get(key), told(value)]
        // The shortest text of a float is another double.
        if (value.type === 6 && typeof got === 'number') assert.equal(Math.fround(got), wanted)
        else assert.deepEqual(got, wanted)
      }
      assert.deepEqual(
        found.tensors,
        tensors.map(({ name, kind, shape }) => ({ name, kind, shape: shape.map(Number) })),
      )
      assert.equal(
        found.parameterCount,
        tensors.reduce((sum, tensor) => sum + elements(tensor), 0),
      )
      // One byte less, and it is cut, unless nothing lies there.
      if (tensors.length === 0 || dataBytes > 0)
        await assert.rejects(read(file.subarray(0, -1)), refused(/it is cut|does not begin/))
    }),
    { numRuns: 200 },
  )
})

test('no damage makes it fail in another way than with a clear error', async (t) => {
  const read = readerIn(t)
  const whole = [
    makeGguf({ name: 'x', chatTemplate: '{{ messages }}' }),
    writeGguf({
      values: [
        ['general.architecture', { type: 8, value: 'llama' }],
        [
          'tokens',
          {
            type: 9,
            of: 8,
            items: [
              { type: 8, value: 'a' },
              { type: 8, value: 'bc' },
            ],
          },
        ],
        ['deep', { type: 9, of: 9, items: [{ type: 9, of: 4, items: [{ type: 4, value: 1 }] }] }],
      ],
      tensors: [{ name: 'w', shape: [32n, 2n], kind: 2, offset: 0n }],
      dataBytes: 36,
    }),
  ]
  const changed = fc
    .tuple(
      fc.constantFrom(...whole),
      fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(255)), { maxLength: 6 }),
      fc.double({ min: 0.1, max: 1, noNaN: true }),
    )
    .map(([bytes, changes, part]) => {
      const copy = Buffer.from(bytes)
      for (const [at, byte] of changes) copy[Math.floor(at * (copy.length - 1))] = byte
      return copy.subarray(0, Math.ceil(part * copy.length))
    })
  const begun = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.concat([Buffer.from('GGUF\x03\0\0\0'), bytes]))
  await fc.assert(
    fc.asyncProperty(fc.oneof(changed, begun, fc.uint8Array({ maxLength: 100 })), async (bytes) => {
      try {
        await read(bytes)
      } catch (error) {
        assert.ok(isOllamaConfigError(error), String(error))
        assert.doesNotMatch(error.message, /[\n\x1b]/)
      }
    }),
    { numRuns: 1500 },
  )
})

test('the extents of tensors are checked for every known kind', async (t) => {
  const read = readerIn(t)
  // Of 256 numbers, by kind: what ggml.h says they take.
  const sizes: Readonly<Record<number, number>> = {
    0: 1024,
    1: 512,
    2: 144,
    3: 160,
    6: 176,
    7: 192,
    8: 272,
    9: 288,
    10: 84,
    11: 110,
    12: 144,
    13: 176,
    14: 210,
    15: 292,
    16: 66,
    17: 74,
    18: 98,
    19: 50,
    20: 144,
    21: 110,
    22: 82,
    23: 136,
    24: 256,
    25: 512,
    26: 1024,
    27: 2048,
    28: 2048,
    29: 56,
    30: 512,
    34: 54,
    35: 66,
    39: 136,
    40: 144,
    41: 36,
  }
  for (const [kind, size] of Object.entries(sizes)) {
    const tensors: readonly Tensor[] = [
      { name: 'first', shape: [256n], kind: Number(kind), offset: 64n },
      { name: 'second', shape: [1n], kind: 24, offset: 0n },
    ]
    const file = writeGguf({ tensors, dataBytes: 64 + size })
    assert.equal((await read(file)).parameterCount, 257, kind)
    await assert.rejects(read(file.subarray(0, -1)), refused(/it is cut: its tensors end at byte \d+/), kind)
  }
  // Nobody knows how long one of a later kind is.
  const later = { name: 'later', shape: [256n], kind: 99, offset: 64n }
  await read(writeGguf({ tensors: [later], dataBytes: 64 }))
  await assert.rejects(read(writeGguf({ tensors: [later], dataBytes: 63 })), refused(/it is cut/))
})

test('where tensors begin depends on the alignment that the file says', async (t) => {
  const read = readerIn(t)
  const tensors = [{ name: 'w', shape: [8n], kind: 0, offset: 0n }]
  const of = (value: Value, alignment: number) =>
    writeGguf({ values: [['general.alignment', value]], tensors, alignment, dataBytes: 32 })
  for (const alignment of [1, 8, 256, 4096]) {
    const file = of({ type: 4, value: alignment }, alignment)
    assert.equal((await read(file)).parameterCount, 8)
    await assert.rejects(read(file.subarray(0, -1)), refused(/it is cut/))
  }
  // What is no number is not said.
  await read(of({ type: 8, value: 'x' }, 32))
  for (const value of [0, -1, 0.5, 1e300])
    await assert.rejects(read(of({ type: 12, value }, 32)), refused(/alignment|it is cut/), String(value))
})

test('numbers are told as a server prints them', async (t) => {
  const read = readerIn(t)
  const float = (value: number): readonly [string, Value] => [String(value), { type: 6, value }]
  const values = [float(0.1), float(1e-6), float(10000), float(Math.SQRT1_2), float(1.1754943508222875e-38)]
  const found = await read(
    writeGguf({
      values: [
        ...values,
        float(16777216),
        float(1.00000012),
        // In the middle of two decimals, and beside a power of two.
        float(-2900844.25),
        float(2 ** 87),
        ['large', { type: 10, value: 2n ** 53n + 1n }],
        ['largest', { type: 10, value: 2n ** 64n - 1n }],
        ['smallest', { type: 11, value: -(2n ** 63n) }],
        ['minus', { type: 11, value: -1n }],
      ],
    }),
  )
  assert.deepEqual(
    [...found.values.values()],
    [
      0.1,
      1e-6,
      10000,
      0.70710677,
      1.1754944e-38,
      16777216,
      1.0000001,
      -2900844.2,
      1.5474251e26,
      2 ** 53,
      2 ** 64,
      -(2 ** 63),
      -1,
    ],
  )
})

test('what JSON cannot say is nothing', async (t) => {
  const read = readerIn(t)
  const odd = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  const values = ([6, 12] as const).flatMap((type) =>
    odd.map((value) => [`${type} ${value}`, { type, value }] as const),
  )
  assert.deepEqual([...(await read(writeGguf({ values }))).values.values()], [null, null, null, null, null, null])
})

test('a vocabulary is passed over, however it lies in the pieces that are read', async (t) => {
  const read = readerIn(t)
  // Lengths that end before, at and behind the pieces.
  for (const extra of [0, 1, 4, 7, 8, 9]) {
    const tokens = Array.from({ length: 60_000 }, (_, index) => ({ type: 8 as const, value: 'x'.repeat(index % 40) }))
    const { values, parameterCount } = await read(
      writeGguf({
        values: [
          ['shift', { type: 8, value: 'y'.repeat(extra) }],
          ['tokens', { type: 9, of: 8, items: tokens }],
          ['long', { type: 8, value: 'z'.repeat(3_000_000) }],
          ['scores', { type: 9, of: 6, items: tokens.map(() => ({ type: 6 as const, value: 1 })) }],
          ['last', { type: 4, value: 7 }],
        ],
        tensors: [{ name: 'w', shape: [2n, 3n], kind: 0, offset: 0n }],
        dataBytes: 24,
      }),
    )
    assert.deepEqual([values.get('tokens'), values.get('scores'), values.get('last')], [null, null, 7])
    assert.equal(parameterCount, 6)
  }
})

const head = (tensors: bigint, values: bigint) => [Buffer.from('GGUF'), int(3), long(tensors), long(values)]
const key = (type: number) => [text('k'), int(type)]
const nested = (depth: number): Value =>
  depth === 0 ? { type: 9, of: 4, items: [] } : { type: 9, of: 9, items: [nested(depth - 1)] }

const hostile: readonly (readonly [what: string, bytes: readonly Buffer[], message: RegExp])[] = [
  ['no file at all', [], /does not begin with GGUF/],
  ['another magic', [Buffer.from('GGML'), Buffer.alloc(60)], /does not begin with GGUF/],
  ['big-endian', [Buffer.from('GGUF\0\0\0\x03'), Buffer.alloc(60)], /big-endian/],
  ['version 1', [Buffer.from('GGUF'), int(1), Buffer.alloc(60)], /of version 1/],
  ['version 4', [Buffer.from('GGUF'), int(4), Buffer.alloc(60)], /of version 4/],
  ['2^60 tensors', head(2n ** 60n, 0n), /1152921504606847000 tensors/],
  ['2^60 values', head(0n, 2n ** 60n), /1152921504606847000 values/],
  ['a million values', head(0n, 1_000_000n), /1000000 values/],
  ['a text of 2^63 bytes', [...head(0n, 1n), long(2n ** 63n)], /a text in it has/],
  ['a text past the end', [...head(0n, 1n), long(1_000_000n)], /it is cut/],
  ['a list of 2^63 numbers', [...head(0n, 1n), ...key(9), int(4), long(2n ** 63n)], /it is cut/],
  ['a list of 2^63 texts', [...head(0n, 1n), ...key(9), int(8), long(2n ** 63n)], /more than \d+ items/],
  ['a list of a million texts', [...head(0n, 1n), ...key(9), int(8), long(1_000_000n)], /it is cut/],
  ['a list of 2^62 lists', [...head(0n, 1n), ...key(9), int(9), long(2n ** 62n)], /more than \d+ items/],
  ['lists in lists', [...head(0n, 1n), ...key(9), bytesOf(nested(5))], /too deep/],
  ['a value of type 13', [...head(0n, 1n), ...key(13), long(0n)], /of type 13/],
  ['a list of type 99', [...head(0n, 1n), ...key(9), int(99), long(1n)], /of type 99/],
  ['2^32 dimensions', [...head(1n, 0n), text('w'), int(2 ** 32 - 1)], /4294967295 dimensions/],
  [
    'an offset past the end',
    [...head(1n, 0n), text('w'), int(1), long(1n), int(0), long(2n ** 63n)],
    /it is cut: its tensors end/,
  ],
  [
    'a shape past any file',
    [...head(1n, 0n), text('w'), int(2), long(2n ** 63n), long(2n ** 63n), int(0), long(0n)],
    /it is cut: its tensors end/,
  ],
  [
    'a shape past any number, of a kind that is not known',
    [...head(1n, 0n), text('w'), int(4), ...Array.from({ length: 4 }, () => long(2n ** 64n - 1n)), int(99), long(0n)],
    /larger than any can be/,
  ],
]
for (const [what, bytes, message] of hostile) {
  test(`hostile: ${what}`, async (t) => {
    const read = readerIn(t)
    await assert.rejects(read(Buffer.concat([...bytes, Buffer.alloc(32)])), refused(message))
  })
}

const hasHoles = process.platform !== 'win32'

test('hostile: lists without end in a file of a terabyte', { skip: !hasHoles, timeout: 30_000 }, async (t) => {
  const read = readerIn(t)
  // A hole reads as empty texts, and as lists of nothing.
  for (const type of [8, 9]) {
    const bytes = Buffer.concat([...head(0n, 1n), ...key(9), int(type), long(2n ** 36n)])
    await assert.rejects(read(bytes, 2 ** 40), refused(/more than \d+ items/))
  }
})

test('hostile: texts that are too much together', { timeout: 60_000 }, async (t) => {
  const read = readerIn(t)
  const large = { type: 8 as const, value: 'x'.repeat(15_000_000) }
  const file = writeGguf({ values: Array.from({ length: 5 }, (_, index) => [String(index), large] as const) })
  await assert.rejects(read(file), refused(/its texts have more than/))
})

test('reading can be given up', async (t) => {
  const file = path.join(tempFolder(t), 'weights')
  writeFileSync(file, makeGguf())
  const handle = await open(file)
  try {
    const gaveUp = new Error('gave up')
    await assert.rejects(readGguf(handle, 576, AbortSignal.abort(gaveUp)), (error) => error === gaveUp)
  } finally {
    // Before its folder is removed, which Windows does to none in which a file is open.
    await handle.close()
  }
})
