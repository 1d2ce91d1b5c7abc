/** Files that come from elsewhere are data: whatever a plan, a lock file or a record says, nothing of it is run. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { type CliResult, runCli, startServer, type TestServer, tempFolder } from '../support/run-cli.ts'

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

interface Place {
  readonly cwd: string
  readonly server: TestServer
  /** True once any of the traps was imported. */
  sprung(): boolean
  run(...words: readonly string[]): Promise<CliResult>
}

/** A project with a config that is no code, among modules that leave a file behind when they are imported. */
async function place(t: TestContext): Promise<Place> {
  const server = await startServer(t, { models: ['old'], registry: ['a'] })
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['a'], prune: 'managed' } })
  const mark = path.join(cwd, 'sprung')
  const trap = `import { writeFileSync } from 'node:fs'\nwriteFileSync(${JSON.stringify(mark)}, '')\nexport default {}\n`
  const files = ['trap.js', 'trap.ts', 'plugins/trap.plugin.ts', '.config/config.js', 'node_modules/trap/index.js']
  for (const file of files) {
    mkdirSync(path.dirname(path.join(cwd, file)), { recursive: true })
    writeFileSync(path.join(cwd, file), trap)
  }
  writeFileSync(path.join(cwd, 'node_modules/trap/package.json'), '{ "type": "module", "exports": "./index.js" }')
  writeFileSync(path.join(cwd, 'package.json'), '{ "type": "module" }')
  return {
    cwd,
    server,
    sprung: () => existsSync(mark),
    run: (...words) => runCli(words, { cwd, env: { OLLAMA_HOST: server.url } }),
  }
}

/** What would be code, if anybody took it for that. */
function lures(cwd: string): readonly string[] {
  const trap = path.join(cwd, 'trap.ts')
  const writes = `process.getBuiltinModule('node:fs').writeFileSync(${JSON.stringify(path.join(cwd, 'sprung'))}, '')`
  return [
    'trap',
    './trap.js',
    trap,
    pathToFileURL(trap).href,
    `data:text/javascript,${encodeURIComponent(writes)}`,
    `\${${writes}}`,
    `');${writes};('`,
    '__proto__',
  ]
}

/** Every text in it replaced, one at a time. */
function* replaced(value: Json, text: string): Generator<Json> {
  if (typeof value === 'string') yield text
  if (typeof value !== 'object' || value === null) return
  if (Array.isArray(value)) {
    for (const [at, item] of value.entries()) for (const other of replaced(item, text)) yield value.with(at, other)
    return
  }
  for (const [key, item] of Object.entries(value))
    for (const other of replaced(item, text)) yield { ...value, [key]: other }
}

/** As JSON, each object with keys that elsewhere lead to code, or into the prototype of all objects. */
function baited(value: Json, cwd: string): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map((item: Json) => baited(item, cwd)).join()}]`
  const own = Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}:${baited(item, cwd)}`)
  const names = ['plugins', 'discover', 'extends', 'import', 'require', 'loaders', 'then', 'toString', 'toJSON']
  const bait = names.map((key) => `"${key}":${JSON.stringify(lures(cwd))}`)
  const polluting = ['__proto__', 'constructor', 'prototype'].map(
    (key) => `"${key}":{"polluted":"yes","prototype":{"polluted":"yes"}}`,
  )
  return `{${[...own, ...bait, ...polluting].join()}}`
}

function assertNothingRan(place: Place, what: string): void {
  assert.equal(place.sprung(), false, what)
  assert.equal('polluted' in {}, false, what)
}

test('the traps work: a config that imports one springs it', async (t) => {
  const there = await place(t)
  writeFileSync(path.join(there.cwd, 'code.config.ts'), "import 'trap'\nexport default { models: ['a'] }\n")
  assert.equal((await there.run('plan', '--config', 'code.config.ts')).code, 0)
  assert.equal(there.sprung(), true)
})

test('a plan from elsewhere runs no code', { timeout: 120_000 }, async (t) => {
  const there = await place(t)
  const file = path.join(there.cwd, 'plan.json')
  assert.equal((await there.run('plan', '--out', 'plan.json')).code, 0)
  const plan: Json = JSON.parse(readFileSync(file, 'utf8'))
  for (const lure of lures(there.cwd)) {
    for (const hostile of replaced(plan, lure)) {
      writeFileSync(file, JSON.stringify(hostile))
      const { code } = await there.run('apply', 'plan.json')
      assertNothingRan(there, `${code}: ${JSON.stringify(hostile)}`)
    }
  }
  if (there.server.installed().includes('a:latest')) there.server.remove('a')
  writeFileSync(file, baited(plan, there.cwd))
  const { code, stdout, stderr } = await there.run('apply', 'plan.json')
  assertNothingRan(there, 'more keys')
  // What is not known is not read: the rest of the plan is carried out.
  assert.equal(code, 0, stderr)
  assert.match(stdout, /Done: 1 pulled/)
})

test('a lock file from elsewhere runs no code', { timeout: 120_000 }, async (t) => {
  const there = await place(t)
  const file = path.join(there.cwd, 'ollama.lock.json')
  assert.equal((await there.run('lock')).code, 0)
  await assertHarmless(there, file, [
    ['check', '--frozen'],
    ['plan', '--frozen'],
    ['outdated'],
    ['apply', '--yes', '--no-prune'],
  ])
})

test('a record from elsewhere runs no code', { timeout: 120_000 }, async (t) => {
  const there = await place(t)
  assert.equal((await there.run('apply', '--yes', '--no-prune')).code, 0)
  const state = path.join(there.cwd, '.home')
  const files = readdirSync(state, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.json'))
  // The last of them is the one that is read.
  const newest = files.sort().at(-1) ?? assert.fail('There is no record')
  const commands = [['plan'], ['apply', '--yes', '--prune'], ['rollback', 'a', '--yes']]
  // A damaged record is read for a second, as if somebody was still writing it: three places will do.
  await assertHarmless(there, path.join(state, newest), commands, 3)
})

/** Runs the commands with each lure in each place of a file, or in so many. */
async function assertHarmless(
  there: Place,
  file: string,
  commands: readonly (readonly string[])[],
  most = Number.POSITIVE_INFINITY,
): Promise<void> {
  const value: Json = JSON.parse(readFileSync(file, 'utf8'))
  const all = lures(there.cwd).flatMap((lure) => [...replaced(value, lure)].map((hostile) => JSON.stringify(hostile)))
  const texts = all.filter((_text, index) => index % Math.max(1, Math.ceil(all.length / most)) === 0)
  assert.ok(texts.length > 2)
  for (const [index, text] of [...texts, baited(value, there.cwd)].entries()) {
    // One command for each, in turn: all of them would take minutes.
    for (const words of index === texts.length ? commands : [commands[index % commands.length] ?? []]) {
      writeFileSync(file, text)
      await there.run(...words)
      assertNothingRan(there, `${words.join(' ')}: ${text}`)
    }
  }
}
