/** What the recordings cannot show of the test registry: what it serves, how strict it is, what it complains of. */
import assert from 'node:assert/strict'
import { describeModel } from './ollama-server.ts'
import { type AskOptions, ask, manifestType, small, usual, weights, withRegistry } from './registry/ask.ts'
import { filledLayer } from './registry.ts'

const pushed = { name: 'pushed', pushedAt: 1_790_000_000 }
withRegistry('a manifest is what a server has installed', { models: ['small', pushed] }, async (registry) => {
  const { manifest, digest } = describeModel('small')
  const got = await ask(registry, small)
  assert.equal(got.text, manifest)
  assert.equal(got.headers['docker-content-digest'], `sha256:${digest}`)
  assert.equal(got.headers['ollama-content-digest'], undefined)
  const head = await ask(registry, '/v2/library/pushed/manifests/latest', { method: 'HEAD' })
  const content = registry.content('pushed')
  assert.equal(head.text, '')
  assert.equal(head.headers['content-length'], String(content.manifest.length))
  assert.equal(head.headers['ollama-content-digest'], content.digest.slice('sha256:'.length))
  assert.equal(head.headers['ollama-push-time'], '1790000000')
  assert.equal((await ask(registry, '/v2/library/SMALL/manifests/latest')).status, 404)
  assert.deepEqual(registry.problems, [])
})

withRegistry(
  'a moved tag leaves its old manifest behind',
  { models: ['host.example/library/small'] },
  async (registry) => {
    const old = registry.content('small')
    registry.publish({ name: 'small', revision: 'two' })
    const byDigest = `/v2/library/small/manifests/${old.digest}`
    assert.notEqual((await ask(registry, small)).text, old.manifest)
    assert.equal((await ask(registry, byDigest)).text, old.manifest)
    registry.forget(old.digest)
    assert.equal((await ask(registry, byDigest)).status, 404)
    registry.unpublish('small')
    const gone = await ask(registry, small)
    assert.equal(gone.status, 404)
    assert.match(gone.text, /MANIFEST_UNKNOWN/)
    assert.throws(() => registry.content('small'), /not published/)
  },
)

withRegistry('a registry need not know digests', { models: ['small'], byDigest: false }, async (registry) => {
  const { digest } = registry.content('small')
  assert.equal((await ask(registry, `/v2/library/small/manifests/${digest}`)).status, 404)
  assert.equal((await ask(registry, small)).status, 200)
})

withRegistry('blobs come from another host, in the parts asked for', { models: ['small'] }, async (registry) => {
  const digest = weights(registry, 'small')
  const redirect = await ask(registry, `/v2/library/small/blobs/${digest}`)
  assert.equal(redirect.status, 307)
  const location = redirect.headers.location ?? ''
  assert.equal(location, `${registry.url.replace('127.0.0.1', 'localhost')}/cdn/${digest}`)
  const part = async (range: string) => {
    const { status, text, headers } = await ask(registry, location, { headers: { Range: range } })
    return [status, text.length, headers['content-range']]
  }
  assert.equal((await ask(registry, location, { headers: {} })).text.length, 4096)
  assert.deepEqual(await part('bytes=0-99'), [206, 100, 'bytes 0-99/4096'])
  assert.deepEqual(await part('bytes=4000-'), [206, 96, 'bytes 4000-4095/4096'])
  assert.deepEqual(await part('bytes=4000-9999'), [206, 96, 'bytes 4000-4095/4096'])
  for (const nonsense of ['bytes=4096-', 'bytes=9-8', 'bytes=-5', 'bytes=0-1,3-4', '0-5', 'bytes=a-b']) {
    assert.deepEqual(await part(nonsense), [416, 0, 'bytes */4096'], nonsense)
  }
  assert.equal(registry.blobBytesServed(), 4096 + 100 + 96 + 96)
  assert.equal((await ask(registry, `/v2/library/other/blobs/${digest}`)).status, 404)
  registry.loseBlob(digest)
  assert.equal((await ask(registry, `/v2/library/small/blobs/${digest}`, { method: 'HEAD' })).status, 404)
  assert.equal((await ask(registry, location, { headers: {} })).status, 404)
  assert.deepEqual(registry.problems, [])
})

withRegistry('large blobs are made as they are sent', {}, async (registry) => {
  const fill = { header: Buffer.from('GGUF'), repeat: Buffer.from('abc') }
  const layer = filledLayer(1_000_000, fill)
  assert.throws(() => registry.publish({ name: 'big', layers: [layer] }), /no bytes to serve/)
  assert.throws(() => registry.content('big'), /not published/)
  registry.publish({ name: 'big', layers: [layer], fill })
  const read = async (range: string) =>
    (await ask(registry, `/cdn/${layer.digest}`, { headers: { Range: range } })).text
  assert.equal(await read('bytes=0-9'), 'GGUFabcabc')
  assert.equal(await read('bytes=5-7'), 'bca')
  const whole = await ask(registry, `/cdn/${layer.digest}`, { headers: {} })
  assert.equal(whole.text, `GGUF${'abc'.repeat(333_332)}`)
  registry.publish({
    name: 'gap',
    layers: [{ mediaType: 'a/b', size: 9, digest: weights(registry, 'big') }],
    lostBlobs: [layer.digest],
  })
  assert.equal((await ask(registry, `/v2/library/gap/blobs/${layer.digest}`)).status, 404)
})

withRegistry(
  'an old server is told to upgrade',
  { models: [{ name: 'small', requires: '0.34.0' }] },
  async (registry) => {
    const status = async (version: string) =>
      (
        await ask(registry, small, {
          headers: { ...usual, 'User-Agent': `ollama/${version} (arm64 darwin) Go/go1.26.0` },
        })
      ).status
    assert.deepEqual(
      [
        await status('0.33.9'),
        await status('0.34.0'),
        await status('0.34.1-rc1'),
        await status('1.0.0'),
        await status('0.0.0'),
      ],
      [412, 200, 200, 200, 200],
    )
    assert.match(
      (await ask(registry, small)).text,
      /^\n\nThe model you are attempting to pull requires a newer version/,
    )
  },
)

const secretAndSmall = { models: ['small', { name: 'team/a', private: true }] }
withRegistry('what a client must never do is noted', secretAndSmall, async (registry) => {
  const digest = weights(registry, 'small')
  const withToken = { ...usual, Authorization: 'Bearer x' }
  const slips: [string, AskOptions, RegExp][] = [
    [small, { headers: { ...usual, Accept: '*/*' } }, /Accept header \*\/\*$/],
    [small, { headers: { 'User-Agent': usual['User-Agent'] } }, /Accept header missing$/],
    [small, { headers: { Accept: manifestType } }, /User-Agent missing$/],
    [small, { headers: { ...usual, 'User-Agent': 'ollama-config/1' } }, /User-Agent ollama-config\/1$/],
    [small, { headers: withToken }, /before any 401$/],
    [`/cdn/${digest}`, { headers: withToken }, /with credentials, at the host 127/],
    [`${registry.url.replace('127.0.0.1', 'localhost')}${small}`, { headers: withToken }, /at the host localhost/],
    ['/v2/', {}, /does not have$/],
    ['/v2/library/small/tags/list', {}, /does not have$/],
    [small, { method: 'PUT' }, /^PUT .* must not$/],
    [
      '/token?scope=repository%3Ateam%2Fa%3Apull',
      { headers: { ...usual, Authorization: 'x' } },
      /before any 401.*query keys/,
    ],
  ]
  for (const [path, options, problem] of slips) {
    const before = registry.problems.length
    await ask(registry, path, options)
    assert.match(registry.problems.slice(before).join(), problem)
  }
  assert.equal(
    (await ask(registry, small, { headers: { ...usual, Accept: `text/x, ${manifestType};q=0.9` } })).status,
    200,
  )
  assert.equal(registry.problems.length, slips.length + 1, 'the last slip counts twice')
})

withRegistry(
  'requests can be counted by what they are about',
  { models: ['small', 'small:7b', 'other'] },
  async (registry) => {
    const digest = weights(registry, 'small')
    const paths = [
      small,
      '/v2/library/small/manifests/7b',
      `/v2/library/small/blobs/${digest}`,
      '/v2/library/other/manifests/latest',
    ]
    await Promise.all(paths.map((path) => ask(registry, path)))
    await ask(registry, `/cdn/${digest}`, { method: 'HEAD', headers: {} })
    const { count } = registry
    assert.deepEqual([count(), count({ kind: 'manifest' }), count({ method: 'HEAD' })], [5, 3, 1])
    assert.deepEqual([count({ name: 'host/library/small:latest' }), count({ name: 'small:7b' })], [3, 3])
    assert.deepEqual([count({ name: 'small', kind: 'manifest' }), count({ digest })], [1, 2])
    assert.equal(registry.blobBytesServed(), 0)
    await registry.waitForRequest({ kind: 'cdn', finished: true })
  },
)

const smallLayers = [
  { mediaType: 'application/vnd.ollama.image.model', bytes: 'weights' },
  { mediaType: 'application/vnd.ollama.image.params', bytes: '{"top_k":5}' },
]
for (const blobs of ['redirect', 'plain'] as const) {
  const models = [{ name: 'small', blobs, layers: smallLayers }]
  withRegistry(`a small blob can be read with a plain GET: ${blobs}`, { models }, async (registry) => {
    const { config, layers } = registry.content('small')
    const read = async (digest = '') => {
      const headers = { 'User-Agent': 'ollama/0.1.0 (amd64 linux)' }
      const text = await (await fetch(`${registry.url}/v2/library/small/blobs/${digest}`, { headers })).text()
      assert.equal(registry.count({ kind: 'blob', name: 'small', digest }), 1)
      assert.equal(registry.count({ kind: 'cdn', name: 'small', digest }), blobs === 'redirect' ? 1 : 0)
      return text
    }
    assert.equal(JSON.parse(await read(config?.digest)).model_family, 'llama')
    assert.equal(await read(layers[1]?.digest), '{"top_k":5}')
    assert.equal(registry.count({ digest: layers[0]?.digest ?? '' }), 0, 'nobody asked for the weights')
    assert.equal(registry.problems.length, 0)
  })
}
