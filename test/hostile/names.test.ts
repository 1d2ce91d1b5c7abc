/** Names and addresses from anywhere: references, patterns, paths, hosts, proxies, the words of a command line. */
import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { matchesPattern, parsePattern } from '../../src/artifact/pattern.ts'
import {
  formatReference,
  isAddressable,
  parseListedName,
  parseReference,
  type Reference,
  referenceKey,
  sameReference,
} from '../../src/artifact/reference.ts'
import { parseAddress, selectHost } from '../../src/backend/address.ts'
import { parseArguments, parseCount, parseDuration } from '../../src/cli/arguments.ts'
import { formatPath } from '../../src/config/key-path.ts'
import { stateFolder } from '../../src/record/state-folder.ts'
import { createProxyAgent, proxyAuthorization, proxyFor, proxyName } from '../../src/runtime/proxy.ts'
import { TransportError } from '../../src/runtime/transport-error.ts'
import { assertStorable, blobFile, defaultFolder, layoutOf, manifestFile, partialFile } from '../../src/store/layout.ts'
import { digestOf, kindOf } from '../../src/store/leftover-names.ts'
import { suggest } from '../../src/suggest.ts'
import { anyText, assertVisible, holds, hostileText, outcomeOf, promptly, readsLargeTexts } from './hostile-input.ts'

const names = ['qwen3:8b', 'all-minilm', 'user/model:tag', 'r.example:5000/user/model:1', 'https://hf.co/a/b:Q4_K_M']
const nameText = anyText(...names, 'x:local', 'x:20b-cloud', `a/b/c@sha256:${'0'.repeat(64)}`)
const layout = layoutOf(path.resolve('/models'))

holds(
  'a reference is refused with an error of ours, or is four plain parts that come back the same',
  nameText,
  (text) => {
    const parsed = outcomeOf(() => parseReference(text))
    if ('error' in parsed) return
    const { scheme: _, ...reference } = parsed.value
    assertPlain(reference)
    assert.ok(sameReference(parseReference(formatReference(reference)), reference))
  },
)

holds(
  'a listed name is refused with an error of ours, or is four plain parts that come back the same',
  nameText,
  (text) => {
    isAddressable(text)
    const parsed = outcomeOf(() => parseListedName(text))
    if ('error' in parsed) return
    assertPlain(parsed.value)
    assert.deepEqual(parseListedName(formatReference(parsed.value)), parsed.value)
    assert.ok(isInside(manifestFile(layout, parsed.value), layout.manifests))
    for (const platform of ['win32', 'linux']) outcomeOf(() => assertStorable(parsed.value, platform))
  },
)

/** Nothing in it that leads elsewhere, or that a terminal would not show as it is. */
function assertPlain(reference: Reference): void {
  const { host, namespace, model, tag } = reference
  for (const part of [host, namespace, model, tag]) assert.match(part, /^\w[\w.:-]*$/)
  assert.equal(referenceKey(reference).split('/').length, 3)
}

function isInside(file: string, folder: string): boolean {
  const relative = path.relative(folder, file)
  return relative !== '' && !relative.startsWith('..') && !path.isAbsolute(relative)
}

holds(
  'a pattern is refused with an error of ours, or covers what can be told',
  anyText('qwen3*', 'hf.co/*/*', 'llava:*'),
  (text) => {
    const parsed = outcomeOf(() => parsePattern(text))
    if ('error' in parsed) return
    for (const part of ['host', 'namespace', 'model', 'tag'] as const) assertVisible(parsed.value[part])
    for (const name of names) matchesPattern(parsed.value, parseReference(name))
  },
)

const part = fc.oneof(fc.constantFrom('a', '..', '../..', '/etc', '.', '', '\0', 'CON'), hostileText)

holds(
  'no reference leads out of the store, whoever made it',
  fc.record({ host: part, namespace: part, model: part, tag: part, cloud: fc.constant(false) }),
  (reference) => {
    const found = outcomeOf(() => manifestFile(layout, reference))
    if ('value' in found) assert.ok(isInside(found.value, layout.manifests), found.value)
  },
)

const digestText = anyText(`sha256:${'ab'.repeat(32)}`, `sha256-${'ab'.repeat(32)}`)

holds('no digest leads out of the store', digestText, (digest) => {
  for (const fileOf of [blobFile, partialFile]) {
    const found = outcomeOf(() => fileOf(layout, digest))
    if ('value' in found) assert.equal(path.dirname(found.value), layout.blobs)
  }
})

holds("what lies around is ours or a server's by its name alone", digestText, (name) => {
  for (const folder of Object.values(layout)) {
    const file = `${folder}/${name}`
    const kind = kindOf(layout, file)
    digestOf(file)
    if (kind !== undefined) assert.equal(path.dirname(path.resolve(file)), folder)
  }
})

const addresses = [
  'http://127.0.0.1:11434',
  'gpu.lan',
  'https://user:pw@h.example/ollama',
  'unix:///run/x.sock',
  '[::1]:1',
]

holds(
  'an address is refused with an error of ours, or is shown without what may be a secret',
  anyText(...addresses),
  (text) => {
    for (const read of [() => parseAddress(text), () => selectHost({ flag: text }).address]) {
      const parsed = outcomeOf(read)
      if ('error' in parsed) continue
      const { origin, url, warning = '', headers } = parsed.value
      assertVisible(origin)
      assertVisible(warning)
      assert.doesNotMatch(new URL(url).href, /@/)
      for (const value of Object.values(headers)) assert.match(value, /^[\x20-\x7e]*$/)
      if (!origin.startsWith('unix:')) assert.equal(parseAddress(origin).url, url)
    }
  },
)

holds(
  'proxies from the environment are chosen, named and used without a throw of another kind',
  fc.tuple(anyText('http://user:pw@proxy:3128', 'proxy'), anyText('*', '.corp,10.0.0.0/8,[::1]:80', 'a.b:443')),
  ([proxy, except]) => {
    for (const target of ['https://r.example/v2', 'http://10.1.2.3:5000', 'http://[2001:db8::1]/']) {
      const url = new URL(target)
      const chosen = proxyFor(url, { HTTPS_PROXY: proxy, HTTP_PROXY: proxy, NO_PROXY: except })
      if (chosen === undefined) continue
      assertVisible(proxyName(chosen))
      assert.doesNotMatch(proxyName(chosen), /@/)
      try {
        createProxyAgent(url, chosen, {}).destroy()
        for (const value of Object.values(proxyAuthorization(chosen))) assert.match(value, /^[\x20-\x7e]*$/)
      } catch (error) {
        assert.ok(error instanceof TransportError, String(error))
        assertVisible(error.message)
      }
    }
  },
)

const words = fc.array(
  fc.oneof(
    fc.constantFrom(
      'plan',
      'apply',
      'lock',
      'verify',
      'collect',
      '--json',
      '--host',
      '--store',
      '--',
      '-v',
      '--wait',
      '-',
    ),
    hostileText,
    hostileText.map((text) => `--${text}`),
    fc
      .tuple(fc.constantFrom('host', 'store', 'json', 'log-file', '__proto__'), hostileText)
      .map((pair) => `--${pair.join('=')}`),
  ),
  { maxLength: 6 },
)

holds('words become a command, or an error of ours', words, (list) => {
  const read = outcomeOf(() => parseArguments(list))
  if ('value' in read) assert.equal(typeof read.value.command, 'string')
})

holds('numbers of the command line', anyText('60s', '500ms', '1.5h', '2'), (text) => {
  const duration = outcomeOf(() => parseDuration('--wait', text))
  if ('value' in duration) assert.ok(duration.value !== undefined && duration.value >= 0)
  const count = outcomeOf(() => parseCount('--concurrency', text))
  if ('value' in count) assert.ok(count.value !== undefined && count.value >= 1 && count.value <= 64)
})

holds('folders of a user, and places in a config', anyText('/home/me', 'models[0].name'), (text) => {
  for (const platform of ['linux', 'darwin', 'win32']) {
    stateFolder({ XDG_STATE_HOME: text, LOCALAPPDATA: text }, platform, '/home/me')
    defaultFolder({ OLLAMA_MODELS: text }, platform, '/home/me')
  }
  assertVisible(formatPath(['models', 0, text]))
  suggest(text, ['__proto__', 'constructor', 'plan'])
})

readsLargeTexts(
  {
    'a reference': parseReference,
    'a listed name': parseListedName,
    'a pattern': parsePattern,
    'an address': parseAddress,
    'a host': (text) => selectHost({ config: text }),
    'the path of an address': (text) => parseAddress(`http://h/${text}`),
    'a proxy': (text) => proxyFor(new URL('https://r.example'), { HTTPS_PROXY: text }),
    'exceptions from proxies': (text) => proxyFor(new URL('https://r.example'), { HTTPS_PROXY: 'p', NO_PROXY: text }),
    'a command': (text) => parseArguments([text]),
    'a flag': (text) => parseArguments(['plan', `--${text}`]),
    'a duration': (text) => parseDuration('--wait', text),
    'a count': (text) => parseCount('--connections', text),
    'the folder of the models': (text) => defaultFolder({ OLLAMA_MODELS: text }, 'linux', '/home/me'),
    'a digest': (text) => blobFile(layout, text),
    'a place': (text) => formatPath([text]),
  },
  'http://h/',
  ':',
  '@',
  '1',
  ',',
)

test('a pattern of many stars takes no exponential time', () => {
  const name = `${'a'.repeat(80)}:${'a'.repeat(80)}`
  const pattern = parsePattern('*a'.repeat(20_000))
  promptly(() => matchesPattern(pattern, parseReference(name)))
})
