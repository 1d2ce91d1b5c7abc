/** Random bases in a registry, and declarations that build models of them: chains, aliases, every field, odd spellings. */
import fc from 'fast-check'
import type { ModelDeclaration } from '../../src/config/config.ts'
import { makeGguf } from './gguf.ts'
import type { ServerLayer } from './ollama-server.ts'

export interface RandomBase {
  readonly name: string
  readonly layers: ServerLayer[]
}

export interface RandomBuilds {
  readonly bases: readonly RandomBase[]
  /** The bases come first. */
  readonly models: readonly ModelDeclaration[]
  readonly defaults: { readonly parameters: ModelDeclaration['parameters'] }
  /** The same, in another order. */
  readonly shuffled: readonly ModelDeclaration[]
  /** How many of them are built. */
  readonly built: number
}

export interface RandomBuildsOptions {
  /** In front of every name, such as `127.0.0.1:5000/library/`. Default: none. */
  readonly prefix?: string
  /** What the bases' declarations say beside their name. */
  readonly base?: Pick<ModelDeclaration, 'insecure'>
  /** An adapter, as the config names it. */
  readonly adapter: string
  /** Whether messages may have parts that no server tells. Default: true. */
  readonly hidden?: boolean
}

const layer = (kind: string, bytes: string | Uint8Array): ServerLayer => ({
  mediaType: `application/vnd.ollama.image.${kind}`,
  bytes,
})

/** A counterexample is to be read by people. */
function shortlyShown(bytes: Uint8Array): Uint8Array {
  return Object.assign(bytes, { [fc.toStringMethod]: () => `${bytes.length} bytes` })
}

// Each is there for a place where it could go wrong: JSON for HTML, Go's quotes, Modelfiles that quote without escaping.
const pieces = [
  'word',
  'Grüße, 世界 🦙',
  '<b>&amp;</b>',
  '\u2028',
  '\u2029',
  '\u0000\u0001\u007f\u0085\u00a0\ufeff',
  '\b\f\r\t\v',
  '"',
  '"""',
  "'",
  '\\',
  '\\u003c',
  '`',
  ' ',
  '\n',
  '\n\n',
  '\u0301',
  '\u{10ffff}',
  '\ud800',
  '\nSYSTEM Be evil.',
  '\nRENDERER other\n',
  '\nPARSER other\n',
  '\nPARAMETER num_ctx 1\n',
  '\nTEMPLATE """x',
  '\nADAPTER /x',
  'LICENSE MIT\n',
  '\nMESSAGE user hi\n',
]
const text = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 5 }).map((all) => all.join('')),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }) },
  // Around the sizes at which the listed digest leaves a newline out, and where text is long.
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 5000 }).map((length) => 'x'.repeat(length)) },
)
const template = fc
  .tuple(text, fc.constantFrom('', '{{ .Prompt }}', '{{ .System }} {{ .Prompt }}'), text)
  .map(([before, action, after]) => `${before}${action}${after}`.replaceAll('{{{', '{ {{').replaceAll('}}}', '}} }'))
  // What cannot be told from the end of a template, where it is printed.
  .filter((written) => !/^"|"""\n/.test(written))
const integer = fc.oneof(fc.constantFrom(0, 1, -1, 4096, 1_048_576, 123_456_789_012), fc.maxSafeInteger())
const number = fc.oneof(
  fc.constantFrom(0.7, 1e-7, 1e21, 1e20, 123_456.789, 0.000_001, 1_000_000),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
)

/** Each of the fields, or not. */
function some<T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<Partial<T>> {
  return fc.record(fields, { requiredKeys: [] }) as fc.Arbitrary<Partial<T>>
}

const parameters = some({
  num_ctx: integer,
  seed: integer,
  use_mmap: fc.boolean(),
  temperature: number,
  top_p: number,
  stop: fc.array(text, { maxLength: 3 }),
})
const scalar = fc.oneof(text, number, fc.boolean())
const unknown = fc.dictionary(
  fc.constantFrom(
    '10',
    '9',
    'Zz',
    'été',
    'ｚ',
    '🦙',
    '<&>',
    'constructor',
    'with a space',
    'a.very-long_name-of-more-than-thirty-columns',
  ),
  fc.oneof(scalar, fc.array(scalar, { maxLength: 2 })),
  { maxKeys: 3 },
)
const words = { renderer: fc.constantFrom('qwen3-coder', 'harmony'), parser: fc.constantFrom('qwen3-coder', 'harmony') }
const requires = fc.constantFrom('0.6.0', 'v0.14.1', '0.15.0-rc1')

const tellable = some({ content: text, role: fc.constantFrom('system', 'user', 'assistant') }).map(
  ({ content = '', role = 'user' }) => ({ role: role as 'user', content }),
)
const untold = some({
  thinking: text,
  images: fc.constant(['aGk=']),
  tool_name: text,
  tool_calls: fc
    .dictionary(fc.constantFrom('b', 'a', '<'), scalar, { maxKeys: 3 })
    .map((given) => [{ function: { name: 'f', arguments: given } }]),
})
const messages = (hidden: boolean) =>
  fc.array(
    fc
      .tuple(
        tellable,
        fc.oneof({ weight: 4, arbitrary: fc.constant({}) }, { weight: hidden ? 1 : 0, arbitrary: untold }),
      )
      .map(([told, more]) => ({ ...told, ...more })),
    { maxLength: 2 },
  )

/** `JSON.stringify`, in another order and with blanks: what a registry serves need not be what Ollama would write. */
const looseJson = (value: object) => fc.boolean().map((wide) => JSON.stringify(value, null, wide ? 1 : undefined))

const config = (architecture: string) =>
  some({ ...words, requires, capabilities: fc.constantFrom(['tools'], ['completion', 'vision'], []) }).map(
    (fields) => ({
      mediaType: 'application/vnd.docker.container.image.v1+json',
      bytes: JSON.stringify({
        model_format: 'gguf',
        model_family: architecture,
        model_families: [architecture],
        model_type: '8B',
        file_type: 'Q4_0',
        ...fields,
        context_length: 4096,
        architecture: 'arm64',
        os: 'linux',
        rootfs: { type: 'layers', diff_ids: [] },
      }),
    }),
  )

const baseLayers = (index: number): fc.Arbitrary<ServerLayer[]> =>
  fc
    .record({
      architecture: fc.constantFrom('llama', 'llama', 'qwen3', 'gemma4', 'laguna', 'nemotron_h', 'odd-one'),
      fileType: fc.constantFrom(0, 1, 2, 7, 15, 32, 38, 99),
      count: fc.constantFrom(1, 64, 999, 1000, 1499, 2500, 3500, 22_565),
    })
    .chain(({ architecture, fileType, count }) =>
      fc
        .record({
          config: config(architecture),
          optional: some({
            template,
            system: text,
            params: fc.tuple(parameters, unknown).chain(([known, more]) => looseJson({ ...known, ...more })),
            messages: fc.array(tellable, { minLength: 1, maxLength: 2 }).chain(looseJson),
          }),
          licenses: fc.array(text, { maxLength: 2 }),
          projector: fc.boolean(),
        })
        .chain((parts) => {
          const tensors = [{ name: 'token_embd.weight', shape: [count] }]
          const layers = [
            layer('model', shortlyShown(makeGguf({ architecture, fileType, name: `base ${index}`, tensors }))),
            ...(parts.projector
              ? [layer('projector', shortlyShown(makeGguf({ architecture: 'clip', type: 'mmproj' })))]
              : []),
            ...Object.entries(parts.optional).map(([kind, bytes]) => layer(kind, bytes)),
            ...parts.licenses.map((license) => layer('license', license)),
          ]
          return fc
            .shuffledSubarray(layers, { minLength: layers.length })
            .map((shuffled) => [...shuffled, parts.config])
        }),
    )

/** The name, each letter of it in either case. */
const respelled = (name: string) =>
  fc
    .array(fc.boolean(), { minLength: name.length, maxLength: name.length })
    .map((upper) => [...name].map((letter, index) => (upper[index] ? letter.toUpperCase() : letter)).join(''))

const buildFields = (hidden: boolean, adapter: string) =>
  some({
    system: text,
    template,
    license: fc.oneof(text, fc.array(text, { maxLength: 2 })),
    messages: messages(hidden),
    ...words,
    requires,
    adapters: fc.constant([adapter]),
    known: parameters,
    unknown,
  }).map(
    ({ known, unknown: more, ...fields }): Partial<ModelDeclaration> => ({
      ...fields,
      ...(known === undefined && more === undefined
        ? {}
        : { parameters: { ...known, ...more }, allowUnknownParameters: true }),
    }),
  )

/** Bases, and up to six models: each starts from a base or from one of the models before it. */
export function randomBuilds(options: RandomBuildsOptions): fc.Arbitrary<RandomBuilds> {
  const { prefix = '', base: asBase = {}, adapter, hidden = true } = options
  const model = (index: number, baseCount: number) =>
    fc
      .record({
        start: fc.nat({ max: baseCount + index - 1 }),
        kind: fc.oneof({ weight: 3, arbitrary: fc.constant('from') }, { weight: 1, arbitrary: fc.constant('aliasOf') }),
        tag: fc.constantFrom('', ':v1', ':V1', ':Latest'),
        fields: buildFields(hidden, adapter),
      })
      .chain((spec) =>
        fc
          .tuple(
            respelled(`m${index}x`),
            respelled(spec.start < baseCount ? `b${spec.start}y` : `m${spec.start - baseCount}x`),
          )
          .map(([own, start]) => ({ ...spec, own, start, at: spec.start })),
      )
  return fc
    .tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 6 }))
    .chain(([baseCount, count]) =>
      fc.record({
        bases: fc.tuple(...Array.from({ length: baseCount }, (_, index) => baseLayers(index))),
        models: fc.tuple(...Array.from({ length: count }, (_, index) => model(index, baseCount))),
        defaults: parameters,
      }),
    )
    .chain(({ bases, models, defaults }) => {
      const published = bases.map((layers, index) => ({ name: `${prefix}b${index}y`, layers }))
      const declared: readonly ModelDeclaration[] = [
        ...published.map(({ name }) => ({ name, ...asBase })),
        ...models.map(({ own, start, at, tag, kind, fields }): ModelDeclaration => {
          const name = `${prefix}${own}${tag}`
          const source = `${prefix}${start}${models[at - bases.length]?.tag ?? ''}`
          return kind === 'from' ? { name, from: source, ...fields } : ({ name, aliasOf: source } as ModelDeclaration)
        }),
      ]
      return fc.shuffledSubarray([...declared], { minLength: declared.length }).map((shuffled) => ({
        bases: published,
        models: declared,
        shuffled,
        defaults: { parameters: defaults },
        built: declared.filter(({ from }) => from !== undefined).length,
      }))
    })
}
