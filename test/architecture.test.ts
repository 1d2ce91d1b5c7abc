/** Holds down which folder may import which, and what the start of the CLI may cost. Prints the chain that breaks a rule. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = path.resolve(fileURLToPath(new URL('..', import.meta.url)))

interface Import {
  readonly specifier: string
  readonly dynamic: boolean
  readonly typeOnly: boolean
}

const sources = readdirSync(path.join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => `src/${file.split(path.sep).join('/')}`)
  .sort()

const importsOf = new Map(sources.map((file) => [file, readImports(readFileSync(path.join(root, file), 'utf8'))]))

function readImports(text: string): readonly Import[] {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '')
  const clause =
    /^(?:import|export)\s+(type\s+)?(?:(?:\{[^}]*\}|\*(?:\s+as\s+\w+)?|\w+)(?:\s*,\s*\{[^}]*\})?\s+from\s+)?'([^']+)'/gm
  const statements = [...code.matchAll(clause)].map(([, type, specifier = '']) => ({
    specifier,
    dynamic: false,
    typeOnly: type !== undefined,
  }))
  const calls = [...code.matchAll(/\bimport\(\s*'([^']+)'/g)].map(([, specifier = '']) => ({
    specifier,
    dynamic: true,
    typeOnly: false,
  }))
  return [...statements, ...calls]
}

function target(from: string, specifier: string): string {
  return specifier.startsWith('.') ? path.posix.join(path.posix.dirname(from), specifier) : specifier
}

/** The layer of a file: its folder under `src`, or its own name for the few files that stand there. */
const layer = (file: string): string => file.split('/')[1] ?? ''

/** What each layer may import besides itself. The way goes from the CLI down to the words; nothing looks back up. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  'errors.ts': [],
  'suggest.ts': [],
  'json.ts': [],
  'shape.ts': ['artifact'],
  'version.ts': [],
  artifact: ['errors.ts'],
  runtime: ['artifact', 'errors.ts'],
  plan: ['artifact', 'shape.ts', 'suggest.ts', 'errors.ts'],
  // The contract of plugins: types of what they are given, and what they need to compare and to quote names.
  'plugin.ts': ['config', 'backend', 'plan', 'artifact', 'runtime', 'errors.ts'],
  config: ['plugin.ts', 'plan', 'artifact', 'runtime', 'suggest.ts', 'json.ts', 'errors.ts'],
  plugins: ['plugin.ts', 'config', 'artifact', 'runtime', 'suggest.ts', 'shape.ts', 'errors.ts'],
  registry: ['artifact', 'runtime', 'errors.ts'],
  record: ['artifact', 'runtime', 'json.ts', 'shape.ts', 'errors.ts'],
  transfer: ['registry', 'artifact', 'runtime', 'errors.ts'],
  store: ['artifact', 'runtime', 'errors.ts'],
  backend: ['store', 'transfer', 'registry', 'plan', 'artifact', 'runtime', 'errors.ts'],
  demo: ['artifact', 'runtime'],
  setup: ['artifact', 'runtime', 'errors.ts'],
  doctor: ['backend', 'store', 'plan', 'artifact', 'runtime', 'errors.ts'],
  apply: ['backend', 'plan', 'artifact', 'runtime', 'errors.ts'],
  resolution: ['backend', 'store', 'registry', 'record', 'plan', 'artifact', 'runtime', 'errors.ts'],
  init: ['config', 'backend', 'plan', 'artifact', 'json.ts', 'errors.ts'],
  runner: [
    'plugin.ts',
    'plugins',
    'init',
    'config',
    'apply',
    'doctor',
    'setup',
    'resolution',
    'backend',
    'store',
    'transfer',
    'registry',
    'record',
    'plan',
    'artifact',
    'runtime',
    'suggest.ts',
    'errors.ts',
  ],
  'runner.ts': ['runner'],
  'index.ts': ['runner.ts', 'plugin.ts', 'plugins', 'config', 'apply', 'record', 'plan', 'runtime', 'errors.ts'],
  cli: [
    'runner.ts',
    'config',
    'apply',
    'demo',
    'plan',
    'artifact',
    'runtime',
    'suggest.ts',
    'json.ts',
    'errors.ts',
    'version.ts',
  ],
}

test('imports run one way', () => {
  const broken: string[] = []
  for (const [file, imports] of importsOf) {
    for (const { specifier } of imports) {
      if (!specifier.startsWith('.')) continue
      const to = target(file, specifier)
      if (!importsOf.has(to)) broken.push(`${file} → ${specifier}: there is no such file`)
      else if (layer(to) !== layer(file) && !(allowed[layer(file)] ?? []).includes(layer(to)))
        broken.push(`${file} → ${to}`)
    }
  }
  assert.deepEqual(broken, [])
})

test('pure folders import nothing of the machine, and take neither time nor chance', () => {
  const broken: string[] = []
  for (const file of sources.filter((name) => /^src\/(artifact|plan|init)\//.test(name))) {
    for (const { specifier } of importsOf.get(file) ?? [])
      if (!specifier.startsWith('.')) broken.push(`${file} → ${specifier}`)
    const found = /\b(Date\.now|new Date|Math\.random|process\.|setTimeout|performance\.)/.exec(
      readFileSync(path.join(root, file), 'utf8'),
    )
    if (found !== null) broken.push(`${file} uses ${found[0]}`)
  }
  assert.deepEqual(broken, [])
})

test('each package is imported by one file', () => {
  const homes: Readonly<Record<string, string>> = {
    'cosmiconfig/dist/Explorer.js': 'src/config/search.ts',
    'tsx/esm/api': 'src/config/tsx.ts',
    valibot: 'src/config/schema.ts',
    'ollama/browser': 'src/backend/ollama-client.ts',
    listr2: 'src/cli/views/tasks.ts',
  }
  const broken: string[] = []
  for (const [file, imports] of importsOf) {
    for (const { specifier } of imports) {
      if (specifier.startsWith('.') || specifier.startsWith('node:')) continue
      if (homes[specifier] !== file) broken.push(`${file} → ${specifier}`)
    }
  }
  assert.deepEqual(broken, [])
})

test('only the CLI and the composition root touch the process', () => {
  const may = /^src\/(cli\/main|runner\/\w+)\.ts$/
  const broken = sources.filter((file) => {
    // Comments and texts may speak of it.
    const code = readFileSync(path.join(root, file), 'utf8').replaceAll(
      /process\.getBuiltinModule|process\.versions|\/\*[\s\S]*?\*\/|'[^'\n]*'/g,
      '',
    )
    return !may.test(file) && /\bprocess\.(env|argv|exit|cwd|stdout|stderr|stdin|on)\b|\bconsole\./.test(code)
  })
  assert.deepEqual(broken, [])
})

/** Static imports cost at start, before a command knows whether it needs them. */
function chainTo(
  file: string,
  wanted: (specifier: string) => boolean,
  way: readonly string[] = [],
): readonly string[] | undefined {
  for (const { specifier, dynamic, typeOnly } of importsOf.get(file) ?? []) {
    if (dynamic || typeOnly) continue
    const to = target(file, specifier)
    if (wanted(specifier)) return [...way, file, specifier]
    if (way.includes(to) || to === file) continue
    const chain = importsOf.has(to) ? chainTo(to, wanted, [...way, file]) : undefined
    if (chain !== undefined) return chain
  }
  return undefined
}

test('first-party plugins import what any other plugin can', () => {
  const folder = path.join(root, 'plugins')
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  assert.ok(files.length > 0)
  const broken = files.flatMap((file) =>
    readImports(readFileSync(path.join(folder, file), 'utf8'))
      // Of the public entry points, and of nothing else outside of its folder.
      .filter(({ specifier, typeOnly }) =>
        specifier === '../../src/index.ts'
          ? !typeOnly
          : !/^(?:\.\.\/\.\.\/src\/plugin\.ts|\.\/[\w-]+\.ts|valibot)$/.test(specifier),
      )
      .filter(({ specifier }) => !(file.endsWith('example.config.ts') && /^ollama-config(?:\/|$)/.test(specifier)))
      .map(({ specifier }) => `plugins/${file} → ${specifier}`),
  )
  assert.deepEqual(broken, [])
})

test('built-in modules are not imported dynamically: in the build that would give a default export alone', () => {
  const broken = [...importsOf].flatMap(([file, imports]) =>
    imports
      .filter(({ specifier, dynamic }) => dynamic && specifier.startsWith('node:'))
      .map(({ specifier }) => `${file} → ${specifier}`),
  )
  assert.deepEqual(broken, [])
})

test('what a command imports at start is light', () => {
  const heavy = (specifier: string) =>
    /^(cosmiconfig|tsx|valibot|ollama|listr2)(\/|$)/.test(specifier) ||
    /^node:(http|https|crypto|readline)$/.test(specifier)
  for (const start of [
    'src/cli/main.ts',
    'src/cli/run.ts',
    'src/cli/commands/plan.ts',
    'src/cli/commands/apply.ts',
    'src/cli/commands/check.ts',
    'src/cli/commands/update.ts',
    'src/cli/commands/outdated.ts',
    'src/cli/commands/lock.ts',
    'src/index.ts',
  ]) {
    assert.deepEqual(chainTo(start, heavy) ?? [], [], `${start} reaches a heavy import at start`)
  }
  // Planning asks the server by itself: the client and the tree are for apply.
  assert.deepEqual(chainTo('src/backend/http.ts', (specifier) => specifier.startsWith('ollama')) ?? [], [])
})

test('a config without plugins pays nothing for them', () => {
  const starts = ['src/index.ts', 'src/cli/main.ts', 'src/runner.ts', 'src/config/resolve.ts', 'src/config/load.ts']
  const runtime = sources.filter((file) => file.startsWith('src/plugins/'))
  assert.ok(runtime.length > 0)
  // Read with the names of files: what is wanted is told by specifier.
  const isRuntime = (specifier: string) => specifier.startsWith('.') && /\/plugins\/[a-z-]+\.ts$/.test(specifier)
  for (const start of starts) assert.deepEqual(chainTo(start, isRuntime) ?? [], [], start)
})

test('the test server shares no code with the product', () => {
  const support = readdirSync(path.join(root, 'test/support'), { recursive: true, encoding: 'utf8' }).filter(
    (file) => /^ollama-server/.test(file) && file.endsWith('.ts'),
  )
  assert.ok(support.length > 0)
  for (const file of support.filter((name) => !name.endsWith('.test.ts'))) {
    assert.doesNotMatch(readFileSync(path.join(root, 'test/support', file), 'utf8'), /from '[./]*\/src\//, file)
  }
})

test('the version in the code is that of package.json', async () => {
  const { version } = await import('../src/version.ts')
  assert.equal(JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')).version, version)
})
