/** The token flow of the test registry: it checks a signature for real, and can go wrong in every place. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { ask, usual, weights } from './registry/ask.ts'
import { signature, tokenText } from './registry/ssh-key.ts'
import { makeOllamaKey, startRegistry, type TestRegistry } from './registry.ts'

async function withKey(body: (key: { publicKey: string; file: string }, registry: TestRegistry) => Promise<void>) {
  const folder = await mkdtemp(join(tmpdir(), 'ollama-key-'))
  const key = await makeOllamaKey(folder)
  const secret = (name: string, access: object | true) => ({ name: `team/${name}`, private: access })
  const odd = [secret('no-json', { token: 'no-json' }), secret('missing', { token: 'missing' })]
  const others = [
    secret('refused', { refused: true }),
    secret('none', { challenge: false }),
    secret('far', { realm: 'http://a.example/t' }),
  ]
  await using registry = await startRegistry({
    models: [secret('a', true), secret('b', {}), ...odd, ...others],
    authorizedKeys: [key.publicKey],
  })
  try {
    await body(key, registry)
  } finally {
    await rm(folder, { recursive: true })
  }
}

let nonces = 0
function tokenUrl(registry: TestRegistry, repository: string, changes: Record<string, string> = {}): string {
  const nonce = String(++nonces).padStart(22, 'n')
  const ts = String(Math.floor(Date.now() / 1000))
  const query = new URLSearchParams({
    nonce,
    scope: `repository:${repository}:pull`,
    service: 'fixture',
    ts,
    ...changes,
  })
  return `${registry.url}/token?${query}`
}

async function askToken(registry: TestRegistry, url: string, file: string, header = (signed: string) => signed) {
  return await ask(registry, url, {
    headers: { ...usual, Authorization: header(await signature(file, tokenText(url))) },
  })
}

const manifestOf = (repository: string) => `/v2/${repository}/manifests/latest`

test('a key pair has the files and the form that Ollama writes', () =>
  withKey(async ({ publicKey, file }) => {
    assert.match(publicKey, /^ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI[\w+/]{43}$/)
    assert.equal(await readFile(`${file}.pub`, 'utf8'), `${publicKey}\n`)
    assert.match(
      await readFile(file, 'utf8'),
      /^-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA[\w+/=\n]+-----END OPENSSH PRIVATE KEY-----\n$/,
    )
    if (process.platform !== 'win32') assert.equal((await stat(file)).mode & 0o777, 0o600)
  }))

test('a signed request gets a token for one repository', () =>
  withKey(async ({ file }, registry) => {
    const refused = await ask(registry, manifestOf('team/a'))
    assert.equal(refused.status, 401)
    const scope = 'repository:team/a:pull'
    const challenge = `Bearer realm="${registry.url}/token",service="fixture",scope="${scope}"`
    assert.equal(refused.headers['www-authenticate'], challenge)
    const { token } = JSON.parse((await askToken(registry, tokenUrl(registry, 'team/a'), file)).text) as {
      token: string
    }
    const opened = { headers: { ...usual, Authorization: `Bearer ${token}` } }
    assert.equal((await ask(registry, manifestOf('team/a'), opened)).status, 200)
    const blob = `/v2/team/a/blobs/${weights(registry, 'team/a')}`
    assert.equal((await ask(registry, blob)).status, 401)
    assert.equal((await ask(registry, blob, opened)).status, 307)
    assert.deepEqual(registry.problems, [])
    await ask(registry, manifestOf('team/b'))
    assert.equal((await ask(registry, manifestOf('team/b'), opened)).status, 401)
    assert.match(registry.problems.join(), /token for another repository$/)
  }))

test('a token is refused for every slip in the request', () =>
  withKey(async ({ file, publicKey }, registry) => {
    await ask(registry, manifestOf('team/a'))
    const old = String(Math.floor(Date.now() / 1000) - 1000)
    const good = tokenUrl(registry, 'team/a')
    assert.equal((await askToken(registry, good, file)).status, 200)
    const slips: [RegExp, string, ((signed: string) => string)?][] = [
      [/used before/, good],
      [/query keys/, tokenUrl(registry, 'team/a').replace(/\?(nonce=\w+)&(.*)/, '?$2&$1')],
      [/not the time of now/, tokenUrl(registry, 'team/a', { ts: old })],
      [/22 characters/, tokenUrl(registry, 'team/a', { nonce: 'short' })],
      [/service is other/, tokenUrl(registry, 'team/a', { service: 'other' })],
      [/does not hold/, tokenUrl(registry, 'team/a'), (signed) => `Bearer ${signed}`],
      [
        /does not hold/,
        tokenUrl(registry, 'team/a'),
        (signed) => signed.replace(/:./, (text) => (text === ':A' ? ':B' : ':A')),
      ],
      [
        /does not hold/,
        tokenUrl(registry, 'team/a'),
        () => `${publicKey.split(' ')[1]}:${Buffer.alloc(64).toString('base64')}`,
      ],
    ]
    for (const [reason, url, header] of slips) {
      const got = await askToken(registry, url, file, header)
      assert.equal(got.status, 401, String(reason))
      assert.match(got.text, reason)
      assert.match(registry.problems.at(-1) ?? '', reason)
    }
    const noted = registry.problems.length
    const stranger = await makeOllamaKey(join(file, '..', 'stranger'))
    assert.match((await askToken(registry, tokenUrl(registry, 'team/a'), stranger.file)).text, /unknown key/)
    registry.authorize(stranger.publicKey)
    assert.equal((await askToken(registry, tokenUrl(registry, 'team/a'), stranger.file)).status, 200)
    assert.equal(registry.problems.length, noted, 'to be unknown is no slip')
  }))

test('the token flow can go wrong in every place', () =>
  withKey(async ({ file }, registry) => {
    const challenge = async (name: string) => (await ask(registry, manifestOf(name))).headers['www-authenticate']
    assert.equal(await challenge('team/none'), undefined)
    assert.match((await challenge('team/far')) ?? '', /realm="http:\/\/a\.example\/t"/)
    for (const name of ['team/no-json', 'team/missing', 'team/refused']) await challenge(name)
    const token = async (name: string) => (await askToken(registry, tokenUrl(registry, name), file)).text
    assert.equal(await token('team/no-json'), '<html>sign in</html>')
    assert.equal(await token('team/missing'), '{}')
    const issued = JSON.parse(await token('team/refused')) as { token: string }
    const again = await ask(registry, manifestOf('team/refused'), {
      headers: { ...usual, Authorization: `Bearer ${issued.token}` },
    })
    assert.equal(again.status, 401)
    assert.deepEqual(registry.problems, [])
  }))
