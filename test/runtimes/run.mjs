/**
 * Runs the tests on the other runtimes: `node test/runtimes/run.mjs [quick] [node22|node24|node26|deno|bun|package]…`, all when none is
 * named; `package` is the main job of the packed package, on each of them. With `quick`, which `.ci/run` takes, only the tests of what a runtime
 * does in its own way, and only the main job on what lies between the oldest and the newest Node.
 *
 * On Linux x64 with the versions of the lock file beside this one, installed at the first run; elsewhere with what is on PATH.
 * One after another; what passes is told in a line, what fails in full.
 */
import { spawnSync } from 'node:child_process'
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
  const problems = runtimes[name]()
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

function deno() {
  const binary = binaries.deno
  const problems = run('tests', binary, ['test', '-A', '--no-check', ...tests()], (output) => {
    const line = /^(?:\u001b\[\d+m)*ok.*\| (\d+) passed.*$/m.exec(output)?.[0] ?? ''
    return `${versionOf(binary)}: ${line.replace(/\u001b\[[\d;]*m/g, '').replace(/^ok \| /, '')}`
  })
  const summary = totals
  for (const entry of ['src/index.ts', 'src/cli/main.ts']) {
    problems.push(...run(`check ${entry}`, binary, ['check', entry]))
  }
  // Fails on slow types; sends nothing.
  problems.push(...run('JSR dry run', binary, ['publish', '--dry-run', '--allow-dirty']))
  problems.push(...run('JSR', process.execPath, ['--import', 'tsx', 'test/package/remote.ts', binary]))
  totals = summary
  return problems
}

function bun() {
  const binary = binaries.bun
  // The command alone: Bun's own test runner lacks parts of node:test.
  const problems = run('the main job', binary, ['test/smoke.ts'])
  totals = `${versionOf(binary)}: the main job works`
  return problems
}

function packed() {
  // Elsewhere all three would be the Node on PATH, which runs this anyhow.
  const names = Object.keys(binaries).filter((name) => isPinned || !name.startsWith('node'))
  const given = names.map((name) => `${name}=${binaries[name]}`)
  const problems = run('package', process.execPath, ['--import', 'tsx', 'test/package/main.ts', ...given])
  totals = 'npm pack, npx, and the main job on each'
  return problems
}

// --- Running ------------------------------------------------------------------------------------------------------

function run(what, binary, args, summarize) {
  const { status, signal, error, stdout, stderr } = spawnSync(binary, args, {
    cwd: root,
    env: { ...scrubbed(process.env), DENO_NO_UPDATE_CHECK: '1', DENO_NO_PROMPT: '1' },
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    timeout: 600_000, // A test that hangs on one runtime must not hide the others.
  })
  if (status === 0) {
    totals = summarize?.(stdout + stderr) ?? ''
    return []
  }
  process.stdout.write(`${stdout ?? ''}${stderr ?? ''}`)
  return [`${what}: ${error?.message ?? (signal === null ? `exit code ${status}` : signal)}`]
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
