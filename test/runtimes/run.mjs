/**
 * Runs the tests on the other runtimes: `node test/runtimes/run.mjs [quick] [node22|node24|node26|deno|bun|package]…`, all when none is
 * named; `package` is the main job of the packed package, on each of them. With `quick`, which `.ci/run` takes, only the tests of what a runtime
 * does in its own way, and only the main job on what lies between the oldest and the newest Node.
 *
 * On Linux x64 with the versions of the lock file beside this one, installed at the first run; elsewhere with what is on PATH.
 * One after another; what passes is told in a line, what fails in full.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findTests, scrubbed } from '../run.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const root = dirname(dirname(here))
const modules = join(here, 'node_modules')
const isPinned = process.platform === 'linux' && process.arch === 'x64'

const binaries = Object.fromEntries(
  Object.entries({
    node22: 'node22/bin/node',
    node24: 'node24/bin/node',
    node26: 'node26/bin/node',
    // Not node_modules/.bin/deno: that wrapper would add a Node to every start.
    deno: '@deno/linux-x64-glibc/deno',
    bun: 'bun-linux-x64/bin/bun',
  }).map(([name, file]) => [name, isPinned ? join(modules, file) : name.replace(/\d+$/, '')]),
)

const runtimes = {
  node22: () => node('node22'),
  node24: () => node('node24'),
  node26: () => node('node26'),
  deno,
  bun,
  package: packed,
}

/** Files, sockets, processes, threads, streams and modules: what differs between runtimes is in these. */
const ofTheRuntime =
  /^test\/(runtime|transfer|store\/(mutex|publish|small-files)|registry|config\/(load|search)|backend\/(http|contract)|plugins\/hooks|cli\/prompt|e2e\/(apply|plan|store|exec|two-applies))/

const words = process.argv.slice(2)
const quick = words.includes('quick')
const wanted = words.filter((word) => word !== 'quick')
const unknown = wanted.filter((name) => !Object.hasOwn(runtimes, name))
if (unknown.length > 0) {
  console.error(`No runtime is called ${unknown.join(', ')}: take ${Object.keys(runtimes).join(', ')}`)
  process.exit(1)
}
if (isPinned) install()
else
  console.error(
    'NOTE: the pinned runtimes are for Linux x64; using node, deno and bun from PATH, whatever their versions',
  )

let totals = ''
let failed = false
const all = Object.keys(runtimes).filter((name) => !quick || name !== 'node24')
for (const name of wanted.length === 0 ? all : wanted) {
  const start = performance.now()
  const problems = await runtimes[name]()
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  console.log(
    `${problems.length === 0 ? 'ok    ' : 'FAILED'} ${name.padEnd(7)} ${seconds.padStart(6)} s  ${problems.join('; ') || totals}`,
  )
  failed ||= problems.length > 0
}
process.exitCode = failed ? 1 : 0

// --- Runtimes: each returns what failed ---------------------------------------------------------------------------

/** Paths, all or some. */
function tests() {
  return findTests().filter((file) => !quick || ofTheRuntime.test(file))
}

function node(name) {
  const binary = binaries[name]
  return run('tests', binary, ['test/run.mjs', ...tests()], (output) => {
    const count = (word) => /\d+/.exec(new RegExp(`^ℹ ${word} \\d+`, 'm').exec(output)?.[0] ?? '')?.[0]
    return `${versionOf(binary)}: ${count('pass')} passed, ${count('skipped')} skipped`
  })
}

/** Two processes: each runs its files one after the other. In one, `--parallel` would have them share folder, user and variables. */
async function deno() {
  const binary = binaries.deno
  const passed = []
  const halves = [0, 1].map((rest) =>
    run(
      'tests',
      binary,
      ['test', '-A', '--no-check', ...tests().filter((_, index) => index % 2 === rest)],
      (output) => {
        passed.push(Number(/^(?:\u001b\[\d+m)*ok.*\| (\d+) passed/m.exec(output)?.[1]))
        return `${versionOf(binary)}: ${passed.reduce((sum, count) => sum + count)} passed`
      },
    ),
  )
  const problems = (await Promise.all(halves)).flat()
  const summary = totals
  for (const entry of ['src/index.ts', 'src/cli/main.ts']) {
    problems.push(...(await run(`check ${entry}`, binary, ['check', entry])))
  }
  // Fails on slow types; sends nothing.
  problems.push(...(await run('JSR dry run', binary, ['publish', '--dry-run', '--allow-dirty'])))
  problems.push(...(await run('JSR', process.execPath, ['--import', 'tsx', 'test/package/remote.ts', binary])))
  totals = summary
  return problems
}

async function bun() {
  const binary = binaries.bun
  // The command alone: Bun's own test runner lacks parts of node:test.
  const problems = await run('the main job', binary, ['test/smoke.ts'])
  totals = `${versionOf(binary)}: the main job works`
  return problems
}

async function packed() {
  // Elsewhere all three would be the Node on PATH, which runs this anyhow.
  const names = Object.keys(binaries).filter((name) => isPinned || !name.startsWith('node'))
  const given = names.map((name) => `${name}=${binaries[name]}`)
  const problems = await run('package', process.execPath, ['--import', 'tsx', 'test/package/main.ts', ...given])
  totals = 'npm pack, npx, and the main job on each'
  return problems
}

// --- Running ------------------------------------------------------------------------------------------------------

async function run(what, binary, args, summarize) {
  const child = spawn(binary, args, {
    cwd: root,
    env: { ...scrubbed(process.env), DENO_NO_UPDATE_CHECK: '1', DENO_NO_PROMPT: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 600_000, // A test that hangs on one runtime must not hide the others.
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (piece) => (output += piece))
  const problem = await new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message))
    child.on('close', (status, signal) => resolve(status === 0 ? undefined : (signal ?? `exit code ${status}`)))
  })
  if (problem === undefined) {
    totals = summarize?.(output) ?? ''
    return []
  }
  process.stdout.write(output)
  return [`${what}: ${problem}`]
}

function versionOf(binary) {
  return spawnSync(binary, ['--version'], { encoding: 'utf8' }).stdout.split('\n')[0]
}

function install() {
  const lock = join(here, 'package-lock.json')
  const installed = join(modules, '.package-lock.json')
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return
  console.error('Installing node 22, 24 and 26, deno and bun into test/runtimes/node_modules (about 450 MB)')
  const { status } = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: here,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (status !== 0) process.exit(1)
}
