/**
 * The package as users get it: `npm run package [RUNTIME=BINARY]…`.
 *
 * Packs it, looks at what is in the tarball, installs that into an empty project without install scripts, and does the main job
 * there on the Node that runs this, and on each runtime that is given, such as `-- node22=/opt/node22/bin/node deno=deno`.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { doMainJob } from '../support/main-job.ts'
import type { CliResult } from '../support/run-cli.ts'
import { checkContents } from './contents.ts'
import { checkEntries } from './entries.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'ollama-config-package-')))
const project = path.join(folder, 'project')
const home = path.join(folder, 'home')
const cache = path.join(folder, 'cache')
const main = path.join(project, 'node_modules/ollama-config/dist/cli/main.js')

/** Throws, or tells what it saw. */
interface Step {
  readonly name: string
  readonly run: () => string | Promise<string>
}

const given = process.argv.slice(2).map((word) => {
  const [, name = '', binary = ''] = /^(\w+)=(.+)$/.exec(word) ?? assert.fail(`"${word}" is not RUNTIME=BINARY`)
  if (name.startsWith('bun')) return { name, binary, words: ['x', '--bun', '--no-install', 'ollama-config'] }
  if (name.startsWith('deno')) return { name, binary, words: ['run', '--allow-all', 'npm:ollama-config'] }
  return { name, binary, words: [main] }
})
const nodes = given.filter(({ words }) => words[0] === main)

const running = new Set<ChildProcess>()
try {
  await prepareCache()
  const tarball = await pack()
  await inTurn([
    { name: 'contents', run: () => checkContents(tarball, root, path.join(folder, 'contents')) },
    { name: 'install', run: () => install(tarball) },
  ])
  // What waits for the disk or for npm leaves the processors to the others.
  await Promise.all([
    inTurn([
      { name: 'entries', run: () => checkEntries(tarball) },
      { name: 'types', run: types },
    ]),
    inTurn([
      { name: 'npx', run: () => npx(tarball, process.execPath, 'demo', /No changes\. The 2 declared models are/) },
      ...nodes.map(({ name, binary }) => ({
        name: `npx ${name}`,
        run: () => npx(tarball, binary, '--version', /^\d+\.\d+\.\d+$/m),
      })),
    ]),
    inTurn(
      [{ name: 'node', binary: process.execPath, words: [main] }, ...given].map(({ name, binary, words }) => ({
        name,
        run: () => mainJob(binary, words),
      })),
    ),
  ])
} finally {
  for (const child of running) child.kill()
  rmSync(folder, { recursive: true, force: true })
}

async function inTurn(steps: readonly Step[]): Promise<void> {
  for (const { name, run } of steps) {
    const start = performance.now()
    const text = await run()
    console.log(`ok     ${name.padEnd(10)} ${((performance.now() - start) / 1000).toFixed(1).padStart(5)} s  ${text}`)
  }
}

// --- Steps --------------------------------------------------------------------------------------------------------

/** Made of what is built. */
async function pack(): Promise<string> {
  const built = path.join(root, 'dist/types/src/index.d.ts')
  if (!existsSync(built) || statSync(built).mtimeMs < newestSource()) await npm(['run', 'build', '--silent'], root)
  await npm(['pack', '--ignore-scripts', '--silent', '--pack-destination', folder], root)
  return path.join(folder, readdirSync(folder).find((file) => file.endsWith('.tgz')) ?? '')
}

function newestSource(): number {
  const files = ['src', 'plugins'].flatMap((name) =>
    readdirSync(path.join(root, name), { recursive: true, encoding: 'utf8' }).map((file) =>
      path.join(root, name, file),
    ),
  )
  const builders = ['build.mjs', 'build-types.mjs', 'tsconfig.json', 'tsconfig.build.json'].map((name) =>
    path.join(root, name),
  )
  return Math.max(...[...files, ...builders].map((file) => statSync(file).mtimeMs))
}

/** As careful people install: no script of any package runs. */
async function install(tarball: string): Promise<string> {
  mkdirSync(project)
  mkdirSync(home)
  writeFileSync(path.join(project, 'package.json'), '{ "private": true }\n')
  const quietly = ['--no-audit', '--no-fund', '--prefer-offline']
  await npm(['install', '--ignore-scripts', '--omit=dev', ...quietly, tarball], project)
  const lock = readFileSync(path.join(project, 'node_modules/.package-lock.json'), 'utf8')
  return `${Object.keys(JSON.parse(lock).packages).length} packages, no install script run`
}

/** A config in a project with nothing but this package, whose types are read in full. */
async function types(): Promise<string> {
  const text = `import { type Config, createPlan, defineConfig, loadConfig, type Plan } from 'ollama-config'
import { definePlugin } from 'ollama-config/plugin'
import smokeTest from 'ollama-config/plugins/smoke-test'
const plugin = definePlugin({ apiVersion: 1, name: 'mine', review: () => [] })
const plugins = [plugin(), smokeTest({ models: ['a'], prompt: 'Say ok' })]
const config: Config = { models: ['a'], plugins }
// @ts-expect-error: not any
const wrong: Config = { models: 1 }
export const plan: Promise<Plan> = loadConfig().then((loaded) => createPlan(loaded))
export default defineConfig(wrong === config ? wrong : config)
`
  writeFileSync(path.join(project, 'types.ts'), text)
  const options = ['--strict', '--noEmit', '--exactOptionalPropertyTypes', '--module', 'nodenext', '--types', '']
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc')
  await check(process.execPath, [tsc, ...options, '--target', 'es2023', '--lib', 'es2023,dom', 'types.ts'], project)
  return 'no error in what a config sees, without skipLibCheck'
}

/** From the tarball, installed nowhere, as somebody tries it. @param node the one that is to be found first */
async function npx(tarball: string, node: string, word: string, expected: RegExp): Promise<string> {
  const words = ['exec', '--yes', '--prefer-offline', `--package=${tarball}`, '--', 'ollama-config', word]
  const stdout = await npm(words, home, { PATH: `${path.dirname(node)}${path.delimiter}${process.env['PATH']}` })
  assert.match(stdout, expected)
  return `npx ollama-config ${word} works`
}

async function mainJob(binary: string, words: readonly string[]): Promise<string> {
  // No registry is asked: the proxy is nobody.
  const own = { HOME: home, XDG_STATE_HOME: home, HTTPS_PROXY: 'http://127.0.0.1:9' }
  await doMainJob((more, env) => start(binary, [...words, ...more], project, { ...own, ...env }), project)
  return `${(await check(binary, ['--version'], project)).split('\n')[0]}: the main job works`
}

// --- Running ------------------------------------------------------------------------------------------------------

/** A cache of our own: npx keeps there what it installs, by the path of a tarball that will be gone. It shares what the user's has. */
async function prepareCache(): Promise<void> {
  mkdirSync(cache)
  const shared = path.join((await check('npm', ['config', 'get', 'cache'], root)).trim(), '_cacache')
  if (existsSync(shared)) symlinkSync(shared, path.join(cache, '_cacache'), 'junction')
}

function npm(words: readonly string[], cwd: string, env: Readonly<Record<string, string>> = {}): Promise<string> {
  return check('npm', words, cwd, { npm_config_cache: cache, ...env })
}

/** What it wrote to stdout; it has to end well. */
async function check(
  program: string,
  words: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const forNpm =
    /^(?:npm_config_.*|https?_proxy|no_proxy|ssl_.*|node_extra_ca_certs|home|systemroot|(?:local)?appdata)$/i
  const kept = Object.fromEntries(Object.entries(process.env).filter(([name]) => forNpm.test(name)))
  const { code, stdout, stderr } = await start(program, words, cwd, { ...kept, ...env })
  assert.equal(code, 0, `${program} ${words.join(' ')}: ${stdout}${stderr}`)
  return stdout
}

function start(program: string, words: readonly string[], cwd: string, env: NodeJS.ProcessEnv): Promise<CliResult> {
  const child = spawn(program, words, {
    cwd,
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // There it is a script of the shell.
    shell: process.platform === 'win32' && program === 'npm',
    timeout: 300_000,
  })
  running.add(child)
  const written = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    written.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    written.stderr += text
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      running.delete(child)
      resolve({ code: code ?? -1, ...written })
    })
  })
}
