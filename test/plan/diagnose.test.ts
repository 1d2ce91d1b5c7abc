/** What a plan warns of: a host that looks wrong, what somebody else made, what cannot be taken away; and whom it asks. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseReference, referenceKey } from '../../src/artifact/reference.ts'
import type { Config } from '../../src/config/config.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { questions } from '../../src/plan/ask.ts'
import { diff } from '../../src/plan/diff.ts'
import { asDeclared, type Intent, nothingResolved, type Recorded, type Resolution } from '../../src/plan/resolution.ts'
import type { ActualState, InstalledModel } from '../../src/plan/state.ts'
import { installedModel } from '../support/memory-backend.ts'

const key = (name: string) => referenceKey(parseReference(name))
const digest = (fill: string) => `sha256:${fill.repeat(64).slice(0, 64)}`
const version = (name: string, fill: string, more: Partial<InstalledModel> = {}) =>
  installedModel(name, { digest: digest(fill), ...more })

function recorded(...entries: [name: string, fill: string, broughtIn?: boolean][]): ReadonlyMap<string, Recorded> {
  return new Map(
    entries.map(([name, fill, broughtIn = true]) => [
      key(name),
      { reference: `${name}:latest`, digest: digest(fill), broughtIn },
    ]),
  )
}

interface World {
  readonly known?: Partial<Resolution>
  readonly intent?: Partial<Intent>
}

function look(config: Config, models: readonly InstalledModel[], { known = {}, intent = {} }: World = {}) {
  const actual: ActualState = { serverVersion: '0.33.0', models, unreadable: [] }
  const { desired } = resolveConfig(config)
  const resolution = { ...nothingResolved, ...known }
  const full = { ...asDeclared, ...intent }
  const { diagnostics } = diff(desired, actual, resolution, full)
  return {
    said: (code: string) => diagnostics.filter((diagnostic) => diagnostic.code === code),
    asked: questions(desired, actual, resolution, full),
  }
}

test('a host that lost all that an apply left there is doubted', () => {
  const config = { models: ['a', 'b', 'c'] }
  const both = look(config, [], { known: { recorded: recorded(['a', '1'], ['b', '2'], ['gone', '3']) } })
  const [warning] = both.said('empty-host')
  assert.match(warning?.message ?? '', /^The server lists no model at all, not even any of the 2 models/)
  assert.match(warning?.hint ?? '', /OLLAMA_MODELS/)
  const one = look(config, [], { known: { recorded: recorded(['a', '1']), kind: 'store' } })
  assert.match(one.said('empty-host')[0]?.message ?? '', /^The store lists no model at all, not even the 1 model/)
  assert.match(one.said('empty-host')[0]?.hint ?? '', /is its disk mounted/)
  // Nothing was there, nothing of it is wanted, or something is there.
  assert.deepEqual(look(config, []).said('empty-host'), [])
  assert.deepEqual(look(config, [], { known: { recorded: recorded(['gone', '1']) } }).said('empty-host'), [])
  const others = look(config, [version('x', '9')], { known: { recorded: recorded(['a', '1']) } })
  assert.deepEqual(others.said('empty-host'), [])
})

test('what somebody else made under a name of the config is replaced only with a word', () => {
  const config = { models: ['a', { name: 'fast', aliasOf: 'a' }] }
  const models = [version('a', '1'), version('fast', '7')]
  const [copied, ...more] = look(config, models).said('replaces-other')
  assert.deepEqual(more, [])
  assert.equal(copied?.reference, 'fast:latest')
  assert.match(copied.message, /it is replaced, and kept as "fast:latest-previous-777777777777"$/)
  assert.equal(copied.hint, undefined)
  // A second name of what an apply left there is ours, also where it was found made and not made by it.
  for (const broughtIn of [true, false]) {
    const ours = look(config, models, { known: { recorded: recorded(['fast', '7', broughtIn]) } })
    assert.deepEqual(ours.said('replaces-other'), [])
  }
  const other = look(config, models, { known: { recorded: recorded(['fast', '6']) } })
  assert.equal(other.said('replaces-other').length, 1)
})

test('an update warns of what was built by hand under the name, not of what was pulled', () => {
  const config = { models: ['a'] }
  const manifest = { config: null, layers: [] }
  const served = { digest: digest('2'), text: '', manifest, pushedAt: null }
  const world = (known: Partial<Resolution> = {}): World => ({
    known: { answers: new Map([[key('a'), { kind: 'found', served }]]), ...known },
    intent: { update: 'all' },
  })
  const built = version('a', '1', { parentModel: 'x:latest' })
  assert.equal(look(config, [built], world()).said('replaces-other').length, 1)
  assert.deepEqual(look(config, [version('a', '1')], world()).said('replaces-other'), [])
  // Found there by an apply is not brought by it.
  const seen = world({ recorded: recorded(['a', '1', false]) })
  assert.equal(look(config, [built], seen).said('replaces-other').length, 1)
  const brought = world({ recorded: recorded(['a', '1']) })
  assert.deepEqual(look(config, [built], brought).said('replaces-other'), [])
})

test('a field that the config leaves empty and the base has stays, and that is said', () => {
  const config = { models: ['a', { name: 'mine', from: 'a', system: '' }] }
  const findings = {
    declaration: 'd'.repeat(64),
    files: [],
    adapters: [],
    predicted: null,
    differences: null,
    hidden: false,
    inherited: ['system', 'messages', 'license'],
  }
  const found = look(config, [version('a', '1')], { known: { builds: new Map([[key('mine'), findings]]) } })
  assert.deepEqual(
    found.said('cannot-remove').map(({ reference, path, message, hint }) => [reference, path, message, hint]),
    [
      [
        'mine:latest',
        'models[1].license',
        '"mine:latest" keeps the license of its base: Ollama can add to it, but not take it away',
        'build from another model',
      ],
      [
        'mine:latest',
        'models[1].messages',
        '"mine:latest" keeps the messages of its base: Ollama can replace them, but not take them away',
        'write other messages, or build from another model',
      ],
      [
        'mine:latest',
        'models[1].system',
        '"mine:latest" keeps the system of its base: Ollama can replace it, but not take it away',
        'write another system, or build from another model',
      ],
    ],
  )
})

test('nobody is asked about what an apply brought, about its copies, and about what runs elsewhere', () => {
  const models = [
    version('brought', '1'),
    version('changed', '2'),
    version('found', '3'),
    version('copy', '4'),
    version('registry.corp/team/x', '5'),
  ]
  const copy = {
    of: key('brought'),
    reference: 'brought:latest',
    digest: digest('4'),
    at: '',
    own: true,
    broughtIn: true,
  }
  const known = {
    recorded: recorded(['brought', '1'], ['changed', '9'], ['found', '3', false]),
    copies: new Map([[key('copy'), copy]]),
  }
  const config: Config = { models: [{ name: 'Registry.Corp/team/y', insecure: true }, 'remote'] }
  const remote = version('remote', '8', { remoteHost: 'https://ollama.com' })
  const ask = (intent: Partial<Intent>) =>
    look(config, [...models, remote], { known, intent }).asked.map(({ purpose, reference, insecure }) =>
      [purpose, reference.model, insecure ? 'plain' : ''].join(' ').trim(),
    )
  assert.deepEqual(ask({}), ['fetch y plain'])
  assert.deepEqual(ask({ checkDeletions: true }), [
    'fetch y plain',
    'deletion changed',
    'deletion found',
    // Whoever speaks plain http for one model does so for all.
    'deletion x plain',
  ])
  assert.deepEqual(ask({ update: 'all' }), ['fetch y plain'])
})
