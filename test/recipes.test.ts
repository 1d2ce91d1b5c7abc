/** The commands of docs/recipes.md, run as they stand there, as far as that goes without Docker and GitHub. */
import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { makeGguf } from './support/gguf.ts'
import { codeBlocks } from './support/markdown.ts'
import { startOllamaServer } from './support/ollama-server.ts'
import { startRegistry, type TestRegistry } from './support/registry.ts'
import { tempFolder } from './support/run-cli.ts'
import { makeShell, type Shell, shellOptions } from './support/shell.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const recipes = readFileSync(path.join(root, 'docs/recipes.md'), 'utf8')
const options = shellOptions

/** The blocks of one language in one section. */
function blocks(section: string, language: string): readonly string[] {
  return codeBlocks(recipes, language, section)
}

interface Project {
  readonly cwd: string
  readonly registry: TestRegistry
  readonly shell: Shell
  blobRequests(): number
}

/** @param blobs A server wants to be sent elsewhere for them. */
async function project(t: TestContext, blobs?: 'plain'): Promise<Project> {
  const model = (name: string) => ({
    name,
    layers: [{ mediaType: 'application/vnd.ollama.image.model', bytes: makeGguf({ name }) }],
    ...(blobs === undefined ? {} : { blobs }),
  })
  const registry = await startRegistry({ models: [model('library/tiny:1'), model('library/other:1')] })
  t.after(() => registry.close())
  const cwd = tempFolder(t)
  const host = new URL(registry.url).host
  const shell = makeShell(cwd)
  const config = { models: [{ name: `${host}/library/tiny:1`, insecure: true }], prune: 'undeclared' }
  writeFileSync(path.join(cwd, 'ollama.config.ts'), `export default ${JSON.stringify(config)}\n`)
  await shell('npx ollama-config lock --store=nowhere')
  assert.ok(existsSync(path.join(cwd, 'ollama.lock.json')))
  return {
    cwd,
    registry,
    shell,
    blobRequests: () => registry.requests.filter(({ kind }) => kind === 'blob').length,
  }
}

/** Prints what the programs of the recipes are there for: where the server is, and what it has. */
const app = `
const { models } = await (await fetch(process.env.OLLAMA_HOST + '/api/tags')).json()
console.log('app: ' + process.env.OLLAMA_HOST + ' has ' + models.length)
`

/** A project with a server that has nothing yet. */
async function projectWithServer(t: TestContext) {
  const found = await project(t)
  const server = await startOllamaServer({ runner: true })
  t.after(() => server.close())
  for (const file of ['app.js', 'main.ts', 'app.test.js']) writeFileSync(path.join(found.cwd, file), app)
  writeFileSync(path.join(found.cwd, 'package.json'), '{ "type": "module" }')
  const env = { OLLAMA_HOST: server.url }
  const loads = () => server.requests.filter(({ path: at }) => at === '/api/generate').length
  return { ...found, server, env, loads, said: `app: ${server.url} has 1\n` }
}

test('npm scripts', options, async (t) => {
  const { shell, server, env, loads, said } = await projectWithServer(t)
  const [text = ''] = blocks('npm scripts', 'json')
  const { scripts }: { scripts: Record<'models' | 'dev' | 'test', string> } = JSON.parse(text)
  await assert.rejects(shell(scripts.test, env), /Pending: pull .* Run: ollama-config apply\n$/)
  // A person is asked there.
  await assert.rejects(shell(scripts.models, env), /--yes/)
  assert.deepEqual(server.installed(), [])
  assert.ok((await shell(scripts.dev, env)).endsWith(said))
  assert.equal(await shell(scripts.dev, env), said)
  assert.ok((await shell(scripts.test, env)).includes('pass 1'))
  await shell(`${scripts.models} --yes`, env)
  assert.equal(loads(), 1)
  assert.match(recipes, /`exec -- sh -c 'npm run build && node app\.js'`/)
  assert.equal(await shell(`ollama-config exec -- sh -c 'npm run build && node app.js'`, env), said)
})

test('Deno tasks', options, async (t) => {
  const { shell, env, loads, said } = await projectWithServer(t)
  const [text = ''] = blocks('Deno tasks', 'json')
  const { tasks }: { tasks: Record<'models' | 'dev', string> } = JSON.parse(text)
  assert.ok((await shell(tasks.dev, env)).endsWith(said))
  assert.equal(await shell(tasks.dev, env), said)
  await shell(`${tasks.models} --yes`, env)
  assert.equal(loads(), 1)
})

test('a Makefile', options, async (t) => {
  const { cwd, shell, server, env, said } = await projectWithServer(t)
  const [file = ''] = blocks('A Makefile', 'make')
  const commands = [...file.matchAll(/^\t(.*)$/gm)].map(([, command = '']) => command)
  assert.equal(commands.length, 2)
  const [models = '', dev = ''] = commands
  await shell(models, env)
  assert.equal(server.installed().length, 1)
  assert.equal(await shell(dev, env), said)
  writeFileSync(path.join(cwd, 'Makefile'), file)
  const output = await shell('if type make > /dev/null; then make -s models dev; fi', env)
  assert.ok(output === '' || output.endsWith(said), output)
})

test('Docker Compose', options, async (t) => {
  const { shell, server, env, loads } = await projectWithServer(t)
  const [file = ''] = blocks('Docker Compose', 'yaml')
  const services = new Map(
    [...file.matchAll(/^ {2}(\w+):\n((?: {4}.*\n)+)/gm)].map(([, name = '', body = '']) => [name, body]),
  )
  assert.deepEqual([...services.keys()], ['ollama', 'models', 'app'])
  for (const name of ['models', 'app'])
    assert.match(services.get(name) ?? '', /^ {6}OLLAMA_HOST: http:\/\/ollama:11434$/m)
  assert.match(services.get('app') ?? '', /depends_on:\n {6}models:\n {8}condition: service_completed_successfully\n/)
  const [, command = ''] = /^ {4}command: (.*)$/m.exec(services.get('models') ?? '') ?? []
  await shell(command, env)
  assert.deepEqual([server.installed().length, loads()], [1, 1])
  // Nobody outside of the containers reaches it otherwise.
  assert.match(recipes, /`ports: \['127\.0\.0\.1:11434:11434'\]`:\n`docker compose up/)
  const [, outside = ''] = /`docker compose up -d ollama && (.*)`/.exec(recipes) ?? []
  assert.match(await shell(outside, env), /^app: /)
})

test('pre-commit', options, async (t) => {
  const { cwd, shell } = await project(t)
  const [file = ''] = blocks('pre-commit', 'yaml')
  const [hook = ''] = blocks('pre-commit', 'sh')
  const [, entry = ''] = /^ +entry: (.*)$/m.exec(file) ?? []
  const [, files = ''] = /^ +files: (.*)$/m.exec(file) ?? []
  for (const name of ['ollama.config.ts', 'ollama.config.json', 'ollama.lock.json'])
    assert.match(name, new RegExp(files))
  assert.doesNotMatch('src/app.ts', new RegExp(files))
  const env = { OLLAMA_HOST: 'http://127.0.0.1:9' }
  await shell(entry, env)
  assert.equal(await shell(hook, env), '')
  writeFileSync(path.join(cwd, 'ollama.config.ts'), 'export default { models: ["not a name"] }\n')
  for (const command of [entry, hook]) await assert.rejects(shell(command, env), /not a name/)
})

test('an image with its models', options, async (t) => {
  const { cwd, shell } = await project(t, 'plain')
  const [file = ''] = blocks('An image', 'dockerfile')
  const lines = file.split('\n')
  const models = path.join(cwd, 'models')
  for (const line of lines.filter((text) => text.startsWith('RUN ')))
    await shell(line.slice(4).replaceAll('=/models', `=${models}`))
  // What the build needs is copied before it is needed.
  const copied = lines.findIndex((line) => line.includes('COPY ollama.config.ts ollama.lock.json'))
  assert.ok(copied > 0 && copied < lines.findIndex((line) => line.includes('apply')))
  const [, from = '', to = ''] = /^COPY --from=models (\S+) (\S+)$/m.exec(file) ?? []
  assert.equal(from, '/models')
  const image = path.join(cwd, 'image')
  cpSync(models, path.join(image, to), { recursive: true })
  const { OLLAMA_MODELS: _, ...env } = { OLLAMA_MODELS: '', HOME: path.join(image, 'root') }
  assert.match(await shell('npx ollama-config check --store', env), /declared/)
})

test('an image that is built in one stage, for another user', {
  ...options,
  skip: options.skip || !isRoot(),
}, async (t) => {
  const { cwd, shell } = await project(t, 'plain')
  const [command = ''] = blocks('An image', 'sh')
  const models = path.join(cwd, 'models')
  await shell(command.replaceAll('=/models', `=${models}`))
  const made = readdirSync(models, { recursive: true, encoding: 'utf8' })
  assert.ok(made.length > 5)
  for (const name of ['', ...made]) {
    const { uid, gid } = statSync(path.join(models, name))
    assert.deepEqual([uid, gid], [1000, 1000], name)
  }
})

test('a cache in GitHub Actions', options, async (t) => {
  const { cwd, shell, blobRequests } = await project(t, 'plain')
  const [workflow = ''] = blocks('A cache', 'yaml')
  const folder = /OLLAMA_MODELS: \$\{\{ github\.workspace \}\}\/(\S+)/.exec(workflow)?.[1] ?? ''
  assert.equal(/^ +path: (\S+)$/m.exec(workflow)?.[1], folder)
  assert.ok(/^ +key: ollama-\$\{\{ hashFiles\('ollama\.lock\.json'\) \}\}$/m.test(workflow))
  const steps = [...workflow.matchAll(/^ +- run: (.*)$/gm)].map(([, command = '']) => command)
  assert.equal(steps.length, 3)
  const env = { OLLAMA_MODELS: path.join(cwd, folder) }
  for (const step of steps) await shell(step, env)
  const before = blobRequests()
  assert.ok(before > 0)
  // The next job, with the cache of this one.
  for (const step of steps) await shell(step, env)
  assert.equal(blobRequests(), before)
})

test('a dev container', options, async (t) => {
  const { cwd, shell } = await project(t, 'plain')
  const [text = ''] = blocks('A dev container', 'json')
  const container: { postCreateCommand: string; containerEnv: Record<string, string>; mounts: string[] } =
    JSON.parse(text)
  const target = /target=([^,]+)/.exec(container.mounts[0] ?? '')?.[1]
  assert.equal(container.containerEnv['OLLAMA_MODELS'], target)
  const env = { OLLAMA_MODELS: path.join(cwd, 'volume') }
  await shell(container.postCreateCommand, env)
  assert.match(await shell('npx ollama-config check --store', env), /declared/)
})

test('a machine without a network', options, async (t) => {
  const { cwd, registry, shell } = await project(t, 'plain')
  const [here = '', there = '', service = ''] = blocks('A machine', 'sh')
  await shell(here)
  await registry.close()
  const other = path.join(cwd, 'other')
  mkdirSync(other)
  for (const file of ['ollama.config.ts', 'ollama.lock.json', 'models.tar'])
    cpSync(path.join(cwd, file), path.join(other, file))
  await shell(there, { HOME: other }, other)
  const target = path.join(other, 'service')
  mkdirSync(target)
  const owner = `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`
  await shell(
    service.replaceAll('/usr/share/ollama/.ollama/models', target).replaceAll('ollama:ollama', owner),
    { HOME: other },
    other,
  )
  await shell(`npx ollama-config check --store=${target}`, { HOME: other }, other)
})

function isRoot(): boolean {
  return process.getuid?.() === 0
}
