import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseAddress, selectHost } from '../../src/backend/address.ts'
import { isOllamaConfigError, OllamaConfigError } from '../../src/errors.ts'

// Expected values are those of envconfig.Host() and ConnectableHost() in Ollama v0.33, where they connect at all.
const accepted: readonly (readonly [text: string, url: string])[] = [
  ['', 'http://127.0.0.1:11434'],
  ['   ', 'http://127.0.0.1:11434'],
  ['""', 'http://127.0.0.1:11434'],
  ['1.2.3.4', 'http://1.2.3.4:11434'],
  [' 1.2.3.4 ', 'http://1.2.3.4:11434'],
  ['"1.2.3.4"', 'http://1.2.3.4:11434'],
  [" '1.2.3.4:80' ", 'http://1.2.3.4:80'],
  ['" 1.2.3.4 "', 'http://1.2.3.4:11434'],
  [':5000', 'http://127.0.0.1:5000'],
  ['1.2.3.4:5000', 'http://1.2.3.4:5000'],
  ['h:80', 'http://h:80'],
  ['h:0', 'http://h:0'],
  ['h:65535', 'http://h:65535'],
  ['example.com', 'http://example.com:11434'],
  ['EXAMPLE.com', 'http://example.com:11434'],
  ['http://1.2.3.4', 'http://1.2.3.4:80'],
  ['http://1.2.3.4:11434', 'http://1.2.3.4:11434'],
  ['https://1.2.3.4', 'https://1.2.3.4:443'],
  ['https://example.com:5000', 'https://example.com:5000'],
  ['HTTPS://example.com', 'https://example.com:443'],
  ['http://', 'http://127.0.0.1:80'],
  ['::1', 'http://[::1]:11434'],
  ['[::1]', 'http://[::1]:11434'],
  ['[::1]:5000', 'http://[::1]:5000'],
  ['http://[::1]', 'http://[::1]:80'],
  ['http://[2001:DB8::1]:5000/', 'http://[2001:db8::1]:5000'],
  ['0.0.0.0', 'http://127.0.0.1:11434'],
  ['0.0.0.0:5000', 'http://127.0.0.1:5000'],
  ['::', 'http://[::1]:11434'],
  ['[::]:5000', 'http://[::1]:5000'],
  ['ollama.com', 'https://ollama.com:443'],
  ['ollama.com:11434', 'http://ollama.com:11434'],
  ['http://ollama.com', 'http://ollama.com:80'],
  ['https://example.com/ollama', 'https://example.com:443/ollama'],
  ['https://example.com/a/b/', 'https://example.com:443/a/b'],
  ['example.com/ollama', 'http://example.com:11434/ollama'],
  ['1.2.3.4:5000/', 'http://1.2.3.4:5000'],
]

for (const [text, url] of accepted) {
  test(`the address ${JSON.stringify(text)} is ${url}`, () => {
    const address = parseAddress(text)
    assert.equal(address.url, url)
    assert.equal(address.origin, url)
    assert.deepEqual(address.headers, {})
    assert.equal(address.warning, undefined)
    assert.equal(address.socketPath, undefined)
    new URL(address.url)
  })
}

for (const [text, url, port] of [
  ['h:bad', 'http://h:11434', 11434],
  ['h:', 'http://h:11434', 11434],
  ['h:65539', 'http://h:11434', 11434],
  ['h:-1', 'http://h:11434', 11434],
  ['https://h:x/p', 'https://h:443/p', 443],
  // A password whose "@host" was forgotten.
  ['http://user:hunter2', 'http://user:80', 80],
] as const) {
  test(`a bad port is replaced as Ollama does, with a warning: ${text}`, () => {
    const address = parseAddress(text)
    assert.equal(address.url, url)
    assert.equal(
      address.warning,
      `The port of the host is not a number from 0 to 65535: ${port} is taken instead, as Ollama does`,
    )
  })
}

for (const [text, socketPath] of [
  ['unix:///run/ollama.sock', '/run/ollama.sock'],
  ['unix:/run/ollama.sock', '/run/ollama.sock'],
  ['UNIX:///a b/x.sock', '/a b/x.sock'],
] as const) {
  test(`a unix socket: ${text}`, () => {
    const address = parseAddress(text)
    assert.equal(address.socketPath, socketPath)
    assert.equal(address.origin, `unix://${socketPath}`)
    assert.equal(address.url, 'http://localhost')
    assert.equal(address.loopback, true)
  })
}

for (const [text, says] of [
  ['ftp://h', /scheme/],
  ['tcp://h:1', /scheme/],
  ['unix://run/x.sock', /not absolute/],
  ['unix:', /not absolute/],
  ['a b', /no host name/],
  ['http://h\\evil', /no host name/],
  ['a:b:c', /no host name/],
  ['[fe80::1%25eth0]:1', /no host name/],
  ['fe80::1%eth0', /no host name/],
  ['http://h/p?key=v', /it has a query$/],
  ['http://h?key=v', /it has a query$/],
  // Ollama takes it for a port that is none, and asks port 80.
  ['http://h:1?key=v', /it has a query$/],
  ['h:1?key=v#x', /it has a query$/],
  ['http://me:secret@h:1?key=v', /it has a query$/],
  ['http://h/#x', /it has a fragment$/],
  ['http://h:1#x?y', /it has a fragment$/],
  ['[::1]:1#x', /it has a fragment$/],
  ['http://u:se/cret@h', /an "@" after the first "\/"/],
  // Else "b" would be the host.
  ['http://h:1?mail=a@b', /an "@" after the first "\?"/],
  ['http://u:se#cret@h', /an "@" after the first "#"/],
  ['http//host', /missing after its scheme/],
  ['HTTPS//host:1/p', /missing after its scheme/],
  ['http:/host', /missing after its scheme/],
  ['http/host', /missing after its scheme/],
  ['https//me:secret@host', /^Host "\*\*\*@host" is not valid: .* missing after its scheme/],
] as const) {
  test(`refused: ${JSON.stringify(text)}`, () => {
    assert.throws(
      () => parseAddress(text),
      (error) =>
        isOllamaConfigError(error) &&
        error.code === 'invalid-address' &&
        says.test(error.message) &&
        error.hint !== undefined,
    )
  })
}

test('what is refused is quoted without what may be a secret', () => {
  const message = (text: string): string => {
    try {
      parseAddress(text)
    } catch (error) {
      assert.ok(error instanceof OllamaConfigError)
      return error.message
    }
    throw new Error(`${text} was accepted`)
  }
  assert.match(message('ftp://me:hunter2@h'), /"ftp:\/\/\*\*\*@h"/)
  assert.match(message('http://h/p?key=hunter2'), /"http:\/\/h\/p\?\*\*\*"/)
  assert.match(message('me:hunter2@h://x'), /"\*\*\*@h:\/\/x"/)
  assert.match(message('http://h:1?key=hun@ter2'), /"http:\/\/\*\*\*"/)
  assert.match(message('http://h:1#hunter2'), /"http:\/\/h:1#\*\*\*"/)
})

test('what is refused for a mistyped scheme says how it is written', () => {
  for (const [text, scheme] of [
    ['http//host', 'http'],
    ['HTTPS//host', 'https'],
  ]) {
    assert.throws(
      () => parseAddress(text ?? ''),
      (error) => error instanceof OllamaConfigError && error.hint === `write "${scheme}://…"`,
    )
  }
  // The name of a host after all.
  assert.equal(parseAddress('http').url, 'http://http:11434')
  assert.equal(parseAddress('http:8080/p').url, 'http://http:8080/p')
  assert.equal(parseAddress('http://http/p').url, 'http://http:80/p')
  assert.equal(parseAddress('httpd/p').url, 'http://httpd:11434/p')
})

test('what is refused is quoted fit for a terminal, and not at length', () => {
  assert.throws(
    () => parseAddress('ftp://h\x9b31m\u202Ex\x1b]0;t\x07'),
    (error) => error instanceof OllamaConfigError && error.message.startsWith('Host "ftp://hx" is not valid'),
  )
  assert.throws(
    () => parseAddress(`ftp://me:${'hunter2'.repeat(50)}@${'h'.repeat(1000)}`),
    (error) => error instanceof OllamaConfigError && /^Host "ftp:\/\/\*\*\*@h+…" is/.test(error.message),
  )
})

test('loopback is told apart', () => {
  for (const text of [
    '',
    ':1',
    '127.0.0.1',
    '127.9.8.7',
    '::1',
    'localhost',
    'a.localhost',
    '0.0.0.0',
    '::',
    'unix:///s',
  ]) {
    assert.equal(parseAddress(text).loopback, true, text)
  }
  for (const text of [
    '10.0.0.1',
    'example.com',
    '128.0.0.1',
    'localhost.example.com',
    '127.0.0.1.example.com',
    '::2',
    'ollama.com',
  ]) {
    assert.equal(parseAddress(text).loopback, false, text)
  }
})

test('user info becomes an Authorization header and nothing else', () => {
  for (const [text, url, pair] of [
    ['https://me:secret@h', 'https://h:443', 'me:secret'],
    ['me:secret@h:5000', 'http://h:5000', 'me:secret'],
    ['http://me:p%40ss%2Fw%C3%A9@h:1/x', 'http://h:1/x', 'me:p@ss/wé'],
    ['http://me:a@b:c@h', 'http://h:80', 'me:a@b:c'],
    ['http://token@h', 'http://h:80', 'token:'],
    ['http://me:100%@h', 'http://h:80', 'me:100%'],
  ] as const) {
    const { headers, ...shown } = parseAddress(text)
    assert.equal(shown.url, url)
    assert.deepEqual(headers, { authorization: `Basic ${Buffer.from(pair).toString('base64')}` })
  }
})

test('never throws anything but OllamaConfigError, and what it gives is a URL', () => {
  const piece = fc.constantFrom(
    'http://',
    'https://',
    'unix:',
    '[',
    ']',
    ':',
    '::',
    '/',
    '@',
    '?',
    '#',
    '%',
    '\\',
    '"',
    "'",
    ' ',
    '\n',
    '80',
    '0',
    'h',
    'é',
    '::1',
  )
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.webUrl(),
    fc.array(fc.oneof(piece, fc.string({ maxLength: 3 })), { maxLength: 8 }).map((all) => all.join('')),
  )
  fc.assert(
    fc.property(text, (value) => {
      try {
        const address = parseAddress(value)
        new URL(address.url)
        assert.ok(!address.url.endsWith('/'))
      } catch (error) {
        assert.ok(error instanceof OllamaConfigError, String(error))
        assert.equal(error.code, 'invalid-address')
        assert.doesNotMatch(error.message, /\n/)
      }
    }),
    { numRuns: 2000 },
  )
})

test('never lets the password out but in the header', () => {
  // Long and unlike anything else in the address, so that finding it is no accident; in between, whatever can confuse.
  const secret = fc.array(
    fc.oneof(fc.constant('hunter2'), fc.constantFrom('@', ':', '/', '?', '#', '%', '\\', '[', ']', ' ', '://', 'é')),
    { minLength: 1, maxLength: 6 },
  )
  const address = fc.tuple(
    fc.constantFrom('', 'http://', 'https://', 'ftp://', 'HTTP://'),
    fc.constantFrom('me', '', 'a b'),
    secret,
    fc.constantFrom('h', 'h:80', 'h:bad', '[::1]', 'a b', 'h/p', 'h/p?q'),
  )
  fc.assert(
    fc.property(address, ([scheme, user, password, host]) => {
      const text = `${scheme}${user}:${password.join('')}@${host}`
      let shown: string
      try {
        const { headers, ...rest } = parseAddress(text)
        shown = JSON.stringify(rest)
      } catch (error) {
        assert.ok(error instanceof OllamaConfigError)
        shown = `${error.message} ${error.hint} ${JSON.stringify(error.details)} ${String(error.cause)}`
      }
      assert.doesNotMatch(shown, /hunter2/)
    }),
    { numRuns: 2000 },
  )
})

test('the flag wins over the config, the config over OLLAMA_HOST, and that over the default', () => {
  const all = { flag: 'flag', config: 'config', env: 'env' }
  assert.deepEqual(pick(all), ['flag', 'http://flag:11434'])
  assert.deepEqual(pick({ ...all, flag: undefined }), ['config', 'http://config:11434'])
  assert.deepEqual(pick({ env: 'env' }), ['environment', 'http://env:11434'])
  assert.deepEqual(pick({}), ['default', 'http://127.0.0.1:11434'])
  assert.deepEqual(pick({ flag: '', config: ' ', env: '""' }), ['default', 'http://127.0.0.1:11434'])

  function pick(candidates: Parameters<typeof selectHost>[0]): [string, string] {
    const { source, address } = selectHost(candidates)
    return [source, address.url]
  }
})

test('a wrong address says where it came from', () => {
  assert.throws(() => selectHost({ env: 'ftp://h' }), /from OLLAMA_HOST/)
  assert.throws(() => selectHost({ flag: 'ftp://h' }), /from --host/)
  assert.throws(() => selectHost({ config: 'ftp://h' }), /from "host" in the config/)
})
