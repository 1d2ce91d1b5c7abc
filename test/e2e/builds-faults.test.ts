/** Builds that go wrong: streams that break, worlds that change under a plan, files that change under an upload, Ctrl-C. */
import assert from 'node:assert/strict'
import { chmodSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { sha256 } from '../../src/runtime/sha256.ts'
import { makeGguf } from '../support/gguf.ts'
import type { Fault, OllamaServerOptions } from '../support/ollama-server.ts'
import type { ServedModel } from '../support/registry.ts'
import { runCli } from '../support/run-cli.ts'
import { layer, type World, weights, world } from '../support/world.ts'

const base: ServedModel = { name: 'base', layers: [weights(1), layer('license', 'Free')] }
const reviewer = { name: 'reviewer', from: 'base', system: 'You review.' }
const create = { path: '/api/create' } as const
const createsIn = ({ server }: World) => server.requests.filter(({ path: at }) => at === '/api/create')

/** The base is there, the model is to be built. */
async function ready(t: TestContext, config: object = { models: [reviewer] }, options: OllamaServerOptions = {}) {
  const made = await world(t, [base], { models: ['base'] }, options)
  await made.run(0, 'apply', '--yes')
  made.config(config)
  return made
}

async function assertDone(made: World, ...names: string[]): Promise<void> {
  await made.run(0, 'apply', '--yes')
  assert.deepEqual(made.server.installed(), ['base:latest', ...names].sort())
  await made.run(0, 'check')
  assert.deepEqual(made.server.problems, [])
}

const brokeOff = /The build of "reviewer:latest" broke off: .* ended the answer before it was complete/

// Lines of the stream: a layer each for weights, licence and system prompt, then the manifest.
const broken: readonly [string, Fault, RegExp, boolean][] = [
  ['is cut before the first line', { kind: 'reset', afterLines: 0 }, brokeOff, false],
  ['is cut between layers', { kind: 'reset', afterLines: 2 }, brokeOff, false],
  ['is cut before the manifest', { kind: 'reset', afterLines: 3 }, brokeOff, false],
  ['is cut behind the manifest', { kind: 'reset', afterLines: 4 }, brokeOff, true],
  ['ends without a word before the manifest', { kind: 'end', afterLines: 3 }, brokeOff, false],
  ['ends without a word behind the manifest', { kind: 'end', afterLines: 4 }, brokeOff, true],
  ['ends in half a line', { kind: 'truncate', afterLines: 2 }, brokeOff, false],
  ['ends in half of its success', { kind: 'truncate', afterLines: 4 }, brokeOff, true],
  ['ends in an error', { kind: 'line', line: '{"error":"disk on fire"}', afterLines: 2 }, /disk on fire/, false],
  ['ends in what a chat ends in', { kind: 'line', line: '{"done":true}', afterLines: 2 }, brokeOff, false],
  ['ends in no JSON', { kind: 'line', line: '<html>', afterLines: 2 }, /./, false],
  ['is refused', { kind: 'status', status: 500, body: '{"error":"no luck"}' }, /no luck/, false],
]

for (const [what, fault, says, isThere] of broken) {
  test(`a build whose stream ${what} has failed, and is made by the next apply`, async (t) => {
    const made = await ready(t)
    made.server.fail(create, fault, 1)
    const failed = await made.run(1, 'apply', '--yes')
    assert.match(failed.stdout, /Failed: 1 failed/)
    assert.match(failed.stdout, says)
    assert.equal(made.server.installed().includes('reviewer:latest'), isThere)
    await assertDone(made, 'reviewer:latest')
    assert.equal(createsIn(made).length, isThere ? 1 : 2)
  })
}

test('a base that vanished is not pulled unseen, and its first success is not taken for the end', async (t) => {
  const made = await ready(t)
  const lines = [
    { status: 'pulling manifest' },
    { status: 'pulling 0123456789ab', total: 1, completed: 1 },
    { status: 'success' },
    { error: 'template error: template: :1: unclosed action' },
  ]
  const body = `${lines.map((line) => JSON.stringify(line)).join('\n')}\n`
  made.server.fail(create, { kind: 'body', body, contentType: 'application/x-ndjson' }, 1)
  const failed = await made.run(1, 'apply', '--yes')
  assert.match(failed.stdout, /"reviewer:latest" was not built: its base "base:latest" is gone/)
  assert.match(failed.stdout, /plan again/)
  // For real: it goes between the last look and the request.
  made.server.fail(create, { kind: 'hold' }, 1)
  const run = made.run(1, 'apply', '--yes')
  await until(() => createsIn(made).length === 2, run)
  made.remote.fail({ kind: 'manifest' }, { kind: 'stall' })
  made.server.remove('base')
  made.server.release()
  assert.match((await run).stdout, /its base "base:latest" is gone/)
  await made.server.waitForRequest({ ...create, aborted: true })
  assert.equal(made.server.installed().includes('reviewer:latest'), false)
})

test('a success that the listing denies is a failure', async (t) => {
  const made = await ready(t)
  made.server.fail(create, { kind: 'body', body: '{"status":"success"}\n', contentType: 'application/x-ndjson' }, 1)
  const failed = await made.run(1, 'apply', '--yes')
  assert.match(failed.stdout, /The server reported success for "reviewer:latest", but does not list it/)
  await assertDone(made, 'reviewer:latest')
})

/** Waits for it, unless the command ends before. */
async function until(isSo: () => boolean, run: Promise<unknown>): Promise<void> {
  let over = false
  const end = () => {
    over = true
  }
  run.then(end, end)
  while (!isSo()) {
    if (over) return void (await run)
    await new Promise(setImmediate)
  }
}

/** Holds the apply at the listing that it begins with, changes the world, and lets it go on. */
async function meanwhile(made: World, code: number, change: () => unknown) {
  const { server } = made
  const lists = () => server.requests.filter(({ path: at }) => at === '/api/tags').length
  const before = lists()
  // The first is of the plan.
  server.fail({ path: '/api/tags' }, { kind: 'slow', msPerLine: 0 }, 1)
  server.fail({ path: '/api/tags' }, { kind: 'hold' }, 1)
  const run = made.run(code, 'apply', '--yes')
  await until(() => lists() === before + 2, run)
  await change()
  server.release()
  return run
}

test('a base that was replaced between plan and apply: nothing is built, and the next plan builds of the new one', async (t) => {
  const made = await ready(t)
  const result = await meanwhile(made, 1, () => made.server.derive('base', 'base', { system: 'moved' }))
  assert.match(result.stdout, /"reviewer:latest" was not made: "base:latest", which it starts from, was replaced since/)
  assert.deepEqual(made.server.installed(), ['base:latest'])
  await assertDone(made, 'reviewer:latest')
})

test('a model that somebody else built meanwhile: the same is done, another is left alone', async (t) => {
  const same = await ready(t)
  // The digest is known beforehand where the base was built or pulled by us, and the plan was for a rebuild.
  same.server.derive('reviewer', 'base', { system: 'Old.' })
  const before = createsIn(same).length
  await meanwhile(same, 0, () => same.server.derive('reviewer', 'base', { system: reviewer.system }))
  assert.equal(createsIn(same).length, before)
  await assertDone(same, 'reviewer:latest')

  const other = await ready(t)
  const result = await meanwhile(other, 1, () => other.server.derive('reviewer', 'base', { system: 'Theirs.' }))
  assert.match(result.stdout, /"reviewer:latest" was not built: it was installed since the plan was made/)
  assert.equal(createsIn(other).length, 0)
  const [system] = other.server.stored('reviewer').layers.filter(({ mediaType }) => mediaType.endsWith('.system'))
  assert.equal(new TextDecoder().decode(system?.bytes), 'Theirs.')
})

test('an alias whose name or source changed meanwhile is not made over it', async (t) => {
  const config = { models: [{ name: 'fast', aliasOf: 'base' }] }
  const taken = await ready(t, config)
  const result = await meanwhile(taken, 1, () => taken.server.derive('fast', 'base', { system: 'Theirs.' }))
  assert.match(result.stdout, /"fast:latest" was not made: it was installed since the plan was made/)
  assert.equal(taken.server.requests.filter(({ path: at }) => at === '/api/copy').length, 0)
  const moved = await ready(t, config)
  const stale = await meanwhile(moved, 1, () => moved.server.derive('base', 'base', { system: 'moved' }))
  assert.match(stale.stdout, /"fast:latest" was not made: "base:latest", which it starts from, was replaced/)
  // Somebody else was quicker, and did the same.
  const equal = await ready(t, config)
  const copy = JSON.stringify({ source: 'base', destination: 'fast' })
  await meanwhile(equal, 0, () => fetch(`${equal.server.url}/api/copy`, { method: 'POST', body: copy }))
  assert.equal(equal.server.requests.filter(({ path: at }) => at === '/api/copy').length, 1)
  await assertDone(equal, 'fast:latest')
})

test('a success after which the model is not as declared is a failure, and it is built again', async (t) => {
  const made = await ready(t)
  made.server.derive('reviewer', 'base', { system: 'Old.' })
  const success = { kind: 'body', body: '{"status":"writing manifest"}\n{"status":"success"}\n' } as const
  made.server.fail(create, { ...success, contentType: 'application/x-ndjson' }, 2)
  const wrong = await made.run(1, 'apply', '--yes')
  assert.match(
    wrong.stdout,
    /The server reported that it built "reviewer:latest", but it is not as declared: system \(1 line changed\)/,
  )
  made.server.heal()
  assert.match((await made.run(0, 'apply', '--yes')).stdout, /1 rebuilt/)
})

test('a build that gives another digest than foreseen, with every field as declared, is done', async (t) => {
  const made = await ready(t)
  made.server.derive('reviewer', 'base', { system: 'Old.' })
  made.server.fail(create, { kind: 'hold' }, 1)
  const run = made.run(0, 'apply', '--yes')
  await until(() => createsIn(made).length === 1, run)
  // The base gets a licence more: what is built of it now is another model, but all that is declared is in it.
  made.server.derive('base', 'base', { license: 'Late' })
  made.server.release()
  assert.match((await run).stdout, /1 rebuilt/)
  assert.deepEqual(made.server.problems, [])
})

test('two applies at once that build the same model: both end well, and it is built as declared', async (t) => {
  const made = await ready(t)
  made.server.fail(create, { kind: 'hold' }, 2)
  // As of two machines: on one of them the second waits.
  const runs = ['one', 'two'].map((user) => {
    const env = { OLLAMA_HOST: made.server.url, XDG_STATE_HOME: path.join(made.cwd, user) }
    return runCli(['apply', '--yes'], { cwd: made.cwd, env })
  })
  await until(() => createsIn(made).length === 2, Promise.all(runs))
  made.server.release()
  for (const { code, stderr } of await Promise.all(runs)) assert.equal(code, 0, stderr)
  await assertDone(made, 'reviewer:latest')
})

test('a copy that would go where another model is: nothing is replaced', async (t) => {
  const made = await ready(t)
  await made.run(0, 'apply', '--yes')
  made.config({ models: [{ ...reviewer, system: 'New.' }] })
  const digest = made.server.digests()['reviewer:latest'] ?? ''
  const copy = `reviewer:latest-previous-${digest.slice(0, 12)}`
  made.server.derive(copy, 'base', { system: 'Theirs.' })
  const failed = await made.run(1, 'apply', '--yes', '--keep-previous')
  assert.match(failed.stdout, new RegExp(`"reviewer:latest" was not replaced: "${copy}", to which its copy would go`))
  assert.equal(made.server.digests()['reviewer:latest'], digest)
  // One that is the copy already is kept.
  made.server.remove(copy)
  made.server.derive('x', 'base')
  await made.run(0, 'apply', '--yes', '--keep-previous')
  assert.equal(made.server.digests()[copy], digest)
})

/** Weights of more than one piece of an upload. */
const large = makeGguf({ tensors: [{ name: 'token_embd.weight', shape: [1_000_000] }] })

async function withFile(t: TestContext) {
  const made = await ready(t, { models: ['base', { name: 'own', gguf: 'own.gguf' }] })
  const file = path.join(made.cwd, 'own.gguf')
  writeFileSync(file, large)
  return { ...made, file, digest: `sha256:${sha256(large)}` }
}

const uploads = { method: 'POST', path: '/api/blobs/' } as const

test('an upload that is cut half way has failed with a reason, and the next apply uploads it', async (t) => {
  const made = await withFile(t)
  made.server.fail(uploads, { kind: 'reset', afterBytes: 2_000_000 }, 1)
  const failed = await made.run(1, 'apply', '--yes')
  assert.match(failed.stdout, /Failed: 1 failed/)
  assert.match(failed.stdout, /own:latest|api\/blobs/)
  assert.equal(made.server.hasBlob(made.digest), false)
  assert.equal(createsIn(made).length, 0)
  await assertDone(made, 'own:latest')
})

test('an upload that the server refuses is told with its own words; a mismatch as a file that changed', async (t) => {
  const made = await withFile(t)
  // Small enough to be sent before it is refused.
  writeFileSync(made.file, makeGguf())
  made.server.fail(uploads, { kind: 'status', status: 507, body: '{"error":"no room"}' }, 1)
  assert.match((await made.run(1, 'apply', '--yes')).stdout, /no room/)
  const body = '{"error":"digest mismatch, expected \\"sha256:a\\", got \\"sha256:b\\""}'
  made.server.fail(uploads, { kind: 'status', status: 400, body }, 1)
  const failed = await made.run(1, 'apply', '--yes')
  assert.match(failed.stdout, /The file ".*own\.gguf" has changed\. What \S+ received/)
  assert.match(failed.stdout, /is not what was read when the plan was made/)
  assert.match(failed.stdout, /the file changed meanwhile: plan again/)
  await assertDone(made, 'own:latest')
})

/** Changes the file when the host is asked whether it has it: after the plan, before the upload. */
async function changing(made: Awaited<ReturnType<typeof withFile>>, change: () => void) {
  const heads = () => made.server.requests.filter(({ method }) => method === 'HEAD').length
  const before = heads()
  made.server.fail({ method: 'HEAD', path: '/api/blobs/' }, { kind: 'slow', msPerLine: 0 }, 1)
  made.server.fail({ method: 'HEAD', path: '/api/blobs/' }, { kind: 'hold' }, 1)
  const run = made.run(1, 'apply', '--yes')
  await until(() => heads() === before + 2, run)
  change()
  made.server.release()
  return run
}

test('a file that shrinks, grows, changes or vanishes before its upload: nothing is built of it', async (t) => {
  const noLonger = /The file ".*own\.gguf" is no longer the one that was planned/
  const changes: readonly [string, (file: string) => void, RegExp][] = [
    ['shrinks', (file) => truncateSync(file, 1000), noLonger],
    ['grows', (file) => writeFileSync(file, Buffer.concat([large, Buffer.from('more')])), noLonger],
    [
      'changes',
      (file) =>
        writeFileSync(
          file,
          large.map((byte) => byte ^ 1),
        ),
      /not what was read when the plan was made/,
    ],
    ['vanishes', (file) => rmSync(file), /The file ".*own\.gguf" cannot be read any more/],
  ]
  for (const [what, change, says] of changes) {
    const made = await withFile(t)
    const failed = await changing(made, () => change(made.file))
    assert.match(failed.stdout, says, what)
    assert.equal(createsIn(made).length, 0, what)
    assert.deepEqual(made.server.installed(), ['base:latest'], what)
    assert.equal(made.server.hasBlob(made.digest), false, what)
    writeFileSync(made.file, large)
    await assertDone(made, 'own:latest')
  }
})

test('a file that nobody may read is a problem of the config', {
  skip: process.platform === 'win32' || process.getuid?.() === 0 ? 'whoever runs this may read all of them' : false,
}, async (t) => {
  const made = await withFile(t)
  chmodSync(made.file, 0)
  assert.match((await made.run(3, 'plan')).stderr, /own\.gguf" cannot be read/)
})

for (const [what, match, fault] of [
  ['an upload', uploads, { kind: 'hold', afterBytes: 1_000_000 }],
  ['an upload that nobody reads', uploads, { kind: 'stall' }],
  ['a build', create, { kind: 'stall', afterLines: 1 }],
  ['a build that is not answered', create, { kind: 'stall' }],
] as const satisfies readonly (readonly [string, object, Fault])[]) {
  test(`an interruption of ${what} exits with 130, and closes the connection`, { timeout: 30_000 }, async (t) => {
    const made = await withFile(t)
    const unhandled: unknown[] = []
    const note = (reason: unknown) => void unhandled.push(reason)
    process.on('unhandledRejection', note)
    t.after(() => process.off('unhandledRejection', note))
    made.server.fail(match, fault, 1)
    const stop = new AbortController()
    const options = { cwd: made.cwd, env: { OLLAMA_HOST: made.server.url }, signal: stop.signal }
    const run = runCli(['apply', '--yes'], options)
    await made.server.waitForRequest(match)
    stop.abort(new DOMException('Interrupted', 'AbortError'))
    const { code, stdout } = await run
    assert.equal(code, 130, stdout)
    assert.match(stdout, /[Ii]nterrupted/)
    await made.server.waitForRequest({ ...match, aborted: true })
    assert.deepEqual(made.server.installed(), ['base:latest'])
    await new Promise(setImmediate)
    assert.deepEqual(unhandled, [])
    made.server.heal()
    await assertDone(made, 'own:latest')
  })
}
