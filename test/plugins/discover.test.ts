import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { discoverPlugins } from '../../src/plugins/discover.ts'
import { runCli, tempFolder } from '../support/run-cli.ts'

function pluginFile(name: string, more = ''): string {
  return `import { definePlugin } from 'ollama-config'\nexport default definePlugin({ apiVersion: 1, name: '${name}'${more} })\n`
}

/** A folder with files in folders. */
function write(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true })
    writeFileSync(path.join(folder, name), content)
  }
}

async function discover(cwd: string, folder = './plugins') {
  const { found, problems } = await discoverPlugins(folder, { cwd, hookTimeoutMs: 5000 })
  return {
    found: found.map(({ plugin, path: file }) => `${plugin.spec.name} ${file}`),
    problems: problems.map(({ code, path: file, message }) => `${code} ${file}: ${message}`),
  }
}

test('plugins are found in the folder itself, in TypeScript and JavaScript, sorted by code unit', async (t) => {
  const cwd = tempFolder(t)
  write(cwd, {
    'plugins/b.plugin.ts': `${pluginFile('b')}const typed: number = 1\nexport const more = typed\n`,
    'plugins/Z.plugin.js': pluginFile('z'),
    'plugins/a/index.ts': pluginFile('a'),
    'plugins/a/other.plugin.ts': 'throw new Error("not to be run")',
    'plugins/c/index.js': pluginFile('c'),
    'plugins/c/deeper/index.js': 'throw new Error("not to be run")',
    'plugins/plugin.ts': 'throw new Error("not to be run")',
    'plugins/index.ts': 'throw new Error("not to be run")',
    'plugins/.hidden.plugin.ts': 'throw new Error("not to be run")',
    'plugins/node_modules/index.js': 'throw new Error("not to be run")',
    'plugins/both.plugin.ts': pluginFile('both'),
    'plugins/both.plugin.js': 'throw new Error("not to be run")',
    'plugins/README.md': 'plugins',
  })
  assert.deepEqual(await discover(cwd), {
    found: [
      'z plugins/Z.plugin.js',
      'a plugins/a/index.ts',
      'b plugins/b.plugin.ts',
      'both plugins/both.plugin.ts',
      'c plugins/c/index.js',
    ],
    problems: [],
  })
})

test('a plugin may be exported with its config, and import from beside it', async (t) => {
  const cwd = tempFolder(t)
  write(cwd, {
    'plugins/a/index.ts': `import { name } from './name.ts'\n${pluginFile('x').replace("'x'", 'name').replace(/\)\n$/, ')()\n')}`,
    'plugins/a/name.ts': 'export const name: string = "named"\n',
  })
  assert.deepEqual(await discover(cwd), { found: ['named plugins/a/index.ts'], problems: [] })
})

test('one that is broken is named and does not hide the others', async (t) => {
  const cwd = tempFolder(t)
  write(cwd, {
    'plugins/a.plugin.ts': pluginFile('a'),
    'plugins/empty.plugin.ts': pluginFile('empty').replace(/definePlugin\(.*\)/s, 'definePlugin(undefined)()'),
    'plugins/number.plugin.ts': 'export default 1\n',
    'plugins/nothing.plugin.ts': 'export const x = 1\n',
    'plugins/spec.plugin.ts': pluginFile('spec', ', reveiw: () => []'),
    'plugins/syntax.plugin.ts': 'export default {\n',
    'plugins/throws.plugin.ts': 'throw new Error("no luck")\n',
    'plugins/z/index.ts': pluginFile('z'),
  })
  const { found, problems } = await discover(cwd)
  assert.deepEqual(found, ['a plugins/a.plugin.ts', 'z plugins/z/index.ts'])
  assert.deepEqual(
    problems.map((text) => text.replace(/(?<=failed: ).*/s, '…')),
    [
      'invalid-plugin plugins/empty.plugin.ts: plugins/empty.plugin.ts has no description: found undefined',
      'plugin-failed plugins/nothing.plugin.ts: plugins/nothing.plugin.ts: loading it failed: …',
      'invalid-plugin plugins/number.plugin.ts: plugins/number.plugin.ts exports no plugin: found 1',
      'invalid-plugin plugins/spec.plugin.ts: plugins/spec.plugin.ts (spec) has a key or hook that is not known: "reveiw"',
      'plugin-failed plugins/syntax.plugin.ts: plugins/syntax.plugin.ts: loading it failed: …',
      'plugin-failed plugins/throws.plugin.ts: plugins/throws.plugin.ts: loading it failed: …',
    ],
  )
  assert.match(problems[1] ?? '', /has no default export/)
  assert.match(problems[4] ?? '', /Syntax error in .*syntax\.plugin\.ts:/)
  assert.match(problems[5] ?? '', /no luck/)
})

test('what lies outside of the folder of the config is refused, also behind a link', async (t) => {
  const outside = tempFolder(t)
  write(outside, {
    'x.plugin.js': 'throw new Error("not to be run")',
    'folder/index.js': 'throw new Error("not to be run")',
  })
  const cwd = tempFolder(t)
  write(cwd, { 'plugins/a.plugin.js': pluginFile('a'), 'shared/b.plugin.js': pluginFile('b') })
  symlinkSync(path.join(outside, 'x.plugin.js'), path.join(cwd, 'plugins/x.plugin.js'))
  symlinkSync(path.join(outside, 'folder'), path.join(cwd, 'plugins/y'))
  symlinkSync(path.join(cwd, 'shared/b.plugin.js'), path.join(cwd, 'plugins/b.plugin.js'))
  symlinkSync(path.join(cwd, 'nowhere.js'), path.join(cwd, 'plugins/c.plugin.js'))
  symlinkSync(outside, path.join(cwd, 'linked'))
  assert.deepEqual(await discover(cwd), {
    found: ['a plugins/a.plugin.js', 'b plugins/b.plugin.js'],
    problems: [
      'invalid-plugin plugins/c.plugin.js: plugins/c.plugin.js is a link that leads nowhere',
      'invalid-plugin plugins/x.plugin.js: plugins/x.plugin.js is a link that leads outside of the folder of the config',
      'invalid-plugin plugins/y/index.js: plugins/y/index.js is a link that leads outside of the folder of the config',
    ],
  })
  for (const folder of ['..', outside, './linked', path.join(cwd, '..', path.basename(outside))]) {
    const { found, problems } = await discover(cwd, folder)
    assert.deepEqual(found, [])
    assert.match(problems.join(), /^invalid-plugin discover: discover names ".*", which lies outside/)
  }
})

test('a folder whose name begins with dots lies inside, and one that is none is told', async (t) => {
  const cwd = tempFolder(t, { file: '' })
  write(cwd, { '..plugins/a.plugin.js': pluginFile('a') })
  assert.deepEqual((await discover(cwd, '..plugins')).found, ['a ..plugins/a.plugin.js'])
  assert.match((await discover(cwd, 'nope')).problems.join(), /"nope", and there is no such folder/)
  assert.match((await discover(cwd, 'file')).problems.join(), /"file", which is no folder/)
})

test('a folder that cannot be read is told', {
  skip: process.platform === 'win32' || (process.getuid?.() === 0 && typeof process.seteuid !== 'function'),
}, async (t) => {
  const cwd = tempFolder(t)
  write(cwd, { 'plugins/a.plugin.js': pluginFile('a') })
  chmodSync(cwd, 0o755)
  chmodSync(path.join(cwd, 'plugins'), 0)
  // Permissions do not hold root back.
  const isRoot = process.getuid?.() === 0
  if (isRoot) process.seteuid?.(65534)
  try {
    assert.deepEqual(await discover(cwd), {
      found: [],
      problems: ['invalid-plugin discover: discover names "./plugins", which cannot be searched (EACCES)'],
    })
  } finally {
    if (isRoot) process.seteuid?.(0)
    chmodSync(path.join(cwd, 'plugins'), 0o755)
  }
})

test('a file that never ends to load is given up', async (t) => {
  const cwd = tempFolder(t)
  write(cwd, {
    'plugins/a.plugin.js': 'await new Promise(() => setTimeout(() => {}, 1e6).unref())\nexport default 1\n',
  })
  const { problems } = await discoverPlugins('plugins', { cwd, hookTimeoutMs: 500 })
  assert.deepEqual(
    problems.map(({ code, message }) => `${code}: ${message}`),
    ['plugin-timeout: plugins/a.plugin.js: loading it was not done after 0.5 s'],
  )
})

test('an interruption ends the search', async (t) => {
  const cwd = tempFolder(t)
  write(cwd, { 'plugins/a.plugin.js': pluginFile('a') })
  const reason = new Error('interrupted')
  await assert.rejects(discoverPlugins('plugins', { cwd, signal: AbortSignal.abort(reason) }), reason)
})

// --- ollama-config plugins ----------------------------------------------------------------------------------------

const config = (more: string) => `
  import { definePlugin, defineConfig } from 'ollama-config'
  const own = definePlugin({ apiVersion: 1, name: 'own', probe: () => [], declare: () => [] })
  export default defineConfig({ models: [], plugins: [own()], ${more} })
`

test('plugins lists those of the config and those of the folder, and runs nothing else', async (t) => {
  const cwd = tempFolder(t, { 'ollama.config.ts': config("discover: './plugins'") })
  write(cwd, {
    'plugins/house.plugin.ts': pluginFile('house', ", models: ['qwen3:8b', 'user/*'], details: () => ({})"),
    'plugins/own.plugin.ts': pluginFile('own'),
  })
  const { code, stdout } = await runCli(['plugins'], { cwd })
  assert.equal(code, 0)
  assert.equal(
    stdout,
    [
      'NAME   FROM                     MODELS            HOOKS',
      'own    config                   -                 declare, probe',
      'house  plugins/house.plugin.ts  qwen3:8b, user/*  details',
      '',
      '2 plugins.',
      '',
    ].join('\n'),
  )
})

test('plugins tells what is broken, lists the others and ends with 1', async (t) => {
  const cwd = tempFolder(t, { 'ollama.config.ts': config("discover: './plugins'") })
  write(cwd, {
    'plugins/a.plugin.ts': pluginFile('same'),
    'plugins/b.plugin.ts': pluginFile('same'),
    'plugins/c.plugin.ts': 'export default 1\n',
  })
  const { code, stdout } = await runCli(['plugins', '--json'], { cwd })
  assert.equal(code, 1)
  const list = JSON.parse(stdout)
  assert.deepEqual(
    list.plugins.map(({ name, from }: { name: string; from: string }) => `${name} ${from}`),
    ['own config', 'same plugins/a.plugin.ts'],
  )
  assert.deepEqual(
    list.diagnostics.map(({ code: of, path: file }: { code: string; path: string }) => `${of} ${file}`),
    ['invalid-plugin plugins/c.plugin.ts', 'duplicate-plugin plugins/b.plugin.ts'],
  )
  assert.match((await runCli(['plugins'], { cwd })).stdout, /x plugins\/c\.plugin\.ts exports no plugin: found 1/)
})

test('plugins without discover searches nowhere', async (t) => {
  const cwd = tempFolder(t, { 'ollama.config.ts': config('') })
  write(cwd, { 'plugins/a.plugin.ts': 'throw new Error("not to be run")' })
  assert.match((await runCli(['plugins'], { cwd })).stdout, /\n1 plugin\.\n$/)
  const none = tempFolder(t, { 'ollama.config.json': { models: [] } })
  assert.deepEqual(await runCli(['plugins'], { cwd: none }), { code: 0, stdout: 'No plugins.\n', stderr: '' })
})
