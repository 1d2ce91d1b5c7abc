/** `init`: what it writes loads, says what is there, and leaves a plan with nothing to do. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { initConfig, isOllamaConfigError, loadConfig } from '../../src/index.ts'
import { prepareScripts } from '../../src/runner/init-scripts.ts'
import { makeGguf } from '../support/gguf.ts'
import type { DeriveFields } from '../support/ollama-server.ts'
import { posixOnly } from '../support/programs.ts'
import type { ServedModel } from '../support/registry.ts'
import { openRegistry, runCli, spawnCli, tempFolder } from '../support/run-cli.ts'
import { layer, type World, weights, world } from '../support/world.ts'

const base: ServedModel = {
  name: 'base',
  layers: [
    layer('model', makeGguf({ name: 'base' })),
    layer('template', '{{ .Prompt }} <&>'),
    layer('params', '{"stop":["<|end|>"],"temperature":0.7}'),
    layer('license', 'Free'),
  ],
}

/** A host that has these, and no config, lock file or record. */
async function host(t: TestContext, models: (string | ServedModel)[], pulled: readonly unknown[]): Promise<World> {
  const made = await world(t, models, { models: pulled })
  await made.run(0, 'apply', '--yes')
  rmSync(path.join(made.cwd, 'ollama.config.json'))
  rmSync(path.join(made.cwd, '.home'), { recursive: true })
  return made
}

const read = ({ cwd }: World) => readFileSync(path.join(cwd, 'ollama.config.ts'), 'utf8')

async function declaredBy({ cwd }: World) {
  const { config } = await loadConfig({ cwd })
  return { models: config.models, keep: config.keep ?? [] }
}

/** Each of these means something in the text that is written. */
const tricky = 'You review.\nBe `kind`, $'.concat('{never} \\n rude.')

async function copy({ server }: World, source: string, destination: string): Promise<void> {
  const answer = await fetch(`${server.url}/api/copy`, {
    method: 'POST',
    body: JSON.stringify({ source, destination }),
  })
  assert.equal(answer.status, 200)
}

async function assertNothingToDo(made: World, ...flags: string[]): Promise<void> {
  const plan = await made.run(0, 'plan', '--prune', '--detailed-exitcode', ...flags)
  assert.match(plan.stdout, /No changes/)
  assert.deepEqual(made.server.problems, [])
}

test('what is installed is declared as it was made, and a plan has nothing to do', async (t) => {
  const made = await host(t, [base, 'other', { name: 'r.example/team/x:1' }], ['base', 'other', 'r.example/team/x:1'])
  const { server } = made
  const derive = (name: string, fields: DeriveFields, from = 'base') => server.derive(name, from, fields)
  derive('reviewer', {
    system: tricky,
    parameters: { num_ctx: 4096, stop: ['END'] },
  })
  derive('again', { parameters: { num_ctx: 8192 } }, 'reviewer')
  derive('texts', {
    template: '{{ .System }}\n{{ .Prompt }}"',
    license: ['Only\nhere'],
    messages: [
      { role: 'user', content: "It's you?" },
      { role: 'assistant', content: 'Yes\r\n\u202eno' },
    ],
  })
  derive('newer', { parameters: { brand_new: [1] } })
  server.install({ name: 'gpt:120b-cloud', remoteHost: 'https://ollama.com:443', remoteModel: 'gpt:120b' })
  await copy(made, 'base', 'second')
  await copy(made, 'reviewer', 'critic')
  const { stdout, stderr } = await made.run(0, 'init', '--from-installed')
  assert.equal(stderr, '')
  assert.equal(stdout, 'Wrote ollama.config.ts with 10 models, as installed.\nNext: ollama-config plan\n')
  assert.deepEqual(await declaredBy(made), {
    models: [
      'base:latest',
      'gpt:120b-cloud',
      'other:latest',
      'r.example/team/x:1',
      {
        name: 'again:latest',
        from: 'reviewer:latest',
        parameters: { num_ctx: 8192 },
      },
      { name: 'newer:latest', from: 'base:latest', allowUnknownParameters: true, parameters: { brand_new: 1 } },
      {
        name: 'reviewer:latest',
        from: 'base:latest',
        system: tricky,
        parameters: { num_ctx: 4096, stop: ['END'] },
      },
      {
        name: 'texts:latest',
        from: 'base:latest',
        template: '{{ .System }}\n{{ .Prompt }}"',
        license: 'Only\nhere',
        messages: [
          { role: 'user', content: "It's you?" },
          { role: 'assistant', content: 'Yes\r\n\u202eno' },
        ],
      },
      { name: 'critic:latest', aliasOf: 'reviewer:latest' },
      { name: 'second:latest', aliasOf: 'base:latest' },
    ],
    keep: [],
  })
  // What hides or reorders text in an editor is written as an escape.
  assert.doesNotMatch(read(made), /[\u202e\r]/)
  await assertNothingToDo(made)
  await assertNothingToDo(made, '--offline')
})

test('what the server does not tell of is kept, with what it said', async (t) => {
  const made = await host(t, [base], ['base'])
  made.server.derive('mine', 'base', { system: 'Mine' })
  made.server.fail({ path: '/api/show', model: 'mine' }, { kind: 'status', status: 403, body: '' })
  await made.run(0, 'init', '--from-installed')
  assert.match(read(made), /\/\/ it could not be looked at: .*status 403/)
})

test('what could not be made again is kept, with the reason, and nothing deletes it', async (t) => {
  const made = await host(t, [base, { name: 'gone', layers: [weights(9)] }], ['base', 'gone'])
  const { server, remote } = made
  server.derive('orphan', 'gone', { system: 'Old' })
  server.remove('gone')
  server.derive('wrong', 'base', { parameters: { num_ctx: '8k' } })
  server.derive('self', 'base', { system: 'One' })
  server.derive('self', 'self', { license: 'Two' })
  server.derive('broken', 'base', { system: 'Lost' })
  const lost = server.stored('broken').layers.find(({ mediaType }) => mediaType.endsWith('.system'))
  server.loseBlob(lost?.digest ?? '')
  server.install({ name: 'mine', layers: [weights(3)] })
  await copy(made, 'mine', 'mine:copy')
  server.install({ name: 'file', layers: [weights(4)], parentModel: 'weights.gguf' })
  server.install({ name: 'elsewhere', remoteHost: 'https://ollama.com:443', remoteModel: 'gpt:120b' })
  const { stdout } = await made.run(0, 'init', '--from-installed')
  assert.match(stdout, /^Wrote ollama\.config\.ts with 1 model, as installed\.\n8 more are installed but not declared/)
  const { models, keep } = await declaredBy(made)
  assert.deepEqual(models, ['base:latest'])
  assert.deepEqual(keep, [
    'broken:latest',
    'elsewhere:latest',
    'file:latest',
    'mine:copy',
    'mine:latest',
    'orphan:latest',
    'self:latest',
    'wrong:latest',
  ])
  const reasonOf = (name: string) => new RegExp(`// (.*)\n {4}'${name}:latest'`).exec(read(made))?.[1]
  assert.match(reasonOf('broken') ?? '', /^a part of it is missing/)
  assert.match(reasonOf('elsewhere') ?? '', /^made of a model that runs at https:\/\/ollama\.com/)
  assert.match(reasonOf('file') ?? '', /^built from the file "weights\.gguf"/)
  assert.match(reasonOf('mine') ?? '', /^its registry does not have it/)
  assert.match(reasonOf('orphan') ?? '', /^built from "gone:latest", which is not installed/)
  assert.match(reasonOf('self') ?? '', /^built from an earlier version of itself/)
  assert.match(reasonOf('wrong') ?? '', /^it cannot be declared: parameters\.num_ctx must be a whole number/)
  assert.deepEqual(remote.problems, [])
  await assertNothingToDo(made)
})

test('a base that is another version now is not declared as what it is not', async (t) => {
  const made = await host(t, [base], ['base'])
  made.server.derive('child', 'base', { system: 'S' })
  await copy(made, 'child', 'twin')
  const moved = { ...base, layers: [layer('model', makeGguf({ name: 'moved' }))] }
  made.server.install(moved)
  made.remote.publish(moved)
  await made.run(0, 'init', '--from-installed')
  assert.deepEqual(await declaredBy(made), { models: ['base:latest'], keep: ['child:latest', 'twin:latest'] })
  assert.match(read(made), /building it again from base:latest would change it: from: built from other weights/)
  assert.match(read(made), /a second name of child:latest, which is not declared/)
  await assertNothingToDo(made)
})

test('which of two names is the copy, the registry knows; without it two tags are two models', async (t) => {
  const models = [{ ...base, name: 'team/base:1' }, 'two:a', { name: 'two:b', layers: [weights(1)] }]
  const made = await host(t, models, ['team/base:1', 'two:b'])
  await copy(made, 'team/base:1', 'a')
  await copy(made, 'two:b', 'two:c')
  await copy(made, 'two:b', 'one')
  const declared = async (...flags: string[]) => {
    await made.run(0, 'init', '--from-installed', ...flags)
    const { models } = await declaredBy(made)
    await assertNothingToDo(made)
    rmSync(path.join(made.cwd, 'ollama.config.ts'))
    return models
  }
  const alias = (name: string, aliasOf: string) => ({ name, aliasOf })
  assert.deepEqual(await declared(), [
    'team/base:1',
    'two:b',
    alias('a:latest', 'team/base:1'),
    alias('one:latest', 'two:b'),
    alias('two:c', 'two:b'),
  ])
  const guessed = ['team/base:1', 'two:b', 'two:c', alias('a:latest', 'team/base:1'), alias('one:latest', 'two:b')]
  assert.deepEqual(await declared('--offline'), guessed)
})

test('a registry that speaks plain http only is declared so', async (t) => {
  const made = await host(t, ['r.example/team/x:1', 'base'], ['r.example/team/x:1', 'base'])
  const { cwd, remote, server } = made
  await initConfig({
    cwd,
    fromInstalled: true,
    host: server.url,
    env: { HOME: cwd },
    registryUrl: (name, insecure) => (insecure || name === 'registry.ollama.ai' ? remote.url : 'http://127.0.0.1:9'),
  })
  assert.deepEqual((await declaredBy(made)).models, ['base:latest', { name: 'r.example/team/x:1', insecure: true }])
  assert.match(read(made), /insecure: true \}, \/\/ its registry answered over plain http only\n/)
  await assertNothingToDo(made)
})

test('where nothing is installed an example is written', async (t) => {
  const { run, server } = await host(t, ['base'], [])
  const { stdout } = await run(0, 'init', '--from-installed')
  assert.ok(
    stdout.startsWith(`Wrote ollama.config.ts, a small example, since nothing is installed at ${server.url}.\n`),
  )
})

test('a host that does not answer is told of, and nothing is written', async (t) => {
  const cwd = tempFolder(t)
  const { code, stderr } = await runCli(['init', '--from-installed', '--host', '127.0.0.1:9'], { cwd })
  assert.equal(code, 1)
  assert.match(stderr, /127\.0\.0\.1:9/)
  assert.equal(existsSync(path.join(cwd, 'ollama.config.ts')), false)
})

test('a model directory is declared too, with its adapters', async (t) => {
  await openRegistry(t, { models: [base] })
  const cwd = tempFolder(t, {
    'ollama.config.json': { models: [{ name: 'tuned', from: 'base', adapters: 'lora.gguf', system: 'S' }] },
  })
  writeFileSync(path.join(cwd, 'lora.gguf'), makeGguf({ type: 'adapter' }))
  const run = async (...words: string[]) => {
    const result = await runCli([...words, '--store=models'], { cwd })
    assert.equal(result.code, 0, result.stdout + result.stderr)
    return result.stdout
  }
  await run('apply', '--yes')
  rmSync(path.join(cwd, 'ollama.config.json'))
  rmSync(path.join(cwd, '.home'), { recursive: true })
  assert.match(
    await run('init', '--from-installed'),
    /2 models, as installed\.\nNext: ollama-config plan --store=models\n$/,
  )
  const { config } = await loadConfig({ cwd })
  const [first, second] = config.models
  assert.equal(first, 'base:latest')
  assert.ok(typeof second === 'object' && typeof second.adapters === 'string')
  assert.ok(readFileSync(second.adapters).equals(readFileSync(path.join(cwd, 'lora.gguf'))))
  assert.match(await run('plan', '--detailed-exitcode'), /No changes/)
})

test('what a registry or a person put into names and texts stays text', async (t) => {
  const made = await host(t, [base], ['base'])
  const hostile = 'x\n*/ process.exit(7) //\u2028process.exit(7)'
  made.server.derive('told', 'base', {
    system: `\`}); process.exit(7) //${hostile}`,
    parameters: { [`a'b${hostile}`]: 1 },
  })
  made.server.install({ name: 'file', layers: [weights(4)], parentModel: `/a/${hostile}.gguf` })
  await made.run(0, 'init', '--from-installed')
  const { models, keep } = await declaredBy(made)
  assert.deepEqual(keep, ['file:latest'])
  assert.equal(models.length, 2)
  await assertNothingToDo(made)
})

test('a list is taken over with its comments, whatever wrote it', async (t) => {
  const list = '\ufeff# Mine\r\n\r\nmistral:7b   # small\nollama pull qwen3:8b\n- user/x\nMistral:7B\n\n# end\n\n'
  const cwd = tempFolder(t, { Ollamafile: list })
  const { stdout } = await runCli(['init'], { cwd })
  assert.equal(stdout, 'Wrote ollama.config.ts with the 3 models of Ollamafile.\nNext: ollama-config plan\n')
  const text = readFileSync(path.join(cwd, 'ollama.config.ts'), 'utf8')
  assert.match(
    text,
    /models: \[\n {4}\/\/ Mine\n\n {4}'mistral:7b', \/\/ small\n {4}'qwen3:8b',\n {4}'user\/x',\n\n {4}\/\/ end\n {2}\],/,
  )
  const { config } = await loadConfig({ cwd })
  assert.deepEqual(config.models, ['mistral:7b', 'qwen3:8b', 'user/x'])
  // Separators of lines that are none, as in what was copied from a page: no model may get lost.
  rmSync(path.join(cwd, 'ollama.config.ts'))
  writeFileSync(path.join(cwd, 'pasted.txt'), 'llama3:8b\u2028\nqwen3 # fast\u2029 one\ngemma3\n')
  assert.equal((await runCli(['init', '--from', 'pasted.txt'], { cwd })).code, 0)
  assert.deepEqual((await loadConfig({ cwd })).config.models, ['llama3:8b', 'qwen3', 'gemma3'])
  // Addresses of pages.
  const pages =
    'https://ollama.com/library/qwen3:8b # good\nqwen3:8b\nhttps://huggingface.co/org/repo/tree/main\nhuggingface.co/a/b\n'
  rmSync(path.join(cwd, 'ollama.config.ts'))
  writeFileSync(path.join(cwd, 'pages.txt'), pages)
  assert.equal((await runCli(['init', '--from', 'pages.txt'], { cwd })).code, 0)
  assert.deepEqual((await loadConfig({ cwd })).config.models, ['qwen3:8b', 'hf.co/org/repo', 'huggingface.co/a/b'])
  // What `ollama list` prints, as PowerShell saves it.
  const table = 'NAME              ID            SIZE    MODIFIED\nall-minilm:latest 1b226e2802db  45 MB   2 days ago\n'
  rmSync(path.join(cwd, 'ollama.config.ts'))
  writeFileSync(path.join(cwd, 'list.txt'), `\ufeff${table}`, 'utf16le')
  assert.equal((await runCli(['init', '--from', 'list.txt'], { cwd })).code, 0)
  assert.deepEqual((await loadConfig({ cwd })).config.models, ['all-minilm:latest'])
})

test('a list that is none is told line by line, and nothing is written', async (t) => {
  const cwd = tempFolder(t, { Ollamafile: 'qwen3:8b\nqwen3 8b\n# ok\na/b/c/d\n', 'ollama-models.txt': '# none\n' })
  const refused = async (pattern: RegExp, ...words: string[]) => {
    const { code, stderr } = await runCli(['init', ...words], { cwd })
    assert.equal(code, 3)
    assert.match(stderr, pattern)
    assert.equal(existsSync(path.join(cwd, 'ollama.config.ts')), false)
  }
  await refused(/two lists here: Ollamafile and ollama-models\.txt\n.*--from Ollamafile/)
  await refused(/Found 2 lines in "Ollamafile"[\s\S]*line 2: .*"qwen3 8b"[\s\S]*line 4: /, '--from', 'Ollamafile')
  await refused(/no model in "ollama-models\.txt"/, '--from', 'ollama-models.txt')
  writeFileSync(path.join(cwd, 'Modelfile'), 'PARAMETER num_ctx 8192\nfrom qwen3:8b\nSYSTEM Hello\n')
  await refused(/"Modelfile" is a Modelfile, .*\n.*modelfile: '\.\/Modelfile' \}/, '--from', 'Modelfile')
  await refused(/nowhere\.txt" is not there/, '--from', 'nowhere.txt')
  await refused(/is no file/, '--from', '.')
  await refused(/both asked for/, '--from', 'Ollamafile', '--from-installed')
  await refused(/--host is for what is installed/, '--from', 'Ollamafile', '--host', 'x')
  await refused(/no package\.json, deno\.json/, '--from', 'Ollamafile', '--scripts')
})

test('nothing is ever replaced', { skip: process.platform === 'win32' ? 'links need rights' : false }, async (t) => {
  for (const name of ['ollama.config.json', 'ollama.config.mjs', 'ollama.config.ts']) {
    const cwd = tempFolder(t, { [name]: 'mine' })
    await assert.rejects(initConfig({ cwd }), (error) => isOllamaConfigError(error) && error.code === 'config-exists')
    assert.equal(readFileSync(path.join(cwd, name), 'utf8'), 'mine')
  }
  const cwd = tempFolder(t)
  symlinkSync(path.join(cwd, 'elsewhere.ts'), path.join(cwd, 'ollama.config.ts'))
  const { code, stderr } = await runCli(['init'], { cwd })
  assert.equal(code, 3)
  assert.match(stderr, /There is a config already: .*ollama\.config\.ts/)
  assert.equal(existsSync(path.join(cwd, 'elsewhere.ts')), false)
})

test('a config further up that no longer counts is named', async (t) => {
  const root = tempFolder(t, { '.git': '', 'ollama.config.json': { models: [] } })
  const cwd = path.join(root, 'a', 'b')
  mkdirSync(cwd, { recursive: true })
  const above = path.join(root, 'ollama.config.json')
  assert.equal(
    (await runCli(['init'], { cwd })).stdout,
    `Wrote ollama.config.ts, a small example.\nIts folder no longer uses ${above}; to go back to that, delete the new file.\nNext: ollama-config plan\n`,
  )
  assert.equal((await loadConfig({ cwd })).file, path.join(cwd, 'ollama.config.ts'))
  rmSync(path.join(cwd, 'ollama.config.ts'))
  rmSync(above)
  assert.equal((await initConfig({ cwd })).hides, null)
})

test('in a package that says it is CommonJS, the config passes the strictest compiler', async (t) => {
  const root = tempFolder(t, { 'package.json': { type: 'commonjs' } })
  symlinkSync(
    fileURLToPath(new URL('../../node_modules', import.meta.url)),
    path.join(root, 'node_modules'),
    'junction',
  )
  const cwd = path.join(root, 'a')
  mkdirSync(cwd)
  assert.match((await runCli(['init'], { cwd })).stdout, /^Wrote ollama\.config\.mts, /)
  assert.equal((await loadConfig({ cwd })).file, path.join(cwd, 'ollama.config.mts'))
  writeFileSync(
    path.join(root, 'self.d.ts'),
    "declare module 'ollama-config' { export function defineConfig<T>(config: T): T }",
  )
  const options = { module: 'nodenext', verbatimModuleSyntax: true, noEmit: true, types: [] }
  writeFileSync(path.join(root, 'tsconfig.json'), JSON.stringify({ compilerOptions: options }))
  const tsc = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url))
  const node = 'Deno' in globalThis || 'Bun' in globalThis ? 'node' : process.execPath
  execFileSync(node, [tsc, '-p', root])
})

test('only that makes it .mts', async (t) => {
  for (const manifest of ['{}', '{"type":"module"}', '{"type":']) {
    const { file } = await initConfig({ cwd: tempFolder(t, { 'package.json': manifest }) })
    assert.equal(path.basename(file ?? ''), 'ollama.config.ts')
  }
})

test('the example loads as it is, and so does all that it shows', async (t) => {
  const cwd = tempFolder(t)
  const file = path.join(cwd, 'ollama.config.ts')
  await initConfig({ cwd })
  assert.deepEqual((await loadConfig({ cwd })).config, { models: ['all-minilm'] })
  writeFileSync(file, readFileSync(file, 'utf8').replaceAll(/^(\s*)\/\/ (?=\{|'|\w+:.*,$)/gm, '$1'))
  const { config } = await loadConfig({ cwd })
  assert.equal(config.models.length, 4)
  assert.deepEqual([config.keep, config.prune], [['llava', 'user/*'], 'managed'])
})

test('scripts are added where none are, also to a config that is there', async (t) => {
  const cwd = tempFolder(t, { 'package.json': '{\n    "scripts": { "models:plan": "mine" }\n}' })
  const first = await runCli(['init', '--scripts'], { cwd })
  assert.match(
    first.stdout,
    /package\.json has models:plan already: left as it is\.\nAdded models:apply, models:check to "scripts"/,
  )
  assert.equal(
    readFileSync(path.join(cwd, 'package.json'), 'utf8'),
    '{\n    "scripts": { "models:plan": "mine", "models:apply": "ollama-config apply", "models:check": "ollama-config check" }\n}',
  )
  const again = await runCli(['init', '--scripts'], { cwd })
  assert.equal(again.code, 0)
  assert.doesNotMatch(again.stdout, /Wrote|Added/)

  const deno = tempFolder(t, { 'deno.jsonc': '{ // mine\n}' })
  const { stdout } = await runCli(['init', '--scripts'], { cwd: deno })
  assert.match(stdout, /Add to its "tasks":\n {2}"models:plan": "deno run .* npm:ollama-config plan",\n/)
  assert.equal(readFileSync(path.join(deno, 'deno.jsonc'), 'utf8'), '{ // mine\n}')
})

test('in a folder where nothing is installed, the bare command leads to a config that loads', async (t) => {
  const cwd = tempFolder(t)
  const run = async (...words: string[]) => {
    const result = await spawnCli(words, { cwd }).done
    assert.equal(result.code, 0, result.stderr)
    return result.stdout
  }
  const next = (text: string) => /^ {2}ollama-config (\w+) /m.exec(text)?.[1] ?? ''
  const bare = await run()
  assert.equal(next(bare), 'init')
  assert.ok(bare.includes('  ollama-config demo '))
  assert.match(await run(next(bare)), /Next: ollama-config plan\n$/)
  const then = await run()
  assert.match(then, /Found ollama\.config\.ts\./)
  assert.equal(next(then), 'plan')
  assert.match(await run('plan', '--config-only'), /is fine\. It declares 1 model:/)
})

test('of several at once one writes the config, and the others say that there is one', async (t) => {
  const cwd = tempFolder(t)
  const results = await Promise.allSettled([1, 2, 3, 4].map(() => initConfig({ cwd })))
  const codes = results.flatMap((result) => (result.status === 'rejected' ? [result.reason.code] : []))
  assert.deepEqual(codes, ['config-exists', 'config-exists', 'config-exists'])
})

test('scripts are not added to what is no file, nor over what somebody else wrote meanwhile', posixOnly, async (t) => {
  const pipe = tempFolder(t)
  execFileSync('mkfifo', [path.join(pipe, 'package.json')])
  await assert.rejects(prepareScripts(pipe), { code: 'usage', message: /is no file$/ })
  const cwd = tempFolder(t, { 'package.json': '{}' })
  const prepared = await prepareScripts(cwd)
  writeFileSync(path.join(cwd, 'package.json'), '{ "name": "mine" }')
  await assert.rejects(prepared.write(), { code: 'file-not-written', message: /changed by somebody else/ })
  assert.equal(readFileSync(path.join(cwd, 'package.json'), 'utf8'), '{ "name": "mine" }')
})
