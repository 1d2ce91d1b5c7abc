/** Bytes, lock file, updates, rollback, saved plans and the record, against a server that pulls from a registry over HTTP. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import type { Diagnostic } from '../../src/errors.ts'
import { openRecord } from '../../src/record/record-file.ts'
import { makeOllamaKey, type ServedModel } from '../support/registry.ts'
import { runCli } from '../support/run-cli.ts'
import { layer, weights, world } from '../support/world.ts'

/** Two models that share their weights, and one of its own. */
const family: ServedModel[] = [
  { name: 'a', layers: [weights(1), layer('template', 'one')] },
  { name: 'b', layers: [weights(1), layer('template', 'two'), layer('license', 'free')] },
  { name: 'c', layers: [weights(3, 700)] },
]

const totalOf = (stdout: string): number =>
  JSON.parse(stdout).targets[0].changes.reduce(
    (sum: number, change: { downloadBytes: number | null }) => sum + (change.downloadBytes ?? Number.NaN),
    0,
  )

test('the bytes of the plan are those that the registry serves during apply, to the byte', async (t) => {
  const { run, remote, server, config } = await world(t, family, { models: ['a'] })
  const first = totalOf((await run(0, 'plan', '--json')).stdout)
  await run(0, 'apply', '--yes')
  assert.equal(remote.blobBytesServed(), first)
  remote.publish({ name: 'd', layers: [weights(1)] })
  config({ models: ['a', 'b', 'd'] })
  // b and d share the weights of a, which counts once.
  assert.match((await run(0, 'plan')).stdout, /Download: \S+ \S+ \(5 KB already on the host\)\.\n/)
  config({ models: ['a', 'b', 'c'] })
  const plan = await run(0, 'plan')
  assert.match(plan.stdout, /\+ b:latest {2}\d+ B \(5 KB already on the host\)\n {2}\+ c:latest {2}\d+ B\n/)
  assert.match(plan.stdout, /Plan: 2 to pull, 1 as declared\.\nDownload: \S+ \S+ \(5 KB already on the host\)\.\n/)
  const second = totalOf((await run(0, 'plan', '--json')).stdout)
  await run(0, 'apply', '--yes', '--concurrency', '4')
  assert.equal(remote.blobBytesServed(), first + second)
  assert.deepEqual([...remote.problems, ...server.problems], [])
})

test('two models that share a missing blob: it is counted once, fetched once, and never by two pulls at once', async (t) => {
  const { run, remote, server } = await world(t, family, { models: ['a', 'b', 'c'] })
  const planned = totalOf((await run(0, 'plan', '--json')).stdout)
  await run(0, 'apply', '--yes', '--concurrency', '3')
  assert.equal(remote.blobBytesServed(), planned)
  assert.deepEqual(server.problems, [])
  assert.ok(server.stats.pullsAtOnce <= 2, `${server.stats.pullsAtOnce} at once`)
})

test('a plan right after apply is all no-ops and asks the registry nothing', async (t) => {
  const { run, remote } = await world(t, family, { models: ['a', 'b'] })
  await run(0, 'apply', '--yes')
  await run(0, 'lock')
  const asked = remote.requests.length
  for (const words of [['plan', '--detailed-exitcode'], ['check'], ['plan', '--frozen', '--detailed-exitcode']]) {
    assert.match((await run(0, ...words)).stdout, /installed/)
  }
  assert.equal(remote.requests.length, asked)
  const requests = (await run(0, 'apply', '--yes')).stdout
  assert.match(requests, /No changes/)
  assert.equal(remote.requests.length, asked)
})

test('a team pins what it tested: the lock binds on another machine, until the tag has moved on', async (t) => {
  const first = await world(t, family, { models: ['a', 'c'] })
  await first.run(0, 'apply', '--yes')
  const locked = await first.run(0, 'lock')
  assert.match(
    locked.stdout,
    /\+ a:latest {2}[0-9a-f]{12}\n {2}\+ c:latest {2}[0-9a-f]{12}\nollama\.lock\.json pins 2 models\.\n/,
  )
  const text = readFileSync(path.join(first.cwd, 'ollama.lock.json'), 'utf8')
  assert.equal(first.lock().models['a:latest']?.digest, first.remote.content('a').digest)
  assert.match((await first.run(0, 'lock')).stdout, /as before/)

  const second = await world(t, family, { models: ['a', 'c'], prune: 'undeclared' })
  writeFileSync(path.join(second.cwd, 'ollama.lock.json'), text)
  second.remote.publish({ ...family[0], name: 'a', layers: [weights(9)] })
  const plan = await second.run(0, 'plan')
  assert.match(plan.stdout, /! "a:latest" is locked to [0-9a-f]{12}, but the tag names [0-9a-f]{12} now/)
  assert.match(plan.stdout, /ollama-config update a:latest/)
  assert.match(plan.stdout, /Not possible \(see above\):\n {2}x a:latest\n/)
  await second.run(1, 'check')
  const applied = await second.run(1, 'apply', '--yes')
  assert.match(applied.stdout, /Failed: 1 pulled, 1 failed/)
  assert.deepEqual(second.server.installed(), ['c:latest'])
  // The way out that the message names.
  await second.run(0, 'update', 'a', '--yes')
  assert.deepEqual(second.server.installed(), ['a:latest', 'c:latest'])
  assert.equal(second.lock().models['a:latest']?.digest, second.remote.content('a').digest)
  await second.run(0, 'check', '--frozen')
})

test('a changed lock entry is what makes apply update an installed model', async (t) => {
  const { run, remote, server, cwd, lock } = await world(t, family, { models: ['a', 'c'] })
  await run(0, 'apply', '--yes')
  await run(0, 'lock')
  remote.publish({ name: 'a', layers: [weights(1), layer('template', 'newer')] })
  assert.match((await run(0, 'plan')).stdout, /No changes/)
  const outdated = await run(0, 'outdated')
  assert.match(
    outdated.stdout,
    /a:latest .* template, 5 B\n\n1 model is outdated, 1 up to date\. To update: ollama-config update\n$/,
  )
  const before = server.digests()
  assert.match(
    (await run(0, 'update', '--lock-only')).stdout,
    /~ a:latest {2}[0-9a-f]{12} → [0-9a-f]{12}\nollama\.lock\.json pins 2 models/,
  )
  assert.deepEqual(server.digests(), before)
  assert.doesNotMatch((await run(0, 'update', 'c', '--yes')).stdout, /a:latest|--offline/)
  const plan = await run(2, 'plan', '--detailed-exitcode')
  assert.match(
    plan.stdout,
    /To update:\n {2}~ a:latest {2}\d+ B \(5\.2 KB already on the host\), [0-9a-f]{12} → [0-9a-f]{12}, as locked\n/,
  )
  await run(0, 'apply', '--yes')
  assert.equal(`sha256:${server.digests()['a:latest']}`, lock().models['a:latest']?.digest)
  await run(0, 'check', '--frozen')
  assert.ok(statSync(path.join(cwd, 'ollama.lock.json')).isFile())
})

test('what was pulled is in the lock file before the next model is: a crash leaves none that no lock names', async (t) => {
  const { run, server, config, lock } = await world(t, family, { models: ['a'] })
  await run(0, 'apply', '--yes')
  await run(0, 'lock')
  config({ models: ['a', 'b', 'c'] })
  server.fail({ path: '/api/pull', model: 'c' }, { kind: 'hold' })
  const applying = run(0, 'apply', '--yes')
  await server.waitForRequest({ path: '/api/pull', model: 'c' })
  assert.deepEqual(Object.keys(lock().models), ['a:latest', 'b:latest'])
  server.release()
  assert.match((await applying).stdout, /Written to the lock file: 2 models/)
  assert.deepEqual(Object.keys(lock().models), ['a:latest', 'b:latest', 'c:latest'])
})

/** Where a file can be written, and none with a longer name beside it: a mode would not keep root out. */
function crampedFolder(cwd: string): string {
  const longest = 4095
  let folder = cwd
  for (const left = () => longest - '/ollama.lock.json'.length - folder.length; left() > 1; )
    folder = path.join(folder, 'x'.repeat(Math.min(left() - 1, left() > 400 ? 200 : left() > 255 ? 100 : 255)))
  mkdirSync(folder, { recursive: true })
  return folder
}

test('an update whose lock file cannot be written brings nothing', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const { run, remote, server, cwd } = await world(t, family, { models: ['a'] })
  await run(0, 'apply', '--yes')
  await run(0, 'lock')
  const file = path.join(cwd, 'ollama.lock.json')
  const there = path.join(crampedFolder(cwd), 'ollama.lock.json')
  renameSync(file, there)
  symlinkSync(there, file)
  remote.publish({ name: 'a', layers: [weights(1), layer('template', 'newer')] })
  const before = server.digests()
  assert.match((await run(1, 'update', '--yes')).stderr, /ollama\.lock\.json" cannot be written: its name is too long/)
  assert.deepEqual(server.digests(), before)
  await run(0, 'check')
})

test('--frozen refuses what the lock lacks and never writes it; without it apply extends the file, but makes none', async (t) => {
  const { run, cwd, config, lock } = await world(t, family, { models: ['a'] })
  assert.match((await run(3, 'plan', '--frozen')).stderr, /there is no ollama\.lock\.json[\s\S]*ollama-config lock/)
  await run(0, 'apply', '--yes')
  assert.throws(() => lock(), { code: 'ENOENT' })
  await run(0, 'lock')
  config({ models: ['a', 'c', 'big:cloud'] })
  assert.match((await run(3, 'apply', '--yes', '--frozen')).stderr, /it lacks c:latest\n/)
  const before = readFileSync(path.join(cwd, 'ollama.lock.json'), 'utf8')
  config({ models: ['a', 'c'] })
  assert.match((await run(0, 'apply', '--yes')).stdout, /Written to the lock file: 1 model\nDone: 1 pulled/)
  assert.deepEqual(Object.keys(lock().models), ['a:latest', 'c:latest'])
  assert.notEqual(readFileSync(path.join(cwd, 'ollama.lock.json'), 'utf8'), before)
  writeFileSync(path.join(cwd, 'ollama.lock.json'), `${before}<<<<<<< ours\n`)
  for (const words of [['plan'], ['apply', '--yes'], ['check'], ['lock'], ['update', '--yes']]) {
    assert.match((await run(3, ...words)).stderr, /merge conflict/)
  }
})

test('a pull that brings another version than the locked one fails, and says so', async (t) => {
  const { run, remote, server } = await world(t, family, { models: ['a'] })
  await run(0, 'lock')
  // The tag moves in the very moment between the plan and the pull.
  const moved = remote.content('a')
  server.fail({ path: '/api/pull' }, { kind: 'hold' }, 1)
  const applying = run(1, 'apply', '--yes')
  await server.waitForRequest({ path: '/api/pull' })
  remote.publish({ name: 'a', layers: [weights(8)] })
  server.release()
  assert.match((await applying).stdout, /is installed as [0-9a-f]{12} now, not as the locked [0-9a-f]{12}/)
  assert.notEqual(remote.content('a').digest, moved.digest)
})

test('update keeps the previous version, rollback brings it and its lock entry back', async (t) => {
  const { run, remote, server, lock } = await world(t, family, { models: ['a', 'c'], prune: 'undeclared' })
  await run(0, 'apply', '--yes')
  await run(0, 'lock')
  const old = remote.content('a').digest
  remote.publish({ name: 'a', layers: [weights(1), layer('template', 'newer')] })
  const update = await run(0, 'update', '--yes', '--keep-previous')
  assert.match(update.stdout, /previous version kept/)
  assert.match(update.stdout, /Done: 1 updated\n$/)
  const copy = `a:latest-previous-${old.slice(7, 19)}`
  assert.deepEqual(server.installed(), ['a:latest', copy, 'c:latest'])
  assert.equal(lock().models['a:latest']?.digest, remote.content('a').digest)
  // Prune spares it: the record says that it is a copy, and of what.
  assert.match((await run(0, 'plan', '--all', '--prune')).stdout, new RegExp(`= ${copy} +previous version of a:latest`))
  await run(0, 'apply', '--yes', '--prune')
  const unapproved = await run(3, 'rollback', 'a')
  assert.match(unapproved.stdout, /To restore:\n {2}~ a:latest/)
  assert.match(unapproved.stderr, /add --yes/)
  const back = await run(0, 'rollback', 'a', '--yes')
  assert.match(back.stdout, /Done: 1 restored\n$/)
  assert.deepEqual(server.installed(), ['a:latest', 'c:latest'])
  assert.equal(`sha256:${server.digests()['a:latest']}`, old)
  assert.equal(lock().models['a:latest']?.digest, old)
  await run(0, 'check', '--frozen')
  assert.match((await run(3, 'rollback', 'a', '--yes')).stderr, /no previous version of "a"/)
  assert.match((await run(3, 'rollback', 'x', '--yes')).stderr, /not declared/)
  // Where nobody can be asked, what no approval would mend is told first.
  assert.match((await run(3, 'rollback', 'x')).stderr, /not declared/)
  assert.deepEqual(server.problems, [])
})

test('a copy that is superseded goes with --prune, without a person; a foreign model with such a name does not', async (t) => {
  const { run, remote, server } = await world(t, family, { models: ['a'], prune: 'undeclared' })
  await run(0, 'apply', '--yes')
  for (const seed of [11, 12]) {
    remote.publish({ name: 'a', layers: [weights(seed)] })
    await run(0, 'update', '--yes', '--keep-previous')
  }
  server.install({ name: 'a:latest-previous-0123456789ab' })
  assert.equal(server.installed().length, 4)
  const applied = await run(0, 'apply', '--yes', '--prune')
  assert.match(applied.stdout, /older copy of a:latest/)
  assert.match(
    applied.stdout,
    /Kept, since no registry can give it back and no person approved it: a:latest-previous-0123456789ab/,
  )
  assert.equal(server.installed().length, 3)
  await run(0, 'rollback', 'a', '--yes')
})

test('saved plans: carried out without a question, refused when stale, elsewhere or newer, and free of secrets', async (t) => {
  const { run, remote, server, cwd, config } = await world(t, family, {
    models: ['a', 'c'],
    prune: 'undeclared',
    headers: { Authorization: 'Bearer very-secret' },
  })
  server.install('old')
  remote.publish('old')
  const saved = await run(0, 'plan', '--prune', '--out', 'plan.json')
  assert.match(saved.stdout, /Saved\. To do it: ollama-config apply plan\.json\n$/)
  await run(0, 'plan', '--prune', '--out', 'plan.json')
  writeFileSync(path.join(cwd, 'notes.txt'), 'mine')
  for (const file of ['notes.txt', 'ollama.config.json'])
    assert.match((await run(3, 'plan', '--out', file)).stderr, /would overwrite a file that is no saved plan/)
  const text = readFileSync(path.join(cwd, 'plan.json'), 'utf8')
  assert.ok(!text.includes('very-secret'))
  if (process.platform !== 'win32') assert.equal(statSync(path.join(cwd, 'plan.json')).mode & 0o777, 0o600)
  const write = (name: string, change: (plan: string) => string) => writeFileSync(path.join(cwd, name), change(text))
  write('newer.json', (plan) => plan.replace('"1.0"', '"2.0"'))
  write('other.json', (plan) => plan.replaceAll(server.url, 'http://127.0.0.1:1'))
  write('broken.json', (plan) => plan.slice(0, -20))
  write('evil.json', (plan) => plan.replaceAll('old:latest', '../../x'))
  const refused: [string, number, RegExp][] = [
    ['newer.json', 1, /format "2\.0"/],
    ['other.json', 1, /was made for http:\/\/127\.0\.0\.1:1/],
    ['broken.json', 1, /is no plan: it is not valid JSON/],
    ['evil.json', 1, /reference is not a model name/],
    ['missing.json', 3, /There is no plan file "missing\.json"/],
    ['ollama.config.json', 1, /is no plan: it has no "targets"/],
  ]
  for (const [file, code, message] of refused) assert.match((await run(code, 'apply', file)).stderr, message, file)
  assert.match((await run(3, 'apply', 'plan.json', '--prune')).stderr, /cannot be given with a saved plan/)
  // Stale: what it was to pull is there meanwhile.
  server.install('c')
  assert.match(
    (await run(1, 'apply', 'plan.json')).stderr,
    /Nothing was changed: since the plan was made, "c:latest" changed/,
  )
  server.remove('c')
  // What the config allows now binds, be it the config of another folder.
  for (const [now, code, message] of [
    [{ models: ['a', 'c'], prune: false }, 3, /says prune: false/],
    [{ models: ['a', 'c', 'old'] }, 1, /deletes "old:latest", which the config declares/],
    [{ models: ['a', 'c'], keep: ['old'] }, 1, /deletes "old:latest", which the config keeps/],
  ] as const) {
    config(now)
    assert.match((await run(code, 'apply', 'plan.json')).stderr, message)
  }
  assert.deepEqual(server.installed(), ['old:latest'])
  // Other models may move; the config may even be gone.
  server.install('foreign')
  config({ models: ['a', 'c'] })
  assert.match((await run(0, 'apply', 'plan.json')).stdout, /Done: 2 pulled, 1 deleted\n$/)
  assert.deepEqual(server.installed(), ['a:latest', 'c:latest', 'foreign:latest'])
  // What is done is done, as after an apply that was interrupted; what else was changed meanwhile is refused.
  assert.match((await run(0, 'apply', 'plan.json')).stdout, /Done: 2 pulled, 1 deleted\n$/)
  server.remove('a')
  server.install('old')
  assert.match((await run(0, 'apply', 'plan.json')).stdout, /Done: 2 pulled, 1 deleted\n$/)
  server.install({ name: 'old', revision: 'another' })
  assert.match((await run(1, 'apply', 'plan.json')).stderr, /the plan was made, "old:latest" changed/)
})

test("prune: 'managed' deletes what this config brought in, unless another config of the user declares it", async (t) => {
  const { run, server, config, cwd } = await world(t, family, { models: ['a', 'b', 'c'], prune: 'managed' })
  server.install('by-hand')
  await run(0, 'apply', '--yes')
  writeFileSync(path.join(cwd, 'other.config.json'), JSON.stringify({ models: ['b'] }))
  await run(0, 'apply', '--yes', '--config', 'other.config.json')
  config({ models: ['a'], prune: 'managed' })
  const plan = await run(0, 'plan', '--prune', '--all')
  assert.match(plan.stdout, /To delete, not in the config:\n {2}- c:latest/)
  assert.match(
    plan.stdout,
    /= b:latest +declared by .*other\.config\.json\n {2}= by-hand:latest +not brought in by this config/,
  )
  await run(0, 'apply', '--yes', '--prune')
  assert.deepEqual(server.installed(), ['a:latest', 'b:latest', 'by-hand:latest'])
})

test("prune: 'managed' spares what another config came to declare since the plan was made", async (t) => {
  const { run, server, config, cwd } = await world(t, family, { models: ['a', 'b'], prune: 'managed' })
  await run(0, 'apply', '--yes')
  config({ models: ['a'], prune: 'managed' })
  await run(0, 'plan', '--prune', '--out', 'p.json')
  writeFileSync(path.join(cwd, 'other.config.json'), JSON.stringify({ models: ['b'] }))
  await run(0, 'apply', '--yes', '--config', 'other.config.json')
  const applied = await run(1, 'apply', 'p.json')
  assert.match(applied.stdout + applied.stderr, /"b:latest" was not deleted: .*other\.config\.json declares it by now/)
  assert.deepEqual(server.installed(), ['a:latest', 'b:latest'])
})

test('what others changed since the last apply is shown as drift; a host that is empty all at once is a warning', async (t) => {
  const { run, remote, server } = await world(t, family, { models: ['a', 'c'] })
  await run(0, 'apply', '--yes')
  remote.publish({ name: 'a', layers: [weights(5)] })
  server.install({ name: 'a', layers: [weights(5)] })
  const drift = await run(0, 'plan', '--detailed-exitcode')
  assert.match(
    drift.stdout,
    /Changed by others since the last apply:\n {2}! a:latest {2}is [0-9a-f]{12} now, the last apply left [0-9a-f]{12}\n\nNo changes/,
  )
  for (const name of ['a', 'c']) server.remove(name)
  const empty = await run(0, 'plan')
  assert.match(
    empty.stdout,
    /! The server lists no model at all, not even any of the 2 models that the last apply left there/,
  )
  assert.match(empty.stdout, /! a:latest {2}is gone, the last apply left/)
  await run(0, 'apply', '--yes')
  assert.match((await run(0, 'plan')).stdout, /^Config .*\nHost .*\n\nNo changes/)
})

test('offline: plan works from lock and listing, and says what it could not check', async (t) => {
  const { run, remote, server } = await world(t, family, { models: ['a', 'b', 'c'] })
  await run(0, 'lock')
  server.install({ ...family[0], name: 'a' })
  const asked = remote.requests.length
  const plan = await run(0, 'plan', '--offline')
  assert.match(plan.stdout, /! Offline, so no registry was asked about b:latest, c:latest/)
  assert.match(plan.stdout, /\+ b:latest {2}\d+ B \(5 KB already on the host\)\n {2}\+ c:latest {2}\d+ B\n/)
  assert.equal(remote.requests.length, asked)
  await run(0, 'apply', '--yes', '--offline')
  assert.deepEqual(server.installed(), ['a:latest', 'b:latest', 'c:latest'])
})

test('private models: signed for with the key of a server on this machine, and unknown without it', async (t) => {
  const home = mkdtempSync(path.join(tmpdir(), 'ollama-config-key-'))
  const key = await makeOllamaKey(home)
  const { remote, server, cwd } = await world(
    t,
    [{ name: 'team/a', layers: [weights(1)], private: true }],
    { models: ['team/a'] },
    { keyFile: key.file },
  )
  remote.authorize(key.publicKey)
  const keyFolder = path.dirname(key.file)
  const ask = (HOME: string) => runCli(['plan'], { cwd, env: { OLLAMA_HOST: server.url, HOME } })
  const { mkdirSync, copyFileSync } = await import('node:fs')
  mkdirSync(path.join(keyFolder, '.ollama'))
  copyFileSync(key.file, path.join(keyFolder, '.ollama/id_ed25519'))
  const known = await ask(keyFolder)
  assert.match(known.stdout, /\+ team\/a:latest {2}5\.\d KB\n/)
  const unknown = await ask(cwd)
  assert.match(
    unknown.stdout,
    /wants a sign-in with the key of the server, which is not to be had here. Nothing is known of team\/a:latest/,
  )
  assert.match(unknown.stdout, /\+ team\/a:latest {2}size unknown\n/)
  assert.equal((await runCli(['apply', '--yes'], { cwd, env: { OLLAMA_HOST: server.url } })).code, 0)
  assert.deepEqual(remote.problems, [])
})

test('a server that is too old, a missing tag and a dead registry are told in the plan', async (t) => {
  const models: ServedModel[] = [{ name: 'new', requires: '99.0.0' }, { name: 'r.example/x/dead' }]
  const { run, remote } = await world(t, models, { models: ['new', 'gone:7b', 'r.example/x/dead'] })
  remote.fail({ name: 'x/dead' }, { kind: 'reset' })
  const { stdout } = await run(0, 'plan')
  assert.match(stdout, /! "new:latest" needs a newer Ollama than the server has: the pull will fail/)
  assert.match(stdout, /! The registry has no "gone:7b": the pull will fail/)
  assert.match(stdout, /! r\.example cannot be reached: .*. Nothing is known of r\.example\/x\/dead:latest/)
  assert.match(stdout, /Download: unknown\./)
})

test('outdated asks once for each model, and update of one leaves the others', async (t) => {
  const names = Array.from({ length: 200 }, (_, index) => `m${index}`)
  const { run, remote, server, config } = await world(t, [...family, ...names], { models: names }, { models: names })
  const before = remote.count({ kind: 'manifest' })
  assert.match((await run(0, 'outdated')).stdout, /^All 200 models are up to date\.\n$/)
  assert.equal(remote.count({ kind: 'manifest' }) - before, 200)
  assert.ok(remote.mostAtOnce <= 8, `${remote.mostAtOnce} at once`)
  for (const name of ['m1', 'm2']) remote.publish({ name, revision: 'two' })
  config({ models: [...names, 'a'] })
  const update = await run(0, 'update', 'm1', '--yes')
  assert.match(update.stdout, /Plan: 1 to update, 0 as declared\./)
  assert.equal(server.installed().includes('a:latest'), false)
  const { models } = JSON.parse((await run(0, 'outdated', '--json')).stdout).targets[0]
  const statuses = Object.fromEntries(
    models.map((model: { reference: string; status: string }) => [model.reference, model.status]),
  )
  assert.deepEqual(
    [statuses['m1:latest'], statuses['m2:latest'], statuses['a:latest']],
    ['current', 'outdated', 'not-installed'],
  )
})

test('an update of what cannot be looked up is told as failed, by output, JSON and exit code alike', async (t) => {
  const { run, remote } = await world(t, ['a', 'b'], { models: ['a', 'b'] })
  await run(0, 'apply', '--yes')
  remote.unpublish('a')
  const failure =
    /\n {2}x "a:latest" was not updated: the registry does not have its tag\n {4}check the name and the tag\nFailed: 1 failed\nMore: ollama-config help model-not-found\n$/
  assert.match((await run(1, 'update', '--yes')).stdout, failure)
  // There is nothing to approve, so that nobody is needed.
  assert.match((await run(1, 'update', 'a')).stdout, failure)
  await run(0, 'update', 'b', '--yes')
  remote.publish({ name: 'b', layers: [weights(9)] })
  const lines = (await run(1, 'update', '--yes', '--json')).stdout.trimEnd().split('\n')
  const { report } = JSON.parse(lines.at(-1) ?? '')
  assert.equal(report.outcome, 'failed')
  assert.deepEqual(
    report.targets[0].diagnostics.map(({ severity, code, reference }: Diagnostic) => [severity, code, reference]),
    [['error', 'model-not-found', 'a:latest']],
  )
  // The others are updated all the same.
  assert.equal(report.targets[0].results[0].outcome, 'done')
  const finished = lines.map((line) => JSON.parse(line)).find(({ type }) => type === 'apply-finished')
  assert.equal(finished.outcome, 'failed')
  await remote.close()
  const dead = await run(1, 'update', '--yes')
  assert.match(dead.stdout, /x "a:latest" was not updated: the registry could not tell its version\n/)
  assert.match(dead.stdout, /Failed: 2 failed\nMore: ollama-config help registry-error\n$/)
})

test('a manifest that was printed anew is no update: it is told, and mended by a pull of nothing', async (t) => {
  const { run, remote, server, lock } = await world(t, family, { models: ['a'] })
  // As a server before 0.19 left it: the same content under another digest.
  const { manifest } = remote.content('a')
  server.install({ name: 'a', ...family[0], manifest: `${JSON.stringify(JSON.parse(manifest), null, 1)}\n` })
  const outdated = await run(0, 'outdated')
  assert.match(outdated.stdout, /a:latest .* same content, an update mends its manifest\n/)
  const locked = await run(0, 'lock')
  assert.match(locked.stdout, /"a:latest" is installed as [0-9a-f]{12}, which is the content that the registry serves/)
  assert.equal(lock().models['a:latest']?.digest, remote.content('a').digest)
  const bytes = remote.blobBytesServed()
  assert.match((await run(0, 'update', '--yes')).stdout, /nothing to download/)
  assert.equal(remote.blobBytesServed(), bytes)
  assert.equal(`sha256:${server.digests()['a:latest']}`, remote.content('a').digest)
  await run(0, 'check', '--frozen')
})

test('in a terminal an update is asked about, also when nothing is to be pulled', async (t) => {
  const { run, remote, server, cwd } = await world(t, family, { models: ['a'] })
  await run(0, 'apply', '--yes')
  await run(0, 'lock')
  remote.publish({ name: 'a', layers: [weights(1), layer('template', 'newer')] })
  await run(0, 'update', '--lock-only')
  const before = server.digests()
  const ask = (answer: string) => runCli(['apply'], { cwd, env: { OLLAMA_HOST: server.url }, answers: [answer] })
  const no = await ask('n')
  assert.match(no.stderr, /Update 1 model\? \[y\/N\]/)
  assert.deepEqual([no.code, server.digests()], [3, before])
  assert.equal((await ask('y')).code, 0)
  assert.notDeepEqual(server.digests(), before)
})

test('lock pins what is installed, also when another model has the blobs of what the tag names now', async (t) => {
  const { run, remote, server, lock } = await world(t, family, { models: ['a'] })
  server.install({ ...family[0], name: 'a' })
  const installed = `sha256:${server.digests()['a:latest']}`
  const next = [weights(1, 6000), layer('template', 'x')]
  remote.publish({ name: 'a', layers: next })
  server.install({ name: 'a:8b', layers: next, manifest: remote.content('a').manifest })
  assert.match((await run(0, 'outdated')).stdout, /1 model is outdated/)
  await run(0, 'lock')
  assert.equal(lock().models['a:latest']?.digest, installed)
  assert.match((await run(0, 'plan')).stdout, /No changes/)
})

test('lock writes what it can, and says what is not in the file and how to go on', async (t) => {
  const { run, lock, remote } = await world(t, family, { models: ['a', 'c', 'gone:7b'] })
  const { stdout } = await run(1, 'lock')
  assert.match(stdout, /^ {2}x "gone:7b" cannot be locked: the registry has no such model or tag\n {4}check the name/)
  assert.ok(
    stdout.endsWith(
      '\nollama.lock.json pins 2 models.\nNot pinned, for the reason above: 1 model. An entry that was there before is kept.\nTo try again: ollama-config lock\n',
    ),
    stdout,
  )
  assert.deepEqual(Object.keys(lock().models), ['a:latest', 'c:latest'])
  const plain = await run(1, 'update', '--lock-only', 'gone:7b', '--plain')
  assert.match(plain.stdout, /\nTo try again: ollama-config update --lock-only gone:7b\n$/)
  remote.publish({ name: 'gone:7b' })
  assert.match(
    (await run(0, 'lock', '--plain')).stdout,
    /^ {2}added: gone:7b {2}\w+\nollama.lock.json pins 3 models.\n$/,
  )
})

test('an update never takes away what a pull beside it counts on', async (t) => {
  const { run, remote, server, cwd } = await world(t, [...family, { name: 'z', layers: [weights(3, 700)] }], {
    models: ['b'],
  })
  await run(0, 'apply', '--yes')
  await run(0, 'lock')
  // b gives up the weights that a wants.
  remote.publish({ name: 'b', layers: [weights(7)] })
  await run(0, 'update', '--lock-only')
  writeFileSync(path.join(cwd, 'ollama.config.json'), JSON.stringify({ models: ['a', 'b', 'c'] }))
  const before = remote.blobBytesServed()
  const planned = totalOf((await run(0, 'plan', '--json')).stdout)
  await run(0, 'apply', '--yes', '--concurrency', '4')
  assert.equal(remote.blobBytesServed() - before, planned)
  assert.deepEqual(server.problems, [])
  await run(0, 'check')
})

test('a saved plan keeps to the lock as it is when it is applied', async (t) => {
  const { run, remote, server, lock, cwd } = await world(t, family, { models: ['a'] })
  await run(0, 'lock')
  writeFileSync(path.join(cwd, 'ollama.lock.json'), '{ "formatVersion": "1.0", "models": {} }\n')
  await run(0, 'plan', '--out', 'p.json')
  assert.match((await run(3, 'apply', 'p.json', '--frozen')).stderr, /it lacks a:latest/)
  remote.publish({ name: 'a', layers: [weights(9)] })
  await run(0, 'lock')
  assert.match((await run(1, 'apply', 'p.json')).stderr, /names another version of "a:latest" than the plan/)
  assert.deepEqual(server.installed(), [])
  assert.equal(lock().models['a:latest']?.digest, remote.content('a').digest)
})

test('what is recorded as seen is what the config declares when the plan is applied, cloud models left out', async (t) => {
  const big = { name: 'big:cloud', remoteHost: 'https://ollama.com', remoteModel: 'big' }
  const { run, server, cwd } = await world(t, family, { models: ['a', 'b', 'big:cloud'] }, { models: [big] })
  await run(0, 'apply', '--yes')
  await run(0, 'plan', '--out', 'plan.json')
  const other = path.join(cwd, 'ollama.config.mjs')
  renameSync(path.join(cwd, 'ollama.config.json'), other)
  writeFileSync(other, "export default { models: ['a'] }")
  await run(0, 'apply', 'plan.json')
  const record = await openRecord({ folder: path.join(cwd, '.home', 'ollama-config'), host: server.url }).read()
  const { declared, models } = record?.configs[other] ?? {}
  assert.deepEqual([declared, Object.keys(models ?? {})], [['a:latest'], ['a:latest']])
  const first = record?.configs[path.join(cwd, 'ollama.config.json')]
  assert.deepEqual(Object.keys(first?.models ?? {}), ['a:latest', 'b:latest'])
})

test('a plan file restores nothing but copies that the record knows, and shows no control characters', async (t) => {
  const { run, server, cwd } = await world(t, family, { models: ['a'] })
  await run(0, 'apply', '--yes')
  server.install('mine')
  const digest = (name: string) => `sha256:${server.digests()[name]}`
  const plan = (from: string, reason = 'x') => ({
    formatVersion: '1.0',
    prune: false,
    targets: [
      {
        address: server.url,
        kind: 'host',
        serverVersion: '0.33.0',
        drift: [],
        diagnostics: [],
        changes: [
          {
            id: 'r',
            action: 'restore',
            reference: 'a:latest',
            cloud: false,
            before: null,
            after: null,
            dependsOn: [],
            precondition: { digest: digest('a:latest'), source: digest(from) },
            downloadBytes: 0,
            freedBytes: 0,
            from,
            reason: { code: 'rollback', text: reason },
          },
        ],
      },
    ],
  })
  const apply = async (value: object) => {
    writeFileSync(path.join(cwd, 'p.json'), JSON.stringify(value))
    return (await run(1, 'apply', 'p.json')).stderr
  }
  assert.match(await apply(plan('a:latest')), /from is not a copy of the model/)
  assert.match(await apply(plan('mine:latest')), /"mine:latest" is no copy of "a:latest" that this config made/)
  assert.match(await apply(plan('mine:latest', 'x\u001b[2J')), /reason\.text is not free of control characters/)
  assert.deepEqual(server.installed(), ['a:latest', 'mine:latest'])
})
