/**
 * Whole commands against a server, a registry, a store and files of which every text acts on a terminal: nothing of that comes out, neither on
 * stdout and stderr nor in the log, the lock file, the record or a saved plan.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { visible } from '../../src/artifact/text.ts'
import { layoutOf } from '../../src/store/layout.ts'
import { addBlob, blobOf, manifestOf } from '../store/models.ts'
import { makeGguf } from '../support/gguf.ts'
import { type Fault, type OllamaServer, startOllamaServer } from '../support/ollama-server.ts'
import type { TestRegistry } from '../support/registry.ts'
import { type CliResult, openRegistry, runCli, tempFolder } from '../support/run-cli.ts'
import { layer } from '../support/world.ts'
import { isLong, some } from './hostile-input.ts'

/** Clears the screen, fills the clipboard, makes a link, reorders, rings, colours in 8 bits, breaks lines, hides. */
const act =
  '\x1b[2J\x1b]52;c;ZXZpbA==\x07\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\\u202e\r\n\x07\x9b31m\x85\t\0\x7f\u200b\u2028\u{e0041}evil'

/** Every text of an answer, but for what says which model or blob it is. */
function spiced(value: unknown, key = ''): unknown {
  if (typeof value === 'string')
    return ['name', 'model', 'digest', 'modified_at', 'mediaType', 'expires_at'].includes(key)
      ? value
      : `${value}${act}`
  if (Array.isArray(value)) return value.map((item) => spiced(item, key))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, spiced(item, name)]))
}

const content = (seed: number) => [
  layer('model', makeGguf({ name: `m${seed}`, fill: seed, values: { 'general.description': act, [`x.${act}`]: 1 } })),
  layer('template', `{{ .Prompt }}${act}`),
  layer('system', act),
  layer('license', act),
  layer('params', JSON.stringify({ stop: [act], [`p${act}`]: act, num_ctx: 4096 })),
]

interface World {
  readonly cwd: string
  readonly server: OllamaServer
  readonly remote: TestRegistry
  run(...words: string[]): Promise<CliResult>
  /** Every file that was written beside the config and at home. */
  written(): readonly string[]
}

async function world(t: TestContext, config: object = {}, env: Readonly<Record<string, string>> = {}): Promise<World> {
  const models = [1, 2, 3, 4].map((seed) => ({ name: `m${seed}`, layers: content(seed) }))
  const remote = await openRegistry(t, { models })
  const server = await startOllamaServer({
    registries: { 'registry.ollama.ai': remote.url },
    version: `0.33.0${act}`,
    models: [
      { name: 'm1', layers: content(1), details: { family: act, families: [act] }, capabilities: [act] },
      { name: 'm2', layers: content(9) },
      { name: 'undeclared', layers: content(5), parentModel: `parent${act}` },
      { name: 'far:cloud', remoteHost: `https://ollama.com${act}`, remoteModel: act },
      { name: 'own', layers: content(6), parentModel: 'm1' },
    ],
  })
  t.after(() => server.close())
  const cwd = tempFolder(t)
  const declared = ['m1', 'm2', 'm3', { name: 'own', from: 'm1', system: `mine${act}`, parameters: { stop: [act] } }]
  writeFileSync(path.join(cwd, 'ollama.config.json'), JSON.stringify({ models: declared, ...config }))
  return {
    cwd,
    server,
    remote,
    run: async (...words) => {
      const result = await runCli(words, { cwd, env: { OLLAMA_HOST: server.url, ...env } })
      assertClean(result, words)
      for (const file of filesBelow(cwd)) assertWritten(file)
      return result
    },
    written: () => filesBelow(cwd),
  }
}

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true, encoding: 'utf8' })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .filter((file) => /\.home|lock\.json$|log\.jsonl$|saved\.json$/.test(path.relative(folder, file)))
}

function assertClean({ stdout, stderr, code }: CliResult, words: readonly string[]): void {
  for (const text of [stdout, stderr])
    for (const line of text.split('\n'))
      assert.equal(line, visible(line), `${words.join(' ')}: ${JSON.stringify(line)}`)
  // With --debug there are stacks of what others threw.
  if (!words.includes('--debug'))
    assert.doesNotMatch(stdout + stderr, /RangeError|TypeError|this is a bug/, words.join(' '))
  assert.ok([0, 1, 2, 3].includes(code))
  if (words.includes('--json') && stdout !== '')
    for (const document of ['apply', 'update', 'rollback'].includes(words[0] ?? '')
      ? stdout.trim().split('\n')
      : [stdout])
      JSON.parse(document)
}

function assertWritten(file: string): void {
  const text = readFileSync(file, 'utf8')
  for (const line of text.split('\n')) assert.equal(line, visible(line), `${file}: ${JSON.stringify(line)}`)
}

const log = ['--verbose', '--log-file', 'log.jsonl']
const commands = [
  ['plan'],
  ['plan', '--all'],
  ['plan', '--json', ...log],
  ['plan', '--prune', '--out', 'saved.json'],
  ['plan', '--config-only', '--json'],
  ['check'],
  ['check', '--json'],
  ['outdated'],
  ['outdated', '--json', ...log],
  ['plugins'],
  ['plugins', '--json'],
  ['lock'],
  ['lock', '--json'],
  ['apply', '--yes', '--keep-previous', ...log],
  ['plan', '--all', '--json'],
  ['update', '--yes', '--json', ...log],
  ['rollback', 'm2', '--yes'],
  ['rollback', 'm2', '--yes', '--json'],
  ['apply', 'saved.json'],
  ['apply', '--yes', '--json'],
] as const

test('a server and a registry whose every text acts on a terminal', async (t) => {
  const { server, run, written, cwd } = await world(t)
  for (const place of ['/api/tags', '/api/version', '/api/ps', '/api/show'])
    server.fail({ path: place }, { kind: 'edit', edit: (body) => withUnreadable(spiced(body)) })
  const enough = ['--out', 'lock', '--keep-previous', 'rollback', '--json']
  for (const words of commands.filter((list) => isLong || list.some((word) => enough.includes(word))))
    await run(...words)
  const names = written().map((file) => path.relative(cwd, file))
  for (const wanted of ['ollama.lock.json', 'log.jsonl', 'saved.json'])
    assert.ok(names.includes(wanted), names.join(' '))
  assert.ok(names.some((name) => name.startsWith('.home')))
  // It was looked at: what is visible of it is there.
  assert.match((await run('plan', '--all')).stdout, /evil/)
})

/** A model whose name is none. */
function withUnreadable(listing: unknown): unknown {
  if (typeof listing !== 'object' || listing === null || !('models' in listing) || !Array.isArray(listing.models))
    return listing
  const [first] = listing.models
  return { models: [...listing.models, { ...first, name: `x${act}`, model: `x${act}` }] }
}

const hostFaults: readonly (readonly [path: string, fault: Fault])[] = [
  ...['/api/tags', '/api/show', '/api/pull', '/api/create', '/api/copy', '/api/delete'].flatMap((place) => [
    ...[302, 400, 401, 403, 404, 405, 429, 500, 502, 503].map(
      (status) =>
        [
          place,
          { kind: 'status', status, body: JSON.stringify({ error: act }), contentType: 'application/json' },
        ] as const,
    ),
    [place, { kind: 'status', status: 500, body: act }] as const,
    [place, { kind: 'body', body: act }] as const,
    [
      place,
      { kind: 'body', body: `{"models":[{"name":${JSON.stringify(act)},"digest":${JSON.stringify(act)}}]}` },
    ] as const,
  ]),
  ...[
    'pull model manifest: ',
    '500: ',
    'digest mismatch',
    'template error: ',
    'dial tcp: lookup ',
    'stat /x: no such file ',
  ].flatMap((beginning) =>
    ['/api/pull', '/api/create'].map(
      (place) => [place, { kind: 'line', line: JSON.stringify({ error: `${beginning}${act}` }) }] as const,
    ),
  ),
  ['/api/pull', { kind: 'line', line: JSON.stringify({ status: act, digest: act, total: 2, completed: 1 }) }],
  ['/api/pull', { kind: 'line', line: act }],
]

test('whatever a server answers with, and however it fails', async (t) => {
  const { server, run, cwd } = await world(t)
  for (const [place, fault] of some(hostFaults, 6)) {
    server.heal()
    server.fail({ path: place }, fault)
    for (const words of [['plan'], ['apply', '--yes', '--json', ...log]]) await run(...words)
    if (place !== '/api/tags') await run('apply', '--yes', '--prune')
  }
  assert.ok(existsSync(path.join(cwd, 'log.jsonl')))
})

const registryCommands = [
  ['outdated', '--json', ...log],
  ['plan'],
  ['lock', '--json'],
  ['apply', '--yes', '--json'],
  ['outdated'],
  ['lock'],
  ['update', '--yes'],
]

test('whatever a registry answers', async (t) => {
  const { remote, run } = await world(t)
  const manifest = JSON.stringify({ [act]: act, config: null, layers: [{ mediaType: act, digest: act, size: 1 }] })
  const odd = JSON.stringify(
    spiced({ config: null, layers: [{ mediaType: '', digest: `sha256:${'0'.repeat(64)}`, size: 1 }], x: '' }),
  )
  for (const [status, body] of [
    [200, act],
    [200, manifest],
    [200, odd.replace('"mediaType":""', `"mediaType":${JSON.stringify(act)}`)],
    [401, act],
    [403, act],
    [412, act],
    [500, act],
  ] as const) {
    remote.heal()
    const headers =
      status === 401
        ? { 'WWW-Authenticate': `Bearer realm="http://h\u00e9.example/${encodeURI(act)}",service="x"` }
        : {}
    remote.fail({ kind: 'manifest' }, { kind: 'status', status, body, headers })
    for (const words of some(registryCommands, 2)) await run(...words)
  }
})

test('a manifest that was printed with anything in it is kept in the lock file, and only there as escape sequences', async (t) => {
  const { remote, run, cwd } = await world(t, { models: ['odd'] })
  const weights = blobOf('x')
  const text = new TextDecoder()
    .decode(manifestOf(blobOf('{}'), [weights]))
    .replace('{', `{"note":"\x7f\x9b31m\u202e\u{e0041}",`)
  remote.publish({ name: 'odd', manifest: text, lostBlobs: [weights, blobOf('{}')].map(({ digest }) => digest) })
  await run('lock')
  const lock = readFileSync(path.join(cwd, 'ollama.lock.json'), 'utf8')
  assert.match(lock, /\\u009b31m\\u202e\\udb40\\udc41/)
  assert.equal(JSON.parse(lock).models['odd:latest'].manifest, text)
  for (const words of [['plan', '--json'], ['plan', '--out', 'saved.json'], ['lock'], ['check', '--json']])
    await run(...words)
})

const isPosix = process.platform !== 'win32'

test('a store whose every text and name acts on a terminal', { skip: !isPosix }, async (t) => {
  const { run, cwd } = await world(t)
  const store = path.join(cwd, 'models')
  const flag = `--store=${store}`
  for (const words of [
    ['plan', flag],
    ['apply', '--yes', '--json', flag, ...log],
  ])
    await run(...words)
  const layout = layoutOf(store)
  const config = JSON.stringify({
    model_format: 'gguf',
    model_family: act,
    renderer: act,
    remote_host: act,
    capabilities: [act],
  })
  addBlob(layout, config)
  addBlob(layout, act)
  const tag = path.join(layout.manifests, 'registry.ollama.ai/library/m4/latest')
  mkdirSync(path.dirname(tag), { recursive: true })
  writeFileSync(tag, manifestOf(blobOf(config), [blobOf(act)]))
  writeFileSync(path.join(path.dirname(tag), 'broken'), act)
  writeFileSync(path.join(path.dirname(tag), 'lost'), manifestOf(blobOf(`{"a":1}`), [blobOf('lost')]))
  const odd = act.replaceAll('\0', '').replaceAll('/', '')
  for (const folder of [path.dirname(tag), layout.blobs, layout.folder]) writeFileSync(path.join(folder, odd), act)
  writeFileSync(path.join(layout.blobs, `sha256-${'0'.repeat(64)}-partial`), act)
  writeFileSync(
    path.join(layout.folder, '.ollama-config-mutex'),
    JSON.stringify({ host: act, command: act, since: act, pid: 1 }),
  )
  for (const words of [
    ['verify', '--all', flag],
    ['verify', '--all', '--json', flag, ...log],
    ['collect', '--yes', flag],
    ['collect', '--json', flag],
    ['plan', '--all', flag],
    ['plan', '--all', '--json', flag],
    ['lock', flag],
  ])
    await run(...words, '--connections', '1')
  await run('verify', `--store=${path.join(cwd, odd)}`, '--all')
})

test('plugins whose every text acts on a terminal', async (t) => {
  const { run, cwd } = await world(t, { discover: 'plugins' })
  const said = JSON.stringify(act)
  const described = `{ severity: 'warning', code: ${said}, message: ${said}, path: ${said}, reference: ${said}, hint: ${said} }`
  const make = (name: string, body: string) => {
    mkdirSync(path.join(cwd, 'plugins'), { recursive: true })
    const text = `import { definePlugin } from ${JSON.stringify(new URL('../../src/plugin.ts', import.meta.url).href)}\nexport default definePlugin(${body})()\n`
    writeFileSync(path.join(cwd, 'plugins', `${name}.plugin.ts`), text)
  }
  make(
    'tells',
    `{ apiVersion: 1, name: 'tells', models: ['*'], review: () => [${described}], probe: () => [${described}], details: () => ({ license: ${said}, capabilities: [${said}] }) }`,
  )
  make(
    'throws',
    `{ apiVersion: 1, name: 'throws', models: ['*'], review: (_, __, { logger }) => { logger?.warn(${said}, { said: ${said} }); throw new Error(${said}) }, probe: () => { throw ${said} } }`,
  )
  for (const words of some([...commands, ['plan', '--debug']], 5)) await run(...words)
  make('nameless', `{ apiVersion: 1, name: ${said}, models: [${said}], [${said}]: 1 }`)
  make(
    'declares',
    `{ apiVersion: 1, name: 'declares', declare: () => [{ name: ${said}, from: ${said}, [${said}]: 1 }] }`,
  )
  writeFileSync(path.join(cwd, 'plugins', 'broken.plugin.ts'), `throw new Error(${said})`)
  writeFileSync(path.join(cwd, 'plugins', 'syntax.plugin.ts'), `export default ${act}`)
  for (const words of some(commands, 4)) await run(...words)
})

const fileCommands = [
  ['apply', 'saved.json'],
  ['plan'],
  ['plan', '--json'],
  ['rollback', 'm1', '--yes'],
  ['check'],
  ['lock', '--json'],
  ['apply', '--json', 'saved.json'],
]

test('files whose every text acts on a terminal', async (t) => {
  const { run, cwd } = await world(t)
  for (const words of [['plan', '--prune', '--out', 'saved.json'], ['lock'], ['apply', '--yes']]) await run(...words)
  const home = filesBelow(cwd).filter((file) => file.includes('.home') && file.endsWith('.json'))
  assert.ok(home.length > 0)
  for (const file of [
    path.join(cwd, 'saved.json'),
    path.join(cwd, 'ollama.lock.json'),
    path.join(cwd, 'ollama.config.json'),
    ...home,
  ]) {
    const good = readFileSync(file, 'utf8')
    const spoiled = [
      act,
      JSON.stringify(spiced(JSON.parse(good))),
      good.replace('{', `{${JSON.stringify(act)}:${JSON.stringify(act)},`),
    ]
    const renamed = good.replaceAll('latest', JSON.stringify(`latest${act}`).slice(1, -1))
    for (const text of some([...spoiled, renamed, good.slice(0, -20) + act], 3)) {
      writeFileSync(file, text)
      for (const words of some(fileCommands, 3)) {
        const result = await runCli(words, { cwd, env: { OLLAMA_HOST: '127.0.0.1:9' } })
        assertClean(result, [...words, path.basename(file)])
      }
    }
    writeFileSync(file, good)
  }
  const modelfile = path.join(cwd, 'Modelfile')
  for (const text of [
    act,
    `FROM m1\nSYSTEM ${act}`,
    `FROM m1\n${act} x`,
    `FROM ${act}`,
    `FROM m1\nPARAMETER ${act} 1`,
  ]) {
    writeFileSync(modelfile, text)
    writeFileSync(
      path.join(cwd, 'ollama.config.json'),
      JSON.stringify({ models: [{ name: 'x', modelfile: 'Modelfile' }] }),
    )
    for (const words of some([['plan', '--json'], ['plan'], ['apply', '--yes', '--json']], 1)) await run(...words)
  }
  for (const source of [
    `throw new Error(${JSON.stringify(act)})`,
    `export default { models: ["a"], ${act} }`,
    `import ${JSON.stringify(act)}`,
  ]) {
    writeFileSync(path.join(cwd, 'ollama.config.ts'), source)
    for (const words of [
      ['plan', '--config', 'ollama.config.ts'],
      ['plan', '--json', '--debug', '--config', 'ollama.config.ts'],
    ])
      await run(...words)
  }
})

test('words and a folder that act on a terminal', { skip: !isPosix }, async (t) => {
  const { run, cwd } = await world(t)
  const odd = act.replaceAll('\0', '').replaceAll('/', '')
  for (const words of [
    [act],
    ['plan', act],
    ['plan', `--${act}`],
    ['plan', '--config', odd],
    ['plan', '--host', act],
    ['plan', '--cwd', odd],
    ['plan', '--wait', act],
    ['plan', `--store=/tmp/${odd}`],
    ['plan', '--log-file', `${odd}/x`],
    ['plan', '--out', `${odd}/x`],
    ['apply', odd],
    ['apply', '--yes', '--concurrency', act],
    ['rollback', act, '--yes'],
    ['update', act, '--yes'],
    ['verify', act, '--store=/tmp'],
    ['help', act],
  ])
    for (const more of [[], ['--json']]) await run(...words, ...more)
  const inside = path.join(cwd, odd)
  mkdirSync(inside)
  writeFileSync(path.join(inside, 'ollama.config.json'), JSON.stringify({ models: ['m1', 'm3'] }))
  const log = (words: readonly string[]) => words.filter((word) => word !== '--log-file' && word !== 'log.jsonl')
  for (const words of some(commands, 5)) await run(...log(words), '--cwd', inside)
  await run('check', '--config', path.join(odd, 'ollama.config.json'))
})
