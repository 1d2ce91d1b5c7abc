/** Models built from others and from files, and aliases: whole commands, against a server that builds byte for byte as the real one. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { createPlan, loadConfig } from '../../src/runner.ts'
import { sha256 } from '../../src/runtime/sha256.ts'
import { makeGguf } from '../support/gguf.ts'
import type { OllamaServer } from '../support/ollama-server.ts'
import type { ServedModel } from '../support/registry.ts'
import { layer, type World, weights, world } from '../support/world.ts'

const base: ServedModel = {
  name: 'base',
  layers: [
    weights(1),
    layer('template', '{{ .Prompt }} <&>'),
    layer('params', '{"stop":["<|end|>"],"temperature":0.7}'),
    layer('license', 'Free'),
  ],
}
const reviewer = { name: 'reviewer', from: 'base', system: 'You review.\nBe kind.', parameters: { num_ctx: 4096 } }

const forget = ({ cwd }: World) => rmSync(path.join(cwd, '.home'), { recursive: true })
const creates = ({ requests }: OllamaServer) => requests.filter(({ path: at }) => at === '/api/create')
const basesOf = (server: OllamaServer) => creates(server).map(({ body }) => (body as { from: string }).from)
const textOf = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes)
const layersOf = (server: OllamaServer, name: string) =>
  Object.fromEntries(
    server.stored(name).layers.map(({ mediaType, bytes }) => [mediaType.replace(/.*\./, ''), textOf(bytes)]),
  )

async function built(t: TestContext, models: readonly unknown[] = [reviewer], more: object = {}): Promise<World> {
  const made = await world(t, [base], { models, ...more })
  await made.run(0, 'apply', '--yes')
  return made
}

test('the base is a change of its own, with its bytes; then the model is built from it, once', async (t) => {
  const { run, server, remote } = await world(t, [base], {
    models: [reviewer],
    defaults: { parameters: { top_k: 5, num_ctx: 1 } },
  })
  const plan = await run(0, 'plan')
  assert.match(plan.stdout, /To pull:\n {2}\+ base:latest +\S+ KB, needed by reviewer:latest\n/)
  assert.match(plan.stdout, /To build:\n {2}\+ reviewer:latest +from base:latest\n/)
  assert.match(plan.stdout, /Plan: 1 to pull, 1 to build, 0 as declared\.\nDownload: 5\.\d KB\.\n/)
  const applied = await run(0, 'apply', '--yes')
  assert.match(applied.stdout, /Done: 1 pulled, 1 built\n/)
  assert.equal(layersOf(server, 'reviewer')['system'], reviewer.system)
  assert.deepEqual(JSON.parse(layersOf(server, 'reviewer')['params'] ?? ''), {
    num_ctx: 4096,
    stop: ['<|end|>'],
    temperature: 0.7,
    top_k: 5,
  })
  assert.deepEqual([...server.problems, ...remote.problems], [])
  const asked = server.requests.length
  assert.match(
    (await run(0, 'plan', '--all', '--detailed-exitcode')).stdout,
    /reviewer:latest +built as declared, as recorded/,
  )
  // The listing and the version: what the record knows costs no request.
  assert.equal(server.requests.length, asked + 2)
  await run(0, 'apply', '--yes')
  assert.equal(creates(server).length, 1)
})

test('a base that was removed is pulled again, and what was built of it stays', async (t) => {
  const { run, server } = await built(t)
  server.remove('base')
  assert.match((await run(0, 'plan')).stdout, /Plan: 1 to pull, 1 as declared\./)
  assert.match((await run(0, 'apply', '--yes')).stdout, /Done: 1 pulled\n/)
  assert.equal(creates(server).length, 1)
  await run(0, 'check')
})

test('without a record the digest is foreseen; without a registry too, what the server tells is compared', async (t) => {
  const made = await built(t)
  forget(made)
  const predicted = await made.run(0, 'plan', '--all', '--detailed-exitcode')
  assert.match(predicted.stdout, /reviewer:latest +built as declared: its digest is the predicted one/)
  const compared = await made.run(0, 'plan', '--all', '--offline', '--detailed-exitcode')
  assert.match(compared.stdout, /reviewer:latest +as declared, as far as the server tells/)
  // From then on the record knows it again.
  await made.run(0, 'apply', '--yes')
  const asked = made.server.requests.length
  assert.match((await made.run(0, 'plan', '--all')).stdout, /as recorded/)
  assert.equal(made.server.requests.length, asked + 2)
})

test('a declaration that changed is told field by field, and built again from the base', async (t) => {
  const made = await built(t)
  const { run, config, server } = made
  config({ models: [{ ...reviewer, system: 'You review.\nBe strict.', parameters: { num_ctx: 16384, top_p: 0.5 } }] })
  const plan = await run(2, 'plan', '--detailed-exitcode')
  assert.match(
    plan.stdout,
    new RegExp(
      [
        'To rebuild:',
        '  ~ reviewer:latest  its declaration changed \\(digest predicted\\)',
        '      parameters.num_ctx: 4096 → 16384',
        '      parameters.top_p: not set → 0.5',
        '      system: 1 line changed',
        '',
        'Plan: 1 to rebuild, 1 as declared\\.',
      ].join('\n'),
    ),
  )
  assert.match((await run(0, 'apply', '--yes')).stdout, /Done: 1 rebuilt\n/)
  assert.deepEqual(basesOf(server), ['base:latest', 'base:latest'])
  // A field that is dropped is gone, since it is built from the base.
  config({ models: [{ name: 'reviewer', from: 'base' }] })
  assert.match((await run(0, 'plan')).stdout, /parameters.num_ctx: 16384 → not set\n.*\n +system: 2 lines removed/)
  await run(0, 'apply', '--yes')
  assert.equal(layersOf(server, 'reviewer')['system'], undefined)
  assert.deepEqual(server.problems, [])
})

test('a model that somebody else changed is found out, and its replacement is announced', async (t) => {
  const made = await built(t)
  made.server.derive('reviewer', 'base', { system: 'Mine.' })
  for (const flags of [[], ['--offline']]) {
    const plan = await made.run(0, 'plan', ...flags)
    assert.match(
      plan.stdout,
      /! "reviewer:latest" is installed, and not as an apply of this config left it: it is replaced/,
    )
    assert.match(plan.stdout, /~ reviewer:latest +it is not what its declaration builds/)
    assert.match(plan.stdout, /parameters.num_ctx: not set → 4096\n +system: 2 lines changed\n/)
  }
  // Of the same base, and kept without being asked.
  await made.run(0, 'apply', '--yes')
  assert.equal(layersOf(made.server, 'reviewer')['system'], reviewer.system)
  const copies = () => made.server.installed().filter((name) => name.includes('-previous-'))
  assert.deepEqual(
    copies().map((name) => layersOf(made.server, name)['system']),
    ['Mine.'],
  )
  // What another config of this user built is built again from there.
  const other = { ...reviewer, system: 'Of another config.' }
  writeFileSync(path.join(made.cwd, 'other.config.json'), JSON.stringify({ models: ['base', other] }))
  await made.run(0, 'apply', '--yes', '--config', 'other.config.json')
  await made.run(0, 'apply', '--yes')
  assert.equal(layersOf(made.server, 'reviewer')['system'], reviewer.system)
  assert.equal(copies().length, 1)
})

test('what somebody built by hand from something else is kept, though nobody asked for it', async (t) => {
  const made = await world(t, [base], { models: ['base', { name: 'second', aliasOf: 'base' }, reviewer] })
  made.server.install('other')
  made.server.install('files')
  for (const name of ['reviewer', 'second', 'base']) made.server.derive(name, 'other', { system: `${name} by hand` })
  const applied = await made.run(0, 'apply', '--yes')
  assert.match(
    applied.stdout,
    /! "reviewer:latest" is installed, .* it is replaced, and kept as "reviewer:latest-previous-/,
  )
  // A pull follows no tag by itself: that is for update.
  await made.run(0, 'update', 'base', '--yes')
  const kept = made.server.installed().filter((name) => name.includes('-previous-'))
  assert.deepEqual(kept.map((name) => layersOf(made.server, name)['system']).sort(), [
    'base by hand',
    'reviewer by hand',
    'second by hand',
  ])
  // A newer copy makes the older one no less the only one of its kind: no script deletes it.
  made.server.derive('reviewer', 'other', { system: 'reviewer by hand, again' })
  made.config({ models: ['base', { name: 'second', aliasOf: 'base' }, reviewer], prune: 'undeclared' })
  await made.run(0, 'apply', '--yes')
  const pruned = await made.run(0, 'apply', '--yes', '--prune')
  assert.match(
    pruned.stdout,
    /Kept, since no registry can give it back and no person approved it: .*reviewer:latest-previous-/,
  )
  assert.equal(made.server.installed().filter((name) => name.includes('-previous-')).length, 4)
  assert.match((await made.run(0, 'apply', '--yes')).stdout, /No changes/)
})

test('what is built follows its base: update brings the base, and builds again', async (t) => {
  const made = await built(t, [reviewer, { name: 'second', from: 'reviewer', template: 'T' }])
  made.remote.publish({ ...base, layers: [weights(2), layer('license', 'Free')] })
  const updated = await made.run(0, 'update', 'second', '--yes')
  assert.match(updated.stdout, /~ reviewer:latest +its base is another version\n +from: base:latest \S{12} → \S{12}\n/)
  assert.match(updated.stdout, /Done: 1 updated, 2 rebuilt\n/)
  const stored = made.server.stored('second')
  assert.equal(stored.layers[0]?.digest, `sha256:${sha256(new Uint8Array(5000).fill(2))}`)
  assert.match(
    (await made.run(0, 'plan', '--detailed-exitcode')).stdout,
    /No changes\. The 3 declared models are installed\./,
  )
  forget(made)
  assert.match((await made.run(0, 'plan', '--detailed-exitcode')).stdout, /No changes/)
  assert.deepEqual(made.server.problems, [])
})

test('a base that somebody pulled anew moves what is built from it, by the record as well as without', async (t) => {
  const made = await built(t)
  made.remote.publish({ ...base, layers: [weights(2)] })
  made.server.remove('base')
  await made.run(0, 'apply', '--yes')
  for (const flags of [[], ['--offline']]) {
    made.server.derive('reviewer', 'base', { ...reviewer })
    assert.match((await made.run(0, 'plan', ...flags)).stdout, /No changes/)
  }
})

test('an alias is a second name: made, moved with its source, and equal to it', async (t) => {
  const models = [
    { name: 'fast', aliasOf: 'quick' },
    { name: 'quick', aliasOf: 'base' },
    { name: 'review', aliasOf: 'reviewer' },
    reviewer,
  ]
  const made = await built(t, models)
  const { server, run } = made
  const digests = server.digests()
  assert.deepEqual([digests['fast:latest'], digests['quick:latest']], [digests['base:latest'], digests['base:latest']])
  assert.equal(digests['review:latest'], digests['reviewer:latest'])
  assert.match(
    (await run(0, 'plan', '--all', '--detailed-exitcode')).stdout,
    /= fast:latest +the same as base:latest\n/,
  )
  made.config({ models: models.map((model) => (model === reviewer ? { ...reviewer, system: 'New' } : model)) })
  const plan = await run(0, 'plan')
  assert.match(plan.stdout, /To alias:\n {2}~ review:latest +of reviewer:latest, \S{12} → \S{12}\n/)
  assert.match((await run(0, 'apply', '--yes')).stdout, /Done: 1 rebuilt, 1 aliased\n/)
  assert.equal(server.digests()['review:latest'], server.digests()['reviewer:latest'])
  await run(0, 'check')
})

test('prune spares what a declared model needs, and takes what it no longer does', async (t) => {
  const made = await built(t, [reviewer], { prune: 'undeclared' })
  assert.match((await made.run(0, 'apply', '--yes', '--prune')).stdout, /No changes/)
  assert.deepEqual(made.server.installed(), ['base:latest', 'reviewer:latest'])
  made.config({ models: ['base'], prune: 'undeclared' })
  // The record knows that this config made it.
  assert.match((await made.run(0, 'apply', '--yes', '--prune')).stdout, /Done: 1 deleted/)
  assert.deepEqual(made.server.installed(), ['base:latest'])
})

test('a base that cannot be had takes nothing else with it, and what needs it is not tried', async (t) => {
  const { run, server } = await world(t, [base], {
    models: [{ name: 'x', from: 'gone', system: 'S' }, { name: 'y', aliasOf: 'x' }, reviewer],
  })
  const applied = await run(1, 'apply', '--yes')
  assert.match(applied.stdout, /Not made, since what they start from failed: x:latest, y:latest\n/)
  assert.match(applied.stdout, /Failed: 1 pulled, 1 built, 1 failed\n/)
  assert.deepEqual(server.installed(), ['base:latest', 'reviewer:latest'])
  assert.deepEqual(server.problems, [])
})

test('what the server says of a build that fails reaches the user', async (t) => {
  const made = await built(t, ['base'])
  made.config({ models: ['base', { name: 'broken', from: 'base', template: '{{ if' }] })
  const applied = await made.run(1, 'apply', '--yes')
  assert.match(
    applied.stdout,
    /x Model "broken:latest" cannot be built: its template is wrong: template: :1: unclosed action\n/,
  )
  assert.match(applied.stdout, /mend "template" in the config/)
})

test('a folder that is called like the base changes nothing; the base goes out in the installed spelling', async (t) => {
  const made = await world(t, [{ ...base, name: 'Base:V1' }], { models: ['Base:V1'] })
  await made.run(0, 'apply', '--yes')
  mkdirSync(path.join(made.cwd, 'base'))
  if (process.platform !== 'win32') mkdirSync(path.join(made.cwd, 'base:v1'))
  const before = process.cwd()
  process.chdir(made.cwd)
  made.config({ models: ['Base:V1', { name: 'x', from: 'base:v1' }] })
  // Not after the test: Windows removes no folder that one is in.
  await made.run(0, 'apply', '--yes').finally(() => process.chdir(before))
  assert.deepEqual(basesOf(made.server), ['Base:V1'])
  assert.deepEqual(made.server.problems, [])
})

test('a field that is declared as empty cannot take away what the base has: that is said, and nothing is built for it', async (t) => {
  const made = await built(t, [{ name: 'a', from: 'base', license: '', system: '' }])
  for (let round = 0; round < 2; round++) {
    const plan = await made.run(0, 'plan', '--detailed-exitcode')
    assert.match(plan.stdout, /! "a:latest" keeps the license of its base: Ollama can add to it, but not take it away/)
    assert.doesNotMatch(plan.stdout, /keeps the system/)
    assert.match(plan.stdout, /No changes/)
    forget(made)
    await made.run(0, 'apply', '--yes')
  }
})

test('weights from files are uploaded once, and read again only when they changed', async (t) => {
  const made = await world(t, [], { models: [{ name: 'own', gguf: 'own.gguf', parameters: { num_ctx: 512 } }] })
  const { run, cwd, server } = made
  const file = path.join(cwd, 'own.gguf')
  const bytes = makeGguf({ name: 'own' })
  writeFileSync(file, bytes)
  utimesSync(file, 1000, 1000)
  assert.match((await run(0, 'plan')).stdout, /To build:\n {2}\+ own:latest +from own\.gguf, uploads \d+ B\n/)
  assert.match((await run(0, 'apply', '--yes')).stdout, /Done: 1 built/)
  assert.deepEqual(
    server.uploads.map(({ digest }) => digest),
    [`sha256:${sha256(bytes)}`],
  )
  const asked = server.requests.length
  assert.match(
    (await run(0, 'plan', '--all', '--detailed-exitcode')).stdout,
    /own:latest +built as declared, as recorded/,
  )
  // The listing and the version: nothing is sent, so nobody asks whether it is there.
  assert.equal(server.requests.length, asked + 2)
  // Size and time are those of the last reading: the bytes are not looked at.
  writeFileSync(file, Buffer.concat([Buffer.from('GGUF'), new Uint8Array(bytes.length - 4)]))
  utimesSync(file, 1000, 1000)
  await run(0, 'check')
  writeFileSync(file, makeGguf({ name: 'own', fill: 0.25 }))
  const plan = await run(0, 'plan')
  assert.match(
    plan.stdout,
    /~ own:latest +its declaration changed \(fields compared\), uploads \d+ B\n +gguf: not known/,
  )
  await run(0, 'apply', '--yes')
  await run(0, 'check')
  assert.deepEqual(server.problems, [])
})

test('an adapter is uploaded and stored behind the base, as foreseen', async (t) => {
  const made = await world(t, [base], { models: [{ name: 'tuned', from: 'base', adapters: './lora.gguf' }] })
  writeFileSync(path.join(made.cwd, 'lora.gguf'), makeGguf({ type: 'adapter' }))
  await made.run(0, 'apply', '--yes')
  forget(made)
  assert.match(
    (await made.run(0, 'plan', '--all', '--detailed-exitcode')).stdout,
    /tuned:latest +built as declared: its digest/,
  )
  assert.match(
    (await made.run(0, 'plan', '--all', '--offline')).stdout,
    /tuned:latest +as declared, as far as the server tells/,
  )
})

test('a Modelfile builds what its declaration would', async (t) => {
  const made = await world(t, [base], { models: [{ name: 'm', modelfile: 'models/Modelfile' }] })
  mkdirSync(path.join(made.cwd, 'models'))
  writeFileSync(
    path.join(made.cwd, 'models/Modelfile'),
    'FROM base\nSYSTEM """You review.\nBe kind."""\nPARAMETER num_ctx 4096\nPARAMETER mirostat 1\n',
  )
  const plan = await made.run(0, 'plan')
  assert.match(plan.stdout, /! Line 5 of "Modelfile": .*mirostat/)
  await made.run(0, 'apply', '--yes')
  made.config({ models: [{ ...reviewer, name: 'm' }] })
  assert.match((await made.run(0, 'plan', '--detailed-exitcode')).stdout, /No changes/)
  writeFileSync(path.join(made.cwd, 'models/Modelfile'), 'FROM base\nSYSTEN x\n')
  made.config({ models: [{ name: 'm', modelfile: 'models/Modelfile' }] })
  assert.match((await made.run(3, 'plan')).stderr, /models\[0\]\.modelfile: Line 2 of "Modelfile"/)
})

test('a saved plan builds what it was made with, and sends no file that changed', async (t) => {
  // Names of some languages have characters that hide: they are opened as they are, and shown without them.
  const gguf = 'o\u200cwn.gguf'
  const made = await world(t, [base], { models: [reviewer, { name: 'own', gguf }] })
  const file = path.join(made.cwd, gguf)
  writeFileSync(file, makeGguf())
  await made.run(0, 'plan', '--out', 'plan.json')
  writeFileSync(file, makeGguf({ fill: 0.1 }))
  const refused = await made.run(1, 'apply', 'plan.json')
  assert.match(refused.stdout, /The file ".*own\.gguf" is no longer the one that was planned/)
  assert.deepEqual(made.server.uploads, [])
  assert.deepEqual(made.server.installed(), ['base:latest', 'reviewer:latest'])
  await made.run(0, 'plan', '--out', 'plan.json')
  await made.run(0, 'apply', 'plan.json')
  await made.run(0, 'check')
  // The base is another one when the next is applied.
  made.config({
    models: [
      { ...reviewer, system: 'New' },
      { name: 'own', gguf },
    ],
  })
  await made.run(0, 'plan', '--out', 'plan.json')
  made.server.derive('base', 'base', { system: 'moved' })
  assert.match((await made.run(1, 'apply', 'plan.json')).stderr, /since the plan was made, "reviewer:latest" changed/)
})

test('the lock pins declaration and base; --frozen refuses another declaration', async (t) => {
  const made = await built(t, [reviewer, { name: 'fast', aliasOf: 'reviewer' }])
  await made.run(0, 'lock')
  const entry = made.lock().models['reviewer:latest']
  assert.ok(entry !== undefined && 'base' in entry)
  assert.deepEqual(entry.base, { reference: 'base:latest', digest: `sha256:${made.server.digests()['base:latest']}` })
  assert.equal(entry.digest, `sha256:${made.server.digests()['reviewer:latest']}`)
  assert.deepEqual(Object.keys(made.lock().models), ['base:latest', 'reviewer:latest'])
  await made.run(0, 'plan', '--frozen', '--detailed-exitcode')
  made.config({
    models: [
      { ...reviewer, system: 'Other' },
      { name: 'fast', aliasOf: 'reviewer' },
    ],
  })
  const frozen = await made.run(3, 'plan', '--frozen')
  assert.match(
    frozen.stderr,
    /With --frozen, ollama\.lock\.json has to have the declaration of every model.*reviewer:latest/,
  )
  await made.run(0, 'apply', '--yes')
  await made.run(0, 'apply', '--yes', '--frozen')
  assert.match(readFileSync(path.join(made.cwd, 'ollama.lock.json'), 'utf8'), /"declaration"/)
})

test('the lock is held to the bytes that are planned: weights are read once', async (t) => {
  const made = await world(t, [], { models: [{ name: 'own', gguf: 'own.gguf' }] })
  const file = path.join(made.cwd, 'own.gguf')
  const size = 32 * 1024 * 1024
  writeFileSync(file, makeGguf())
  truncateSync(file, size)
  await made.run(0, 'lock')
  const options = { cwd: made.cwd, env: { HOME: path.join(made.cwd, '.home'), OLLAMA_HOST: made.server.url } }
  const config = await loadConfig(options)
  const before = bytesRead()
  await createPlan(config, { ...options, frozen: true })
  const read = bytesRead() - before
  // Elsewhere nobody counts them.
  if (process.platform === 'linux') assert.ok(read >= size && read < 1.5 * size, `${read / size} times`)
})

/** By this process, from its start. */
function bytesRead(): number {
  if (process.platform !== 'linux') return 0
  return Number(/^rchar: (\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))?.[1])
}

test('a rollback of a model that is made here says what comes next, and leaves the lock file as it is', async (t) => {
  const made = await built(t, [reviewer, { name: 'fast', aliasOf: 'reviewer' }])
  await made.run(0, 'lock')
  made.remote.publish({ ...base, layers: [weights(2)] })
  await made.run(0, 'update', '--yes', '--keep-previous')
  const locked = readFileSync(path.join(made.cwd, 'ollama.lock.json'), 'utf8')
  const back = await made.run(0, 'rollback', 'reviewer', '--yes')
  assert.match(back.stdout, /! The config says how "reviewer:latest" is made, so that the next apply makes it anew/)
  assert.match(
    back.stdout,
    /! What is made from it stays as it is until the next apply: fast:latest\n {4}"ollama-config apply" makes it anew\n/,
  )
  assert.equal(readFileSync(path.join(made.cwd, 'ollama.lock.json'), 'utf8'), locked)
  assert.match((await made.run(0, 'plan', '--frozen')).stdout, /~ reviewer:latest +its base is another version/)
})

test('lock tells of a declaration that changed, though no digest did', async (t) => {
  const made = await built(t)
  await made.run(0, 'lock')
  made.config({ models: [{ ...reviewer, system: 'New' }] })
  assert.match(
    (await made.run(0, 'lock')).stdout,
    /~ reviewer:latest +another declaration or base\n.* pins 2 models\.\n/,
  )
  assert.equal(made.lock().models['reviewer:latest']?.digest, null)
  assert.match((await made.run(0, 'lock')).stdout, /as before/)
})

test('update --lock-only pins a model that is built to the base that is pinned beside it', async (t) => {
  const made = await built(t)
  await made.run(0, 'lock')
  made.remote.publish({ ...base, layers: [weights(2)] })
  await made.run(0, 'update', '--lock-only')
  const pinned = made.remote.content('base').digest
  const entry = made.lock().models['reviewer:latest']
  assert.ok(entry !== undefined && 'base' in entry)
  assert.equal(made.lock().models['base:latest']?.digest, pinned)
  assert.deepEqual([entry.base?.digest, entry.digest], [pinned, null])
  // What is installed was built of another base.
  assert.match((await made.run(2, 'plan', '--frozen', '--detailed-exitcode')).stdout, /~ reviewer:latest/)
  await made.run(0, 'apply', '--yes', '--frozen')
  await made.run(0, 'plan', '--frozen', '--detailed-exitcode')
})

test('a file where a model is wanted, and one that is no GGUF, are told before anything is asked', async (t) => {
  const made = await world(t, [], { models: [{ name: 'a', from: './w.gguf' }] })
  assert.match((await made.run(3, 'plan')).stderr, /models\[0\]\.from names a file .*: ".\/w\.gguf"\n.*write "gguf"/)
  writeFileSync(path.join(made.cwd, 'Modelfile'), 'FROM ./nofile.gguf\n')
  for (const [declaration, message] of [
    [
      { modelfile: 'Modelfile' },
      /modelfile names a file where a model is wanted, or one that is not there: ".\/nofile\.gguf"/,
    ],
    [{ gguf: 'Modelfile' }, /gguf names "Modelfile", which is no GGUF file/],
  ] as const) {
    made.config({ models: [{ name: 'a', ...declaration }] })
    assert.match((await made.run(3, 'plan')).stderr, message)
  }
  assert.deepEqual(made.server.requests, [])
})

test('a base that somebody replaced by another than the locked one: what was built of the locked one stays', async (t) => {
  const made = await built(t)
  await made.run(0, 'lock')
  const digest = made.server.digests()['reviewer:latest']
  made.remote.publish({ ...base, layers: [weights(2)] })
  made.server.derive('base', 'base', { system: 'another' })
  for (const words of [
    ['apply', '--yes', '--frozen'],
    ['apply', '--yes'],
  ]) {
    const applied = await made.run(1, ...words)
    assert.match(applied.stdout, /Failed: 1 failed/)
    assert.equal(made.server.digests()['reviewer:latest'], digest)
  }
})

test('a saved plan that was edited builds nothing, and leaves no trace in the record', async (t) => {
  const made = await world(t, [base], { models: [reviewer] })
  await made.run(0, 'plan', '--out', 'plan.json')
  const file = path.join(made.cwd, 'plan.json')
  const text = readFileSync(file, 'utf8')
  writeFileSync(file, text.replace('Be kind.', 'Be evil.'))
  assert.match((await made.run(1, 'apply', 'plan.json')).stderr, /says of "reviewer:latest" what does not fit together/)
  assert.deepEqual(made.server.installed(), [])
  writeFileSync(file, text)
  await made.run(0, 'apply', 'plan.json')
  await made.run(0, 'check')
})

test('a config that goes round in circles, or holds the same thing often, is refused or read at once', async (t) => {
  const made = await world(t, [], { models: [] })
  const code = `const a = { role: 'user', content: 'x' }; a.b = a; a.c = a
export default { models: [{ name: 'm', from: 'base', messages: [a, a] }] }`
  writeFileSync(path.join(made.cwd, 'round.config.mjs'), code)
  assert.match(
    (await made.run(3, 'plan', '--config', 'round.config.mjs')).stderr,
    /messages\[0\]\.b is not a known key/,
  )
})
