/** The docs for users: the tutorial is run as it stands there, every other command line is understood, and links lead somewhere. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parseArguments } from '../src/cli/arguments.ts'
import { makeGguf } from './support/gguf.ts'
import { codeBlocks, codeSpans, commandLines, headingAnchors, linkTargets } from './support/markdown.ts'
import { startOllamaServer } from './support/ollama-server.ts'
import { openRegistry, runCli, tempFolder } from './support/run-cli.ts'
import { makeShell, shellOptions } from './support/shell.ts'
import { layer, type World, world } from './support/world.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const docs = readdirSync(path.join(root, 'docs')).filter((name) => name.endsWith('.md'))
const pages = ['README.md', ...docs.map((name) => `docs/${name}`)]
const plugins = readdirSync(path.join(root, 'plugins')).map((name) => `plugins/${name}/README.md`)
const others = ['ARCHITECTURE', 'CONTRIBUTING', 'SECURITY', 'CHANGELOG', 'plugins/README'].map((name) => `${name}.md`)
const linking = [...pages, ...others, ...plugins.filter((page) => existsSync(path.join(root, page)))]
const read = (page: string) => readFileSync(path.join(root, page), 'utf8')

/** The words of each call of the command in a line of a shell. */
function calls(line: string): readonly (readonly string[])[] {
  return line.split(/ (?:&&|\|\|?|;|>) /).flatMap((part) => {
    const [, words] = /^(?:npx |bunx --bun |deno run .*npm:)?ollama-config(?: (.*))?$/.exec(part.trim()) ?? []
    return words === undefined ? [] : [words.split(/ +/)]
  })
}

for (const page of pages)
  test(`the commands of ${page} are understood`, () => {
    for (const line of [...commandLines(read(page)), ...codeSpans(read(page))])
      for (const words of calls(line))
        assert.doesNotThrow(
          () => parseArguments(words.map((word) => (word === 'COMMAND' ? 'plan' : word))),
          `${page}: ${line}`,
        )
  })

test('what commands are looked for in is found', () => {
  assert.deepEqual(commandLines('a\n\n```sh\nb --c   # d\n\n# e\n```\n'), ['b --c'])
  assert.deepEqual(calls('docker compose up -d && npx ollama-config apply --yes > file'), [['apply', '--yes']])
  assert.deepEqual(calls('deno run --allow-net npm:ollama-config plan'), [['plan']])
  assert.ok(pages.flatMap((page) => commandLines(read(page)).flatMap(calls)).length > 30)
})

for (const page of linking)
  test(`the links of ${page} lead somewhere`, () => {
    for (const target of linkTargets(read(page))) {
      if (/^[a-z]+:/.test(target)) continue
      const [file = '', anchor] = target.split('#')
      const linked = file === '' ? page : path.join(path.dirname(page), file)
      assert.ok(existsSync(path.join(root, linked)), `${page}: ${target}`)
      if (anchor !== undefined) assert.ok(headingAnchors(read(linked)).includes(anchor), `${page}: ${target}`)
    }
  })

test('anchors are those of GitHub', () => {
  const text = '# A `b-c`, d\n## A b\n## A b\n```sh\n# no\n```\n### [x](y) & z?\n'
  assert.deepEqual(headingAnchors(text), ['a-b-c-d', 'a-b', 'a-b-1', 'x--z'])
  assert.deepEqual(linkTargets('[a](b#c) `[d](e)` [`f`](g)'), ['b#c', 'g'])
})

test('the README fits three screens, and says how to install and test', () => {
  assert.ok(read('README.md').split('\n').length <= 125)
  assert.ok(commandLines(read('README.md')).includes('npm ci && npm test'))
})

// --- They are run -------------------------------------------------------------------------------------------------

const model = (name: string, seed: number) => ({
  name,
  layers: [layer('model', makeGguf({ name: `${name} ${seed}` }))],
})

/** Runs each call of a page in a terminal, where every question is answered with yes. */
async function runPage(page: string, { cwd, server }: World, before: Readonly<Record<string, () => void>> = {}) {
  const codes: Record<string, number> = {}
  for (const words of commandLines(read(page)).flatMap(calls)) {
    const line = words.join(' ')
    // It would install Ollama. test/setup runs it.
    if (line === 'setup --run') continue
    before[line]?.()
    // Where a page names both, its own folder and ./models are the same.
    const models = page === 'docs/store.md' ? { OLLAMA_MODELS: path.join(cwd, 'models') } : {}
    const env = { OLLAMA_HOST: server.url, ...models }
    const { code, stdout, stderr } = await runCli(words, { cwd, env, answers: ['y', 'y'] })
    // The machine that runs the tests may have faults of its own.
    const isFine = code === 0 || (code === 1 && (line === 'doctor' || line === 'setup'))
    assert.ok(isFine, `${page}: ${line}\n${code}: ${stdout}${stderr}`)
    codes[line] = code
  }
  for (const line of Object.keys(before)) assert.ok(line in codes, `not in ${page}: ${line}`)
  assert.deepEqual(server.problems, [])
}

test('the commands of README.md run', async (t) => {
  const found = await world(t, [model('all-minilm', 1)], {})
  rmSync(path.join(found.cwd, 'ollama.config.json'))
  await runPage('README.md', found)
  assert.deepEqual(found.server.installed(), ['all-minilm:latest'])
  assert.deepEqual(Object.keys(found.lock().models), ['all-minilm:latest'])
})

test('the commands of docs/commands.md run', async (t) => {
  const found = await world(t, [model('qwen3:8b', 1)], { models: ['qwen3:8b'] })
  let first = ''
  await runPage('docs/commands.md', found, {
    outdated() {
      first = found.server.digests()['qwen3:8b'] ?? ''
      found.remote.publish(model('qwen3:8b', 2))
    },
  })
  assert.equal(found.server.digests()['qwen3:8b'], first)
  assert.equal(found.lock().models['qwen3:8b']?.digest, `sha256:${first}`)
  assert.ok(existsSync(path.join(found.cwd, '.home/.ollama/models/manifests/registry.ollama.ai/library/qwen3/8b')))
})

test('the commands of docs/store.md run', async (t) => {
  const found = await world(t, [model('all-minilm', 1)], { models: ['all-minilm'] })
  await runPage('docs/store.md', found)
  assert.ok(existsSync(path.join(found.cwd, 'models/manifests/registry.ollama.ai/library/all-minilm/latest')))
})

test('the tutorial', shellOptions, async (t) => {
  const tutorial = read('docs/tutorial.md')
  const remote = await openRegistry(t, {
    models: [model('all-minilm', 1), model('qwen3:0.6b', 3)],
  })
  const server = await startOllamaServer({ registries: { 'registry.ollama.ai': remote.url } })
  t.after(() => server.close())
  const cwd = tempFolder(t, { 'package.json': {}, 'app.js': "console.log('app: ' + process.env.OLLAMA_HOST)\n" })
  const shell = makeShell(cwd, { registryUrl: remote.url })
  const config = path.join(cwd, 'ollama.config.ts')
  const env = { OLLAMA_HOST: server.url }

  const [declared = ''] = codeBlocks(tutorial, 'ts')
  const [manifest = ''] = codeBlocks(tutorial, 'json')
  /** What the text between the commands tells the reader to do, and what the test server has to do for it, before a command. */
  const before: Readonly<Record<string, () => void | Promise<void>>> = {
    'npx ollama-config lock': async () => {
      assert.deepEqual(server.installed(), all)
      writeFileSync(config, declared.replace('You review diffs.', 'You review code.'))
      const output = await shell('npx ollama-config plan', env)
      assert.match(
        output,
        /To rebuild:\n {2}~ reviewer:latest .*system: 1 line changed\n.*Plan: 1 to rebuild, 3 as declared/s,
      )
      writeFileSync(config, declared)
    },
    'npx ollama-config outdated': () => remote.publish(model('all-minilm', 2)),
    'npx ollama-config plan --prune': () => writeFileSync(config, declared.replace(/^.*aliasOf.*\n/m, '')),
    'npm run dev': () => writeFileSync(path.join(cwd, 'package.json'), manifest),
  }
  const all = ['all-minilm:latest', 'embed:latest', 'qwen3:0.6b', 'reviewer:latest']
  /** What must be in the output of a command, each time that it is run. */
  const said: Readonly<Record<string, readonly RegExp[]>> = {
    'npx ollama-config init': [/ollama\.config\.ts/],
    'npx ollama-config plan': [/To pull:\n {2}\+ all-minilm:latest/, /To build:\n {2}\+ reviewer:latest/],
    'npx ollama-config check': [/^The declared model is installed\.\n$/],
    'npx ollama-config outdated': [/all-minilm/],
    'npx ollama-config plan --prune': [/- embed:latest/],
    'npm run dev': [new RegExp(`app: ${server.url}\n$`)],
  }
  const runs = new Map<string, number>()
  for (const line of commandLines(tutorial)) {
    const count = runs.get(line) ?? 0
    runs.set(line, count + 1)
    if (line === 'npx ollama-config plan' && count === 1) writeFileSync(config, declared)
    await before[line]?.()
    const output = await shell(line, env)
    const expected = said[line]?.[count]
    if (expected !== undefined) assert.match(output, expected, line)
  }
  for (const line of [...Object.keys(before), ...Object.keys(said)])
    assert.ok(runs.has(line), `not in the page: ${line}`)
  assert.deepEqual(server.installed(), ['all-minilm:latest', 'qwen3:0.6b', 'reviewer:latest'])
  assert.deepEqual([...server.problems, ...remote.problems], [])
})
