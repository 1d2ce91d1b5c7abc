import assert from 'node:assert/strict'
import { test } from 'node:test'
import { applyPlan, type Config, createPlan, defineConfig, type Event, loadConfig, type Plan } from '../src/index.ts'
import { startServer, tempFolder } from './support/run-cli.ts'

test('loadConfig(), createPlan() and applyPlan() do the main job, watched or not', async (t) => {
  const server = await startServer(t, { models: ['old'], registry: ['a'] })
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['a'], host: server.url } })
  const config = await loadConfig({ cwd, env: {} })
  const plan = await createPlan(config, { env: {} })
  const run = applyPlan(plan, { config, env: {}, approve: { changes: true, deletions: true } })
  const events: Event[] = []
  for await (const event of run) events.push(event)
  assert.deepEqual([events[0]?.type, events.at(-1)?.type], ['apply-started', 'apply-finished'])
  const report = await run.report
  assert.equal(report.outcome, 'done')
  assert.deepEqual(
    report.targets[0]?.results.map(({ id, outcome }) => `${id} ${outcome}`),
    ['pull:a:latest done', 'delete:old:latest done'],
  )
  assert.equal(report.targets[0]?.results[0]?.digest, `sha256:${server.digests()['a:latest']}`)
  const again = await createPlan(config, { env: {} })
  assert.ok(again.targets[0]?.changes.every(({ action }) => action === 'no-op'))
  server.remove('a')
  const unwatched = applyPlan(await createPlan(config, { env: {} }), {
    config,
    env: {},
    approve: { changes: true, deletions: false },
  })
  assert.equal((await unwatched.report).outcome, 'done')
  assert.deepEqual(server.installed(), ['a:latest'])
})

test('createPlan() takes a config that was never in a file, and checks it', async (t) => {
  const server = await startServer(t, { models: ['a'] })
  const plan = await createPlan(defineConfig({ models: ['a', 'b'], host: server.url }), { env: {} })
  assert.deepEqual(
    plan.targets[0]?.changes.map(({ id }) => id),
    ['no-op:a:latest', 'pull:b:latest'],
  )
  const wrong = { models: ['not a name'] } satisfies Config
  await assert.rejects(createPlan(wrong, { env: {} }), { code: 'config-invalid' })
  await assert.rejects(createPlan({ models: [], prune: false }, { env: {}, prune: true }), { code: 'prune-refused' })
})

test('applyPlan() refuses a number of models at once that is none, before anything happens', async (t) => {
  const server = await startServer(t, { registry: ['a'] })
  const config = { models: ['a'], host: server.url }
  const plan = await createPlan(config, { env: {} })
  for (const concurrency of [0, Number.NaN, 1.5]) {
    const run = applyPlan(plan, { config, env: {}, concurrency, approve: { changes: true, deletions: false } })
    await assert.rejects(run.report, { code: 'usage' })
  }
  assert.deepEqual(server.installed(), [])
})

test('applyPlan() reports an unapproved change as skipped', async (t) => {
  const server = await startServer(t, { models: ['old'], registry: ['a'] })
  const config = { models: ['a'], host: server.url }
  const plan = await createPlan(config, { env: {} })
  const { outcome, targets } = await applyPlan(plan, {
    config,
    env: {},
    approve: { changes: false, deletions: false },
  }).report
  assert.equal(outcome, 'done')
  assert.deepEqual(
    targets[0]?.results.map(({ id, outcome: result, skipReason }) => `${id} ${result} ${skipReason}`),
    ['pull:a:latest skipped not-approved', 'delete:old:latest skipped not-approved'],
  )
  assert.deepEqual(server.installed(), ['old:latest'])
})

test('leaving the loop over the events stops the apply, and the pull on the server', async (t) => {
  const server = await startServer(t, { registry: [{ name: 'a', bytesPerTick: 256 }, 'b'] })
  server.fail({ path: '/api/pull' }, { kind: 'hold', afterLines: 3 })
  const config = { models: ['a', 'b'], host: server.url }
  const run = applyPlan(await createPlan(config, { env: {} }), {
    config,
    env: {},
    approve: { changes: true, deletions: true },
  })
  for await (const event of run) if (event.type === 'change-progress') break
  const report = await run.report
  assert.equal(report.outcome, 'interrupted')
  assert.deepEqual(
    report.targets[0]?.results.map(({ id, outcome }) => `${id} ${outcome}`),
    ['pull:a:latest cancelled', 'pull:b:latest skipped'],
  )
  await server.waitForRequest({ path: '/api/pull', aborted: true })
})

test('applyPlan() refuses a plan for another host, of a newer format, or with errors, before it asks the server', async (t) => {
  const server = await startServer(t, { registry: ['a'] })
  const config = { models: ['a'], host: server.url }
  const plan = await createPlan(config, { env: {} })
  const asked = server.requests.length
  const [target] = plan.targets
  assert.ok(target !== undefined)
  const cases: Plan[] = [
    { ...plan, formatVersion: '2.0' },
    { ...plan, targets: [] },
    { ...plan, targets: [target, target] },
    { ...plan, targets: [{ ...target, address: 'http://elsewhere:11434' }] },
    {
      ...plan,
      targets: [{ ...target, changes: JSON.parse(JSON.stringify(target.changes).replace('"pull"', '"nuke"')) }],
    },
    { ...plan, targets: [{ ...target, diagnostics: [{ severity: 'error', code: 'x', message: 'No' }] }] },
  ]
  for (const bad of cases) {
    const run = applyPlan(bad, { config, env: {}, approve: { changes: true, deletions: true } })
    await assert.rejects(run.report, { code: 'invalid-plan' })
    await assert.rejects(
      async () => {
        for await (const _ of run);
      },
      { code: 'invalid-plan' },
    )
  }
  // A newer minor version only adds fields.
  const newer: Plan = { ...plan, formatVersion: '1.7' }
  const run = applyPlan(newer, { config, env: {}, approve: { changes: false, deletions: false } })
  assert.equal((await run.report).outcome, 'done')
  assert.equal(server.requests.slice(asked).filter(({ method }) => method !== 'GET').length, 0)
})

test('the events of a run can be iterated once', async (t) => {
  const server = await startServer(t, { registry: ['a'] })
  const config = { models: ['a'], host: server.url }
  const plan = await createPlan(config, { env: {} })
  const run = applyPlan(plan, { config, env: {}, approve: { changes: true, deletions: false } })
  for await (const _ of run);
  await assert.rejects(async () => {
    for await (const _ of run);
  }, TypeError)
})

test('the logger is told of every request, and of no secret', async (t) => {
  const server = await startServer(t, { registry: ['a'] })
  const lines: string[] = []
  const log = (message: string, fields?: Record<string, unknown>) =>
    void lines.push(`${message} ${JSON.stringify(fields)}`)
  const logger = { debug: log, info: log, warn: log, error: log }
  const config = { models: ['a'], host: server.url, headers: { Authorization: 'Bearer s3cr3t' } }
  const plan = await createPlan(config, { env: {}, logger })
  await applyPlan(plan, { config, env: {}, logger, approve: { changes: true, deletions: false } }).report
  const text = lines.join('\n')
  for (const path of ['/api/tags', '/api/version', '/api/pull', '/api/show'])
    assert.ok(text.includes(`"path":"${path}"`), path)
  assert.match(text, /"status":200/)
  assert.match(text, /"durationMs":/)
  assert.ok(!text.includes('s3cr3t'))
  assert.ok(server.requests.every(({ headers }) => headers['authorization'] === 'Bearer s3cr3t'))
})

test('an aborted signal stops each of them with its reason', async (t) => {
  const server = await startServer(t, { registry: ['a'] })
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['a'], host: server.url } })
  const config = await loadConfig({ cwd, env: {} })
  const plan = await createPlan(config, { env: {} })
  const reason = new Error('enough')
  const signal = AbortSignal.abort(reason)
  await assert.rejects(loadConfig({ cwd, env: {}, signal }), reason)
  await assert.rejects(createPlan(config, { env: {}, signal }), reason)
  const run = applyPlan(plan, { config, env: {}, signal, approve: { changes: true, deletions: true } })
  await assert.rejects(run.report, reason)
  assert.deepEqual(server.installed(), [])
})
