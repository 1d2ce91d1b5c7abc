import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  formatReference,
  isAddressable,
  nameOfPage,
  parseListedName,
  parseReference,
  referenceKey,
  sameReference,
} from '../../src/artifact/reference.ts'
import { isOllamaConfigError } from '../../src/errors.ts'

const parts = (host: string, namespace: string, model: string, tag: string) => ({ host, namespace, model, tag })

test('parseReference() fills in the defaults and keeps what is written', () => {
  const cases: [string, ReturnType<typeof parts>, string][] = [
    ['all-minilm', parts('registry.ollama.ai', 'library', 'all-minilm', 'latest'), 'all-minilm:latest'],
    ['  qwen3:8b ', parts('registry.ollama.ai', 'library', 'qwen3', '8b'), 'qwen3:8b'],
    ['library/x', parts('registry.ollama.ai', 'library', 'x', 'latest'), 'x:latest'],
    ['Registry.Ollama.AI/LIBRARY/x', parts('Registry.Ollama.AI', 'LIBRARY', 'x', 'latest'), 'x:latest'],
    ['user/model:tag', parts('registry.ollama.ai', 'user', 'model', 'tag'), 'user/model:tag'],
    ['ollama.com/library/x', parts('ollama.com', 'library', 'x', 'latest'), 'ollama.com/library/x:latest'],
    [
      'registry.corp:5000/team/base:1',
      parts('registry.corp:5000', 'team', 'base', '1'),
      'registry.corp:5000/team/base:1',
    ],
    ['hf.co/user/repo.GGUF:Q4_K_M', parts('hf.co', 'user', 'repo.GGUF', 'Q4_K_M'), 'hf.co/user/repo.GGUF:Q4_K_M'],
    ['http://h:1/n/m', parts('h:1', 'n', 'm', 'latest'), 'h:1/n/m:latest'],
    ['x:local', parts('registry.ollama.ai', 'library', 'x', 'latest'), 'x:latest'],
    ['x:LOCAL', parts('registry.ollama.ai', 'library', 'x', 'latest'), 'x:latest'],
    ['x:7b:local', parts('registry.ollama.ai', 'library', 'x', '7b'), 'x:7b'],
    ['x:cloud', parts('registry.ollama.ai', 'library', 'x', 'cloud'), 'x:cloud'],
    ['x:20b:cloud', parts('registry.ollama.ai', 'library', 'x', '20b-cloud'), 'x:20b-cloud'],
    ['x:20b-cloud', parts('registry.ollama.ai', 'library', 'x', '20b-cloud'), 'x:20b-cloud'],
    ['x:20B-Cloud', parts('registry.ollama.ai', 'library', 'x', '20B-cloud'), 'x:20B-cloud'],
    ['x..y', parts('registry.ollama.ai', 'library', 'x..y', 'latest'), 'x..y:latest'],
    ['_x-:_', parts('registry.ollama.ai', 'library', '_x-', '_'), '_x-:_'],
  ]
  for (const [text, expected, shown] of cases) {
    const { host, namespace, model, tag } = parseReference(text)
    assert.deepEqual({ host, namespace, model, tag }, expected, text)
    assert.equal(formatReference(parseReference(text)), shown)
  }
})

test('parseReference() marks cloud models and remembers the scheme', () => {
  assert.equal(parseReference('x:cloud').cloud, true)
  assert.equal(parseReference('x:20b-cloud').cloud, true)
  assert.equal(parseReference('x-cloud').cloud, false)
  assert.equal(parseReference('http://h/n/m').scheme, 'http')
  assert.equal(parseReference('h/n/m').scheme, undefined)
})

test('parseReference() refuses what the server refuses', () => {
  const bad = [
    '',
    ' ',
    ':',
    'x:',
    ':tag',
    '/x',
    'x/',
    'a//b',
    'a/b/c/d',
    'hf.co/x',
    'x y',
    'x@sha256:abc',
    '-x',
    '.x',
    'x:-t',
    'x:t/y:z:q',
    '[::1]/a/b',
    'ünïcode',
    'x\u0000',
    'x\ny',
    'x:cloud:local',
    'x:local:cloud',
    'ftp://h/n/m',
    'http://x',
    `${'m'.repeat(81)}`,
    `x:${'t'.repeat(81)}`,
    `${'h'.repeat(351)}/n/m`,
    '../../etc/passwd',
    'a/../b',
  ]
  for (const text of bad) {
    assert.throws(
      () => parseReference(text),
      (error) => isOllamaConfigError(error) && error.code === 'invalid-reference',
      JSON.stringify(text),
    )
  }
  assert.doesNotThrow(() => parseReference(`${'m'.repeat(80)}:${'t'.repeat(80)}`))
})

test('nameOfPage() knows the addresses of pages, and a name that is refused for being one says which was meant', () => {
  const pages: readonly (readonly [page: string, name: string | undefined])[] = [
    ['https://ollama.com/library/qwen3', 'qwen3'],
    ['https://www.ollama.com/library/qwen3:8b', 'qwen3:8b'],
    ['ollama.com/library/qwen3', 'qwen3'],
    ['https://ollama.com/library/qwen3:8b/blobs/a3de86cd1c13', 'qwen3:8b'],
    ['https://ollama.com/library/qwen3/tags', 'qwen3'],
    ['https://ollama.com/user/model', 'user/model'],
    ['https://ollama.com/search?q=qwen3', undefined],
    ['https://huggingface.co/org/Repo-GGUF', 'hf.co/org/Repo-GGUF'],
    ['https://huggingface.co/org/Repo-GGUF/tree/main?a=b#c', 'hf.co/org/Repo-GGUF'],
    ['https://huggingface.co/datasets/org/data', undefined],
    ['https://huggingface.co/collections/Qwen/abc', undefined],
    ['https://huggingface.co/blog/gguf', undefined],
    ['https://ollama.com/settings/keys', undefined],
    ['registry.corp:5000/team/base:1', undefined],
    ['user/model', undefined],
  ]
  for (const [page, name] of pages) {
    assert.equal(nameOfPage(page), name, page)
    try {
      parseReference(page)
    } catch (error) {
      assert.ok(isOllamaConfigError(error))
      if (name !== undefined) assert.equal(error.hint, `did you mean "${name}"?`)
    }
  }
  assert.throws(() => parseReference('https://ollama.com/library/qwen3/tags'), { hint: 'did you mean "qwen3"?' })
})

test('parseListedName() takes a tag "local" literally, and isAddressable() knows that the server does not', () => {
  assert.equal(parseListedName('x:local').tag, 'local')
  assert.equal(parseReference('x:local').tag, 'latest')
  assert.equal(isAddressable('x:local'), false)
  assert.equal(isAddressable('x:latest'), true)
  assert.equal(isAddressable('x:cloud'), true)
  assert.equal(isAddressable('h:5000/n/x:7b-cloud'), true)
})

const letters = 'abcXYZ019_'
const part = (extra: string, maxLength: number) =>
  fc
    .tuple(fc.constantFrom(...letters), fc.string({ unit: fc.constantFrom(...letters, ...extra), maxLength }))
    .map(([first, rest]) => first + rest)
const reference = fc
  .record({ host: part('.-:', 30), namespace: part('-', 20), model: part('.-', 20), tag: part('.-', 20) })
  .filter(({ tag }) => !/(^|-)(cloud|local)$/i.test(tag))
  .map((value) => ({ ...value, cloud: false }))

test('parseReference() and formatReference() are inverse', () => {
  fc.assert(
    fc.property(reference, (value) => {
      const { scheme: _, ...parsed } = parseReference(formatReference(value))
      assert.ok(sameReference(parsed, value))
      assert.equal(formatReference(parsed), formatReference(value))
    }),
  )
})

test('sameReference() is an equivalence that ignores ASCII case and nothing else', () => {
  const swapCase = (text: string) =>
    text.replace(/[a-z]/gi, (letter) => (letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase()))
  fc.assert(
    fc.property(reference, reference, reference, (a, b, c) => {
      const swapped = {
        ...a,
        host: swapCase(a.host),
        namespace: swapCase(a.namespace),
        model: swapCase(a.model),
        tag: swapCase(a.tag),
      }
      assert.ok(sameReference(a, a) && sameReference(a, swapped) && sameReference(swapped, a))
      assert.equal(sameReference(a, b), sameReference(b, a))
      if (sameReference(a, b) && sameReference(b, c)) assert.ok(sameReference(a, c))
      const key = (['host', 'namespace', 'model', 'tag'] as const).map(
        (name) => a[name].toLowerCase() === b[name].toLowerCase(),
      )
      assert.equal(sameReference(a, b), key.every(Boolean))
    }),
  )
})

test('a prefix of a name is never the name', () => {
  fc.assert(
    fc.property(reference, part('.-', 5), (a, suffix) => {
      assert.ok(!sameReference(a, { ...a, model: a.model + suffix }))
      assert.ok(!sameReference(a, { ...a, tag: a.tag + suffix }))
    }),
  )
})

test('parseReference() throws only its own error, whatever the text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
      try {
        assert.match(referenceKey(parseReference(text)), /^[a-z0-9_.:-]+\/[a-z0-9_-]+\/[a-z0-9_.-]+:[a-z0-9_.-]+$/)
      } catch (error) {
        assert.ok(isOllamaConfigError(error), String(error))
        assert.doesNotMatch(error.message, /\n/)
      }
    }),
  )
})
