import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmod, cp, mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, describe, it } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import fc from 'fast-check'
import { codeFrame } from '../../src/config/frame.ts'
import { missingExport } from '../../src/config/import-error.ts'
import { loadConfigFile } from '../../src/config/load.ts'
import { isOllamaConfigError, type OllamaConfigError } from '../../src/errors.ts'
import { parseJson } from '../../src/json.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const fixtures = join(root, 'test/fixtures/config')
const isDeno = 'Deno' in globalThis
// Deno wants file names as they are, knows no tsconfig paths, and reads .js in a package without "type" as a module: by design.
const nodeOnly = isDeno ? 'Node resolves this, Deno does not' : false

const noQuestionMarks = process.platform === 'win32' ? 'no file of Windows has one in its name' : false

const top = await realpath(await mkdtemp(join(tmpdir(), 'ollama-config-load-')))
after(() => rm(top, { recursive: true, force: true }))
let folders = 0

/** A copy of a fixture in a folder of its own, far from any package.json but the one given. */
async function copyOf(fixture: string, options: { name?: string; type?: string } = {}): Promise<string> {
  const folder = join(top, String(++folders), options.name ?? 'project')
  await cp(join(fixtures, fixture), folder, { recursive: true })
  if (options.type !== undefined)
    await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'project', type: options.type }))
  return folder
}

async function write(file: string, text: string): Promise<string> {
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, text)
  return file
}

async function failureOf(file: string): Promise<OllamaConfigError & { details: Record<string, unknown> }> {
  const error: unknown = await loadConfigFile(file).then(
    () => assert.fail(`loaded ${file}`),
    (reason: unknown) => reason,
  )
  assert.ok(isOllamaConfigError(error), String(error))
  assert.equal(error.code, 'config-load-failed')
  assert.doesNotMatch(error.message, /\n|\?ollama-config|tsx-namespace/)
  return Object.assign(error, { details: error.details ?? {} })
}

describe('a TypeScript config, with top-level await, a local import and this package, installed nowhere', () => {
  for (const type of ['module', 'commonjs', undefined]) {
    it(`in a package with "type": ${type ?? 'nothing said'}`, async () => {
      const folder = await copyOf('basic', type === undefined ? {} : { type })
      assert.deepEqual(await loadConfigFile(join(folder, 'ollama.config.ts')), { models: ['all-minilm'], keep: [] })
    })
  }

  it('as .mts', async () => {
    const folder = await copyOf('basic', { type: 'commonjs' })
    await cp(join(folder, 'ollama.config.ts'), join(folder, 'ollama.config.mts'))
    assert.deepEqual(await loadConfigFile(join(folder, 'ollama.config.mts')), { models: ['all-minilm'], keep: [] })
  })

  for (const name of [
    'with space',
    'späce-模型-🦙',
    '#1',
    '100%',
    '50%20off',
    'a&b=c',
    "o'brien; $x",
    'why?',
    'a?b%3Fc#d',
    '(x)[y]{z}',
  ]) {
    it(`in a folder called ${name}`, { skip: name.includes('?') && noQuestionMarks }, async () => {
      const folder = await copyOf('basic', { name })
      assert.deepEqual(await loadConfigFile(join(folder, 'ollama.config.ts')), { models: ['all-minilm'], keep: [] })
    })
  }

  it('behind a symbolic link, from where its imports start', async () => {
    const folder = await copyOf('basic')
    const link = join(top, 'link.ts')
    await symlink(join(folder, 'ollama.config.ts'), link)
    assert.deepEqual(await loadConfigFile(link), { models: ['all-minilm'], keep: [] })
  })

  it('that exports a function which imports later', async () => {
    const folder = await copyOf('errors')
    const exported = await loadConfigFile(join(folder, 'later.ts'))
    await loadConfigFile(join(folder, 'ok.ts')) // Another load must not take anything away from it.
    assert.equal(typeof exported, 'function')
    assert.deepEqual(await (exported as () => Promise<unknown>)(), { models: ['ok'] })
  })
})

describe('imports', () => {
  for (const type of ['module', 'commonjs', undefined]) {
    it(`.js for .ts, no extension, JSON, an enum, in a package with "type": ${type ?? 'nothing said'}`, {
      skip: nodeOnly,
    }, async () => {
      const folder = await copyOf('extensions', type === undefined ? {} : { type })
      const config = await loadConfigFile(join(folder, 'ollama.config.ts'))
      assert.deepEqual(config, { models: ['one', 'two', 'three'], size: 4, await: 5 })
    })
  }

  it('paths of the tsconfig.json nearest to the config, not to the working directory', { skip: nodeOnly }, async () => {
    for (const folder of [await copyOf('paths'), await copyOf('paths')]) {
      await mkdir(join(folder, '.git'))
      assert.deepEqual(await loadConfigFile(join(folder, 'config/ollama.config.ts')), { models: ['from-paths'] })
    }
    // One without is not given what another one has.
    const plain = await copyOf('paths')
    await mkdir(join(plain, '.git'))
    await rm(join(plain, 'tsconfig.json'))
    await failureOf(join(plain, 'config/ollama.config.ts'))
  })

  it('no paths of a tsconfig.json outside the repository, or above a config in none', {
    skip: nodeOnly,
  }, async () => {
    const foreign = await copyOf('paths')
    await failureOf(join(foreign, 'config/ollama.config.ts'))
    await mkdir(join(foreign, 'config/.git'))
    await failureOf(join(foreign, 'config/ollama.config.ts'))
    await cp(join(foreign, 'config/ollama.config.ts'), join(foreign, 'ollama.config.ts'))
    assert.deepEqual(await loadConfigFile(join(foreign, 'ollama.config.ts')), { models: ['from-paths'] })
  })

  it('a package installed beside the config', { skip: nodeOnly }, async () => {
    const folder = await copyOf('errors')
    await write(join(folder, 'node_modules/dep/package.json'), '{ "name": "dep", "main": "main.js" }')
    await write(join(folder, 'node_modules/dep/main.js'), 'exports.dep = 1')
    const file = await write(join(folder, 'dep.ts'), "import { dep } from 'dep'\nexport default { dep }")
    assert.deepEqual(await loadConfigFile(file), { dep: 1 })
  })
})

describe('JavaScript', () => {
  for (const type of ['module', 'commonjs', undefined]) {
    it(`modules, also beside a .ts of the same name, with "type": ${type ?? 'nothing said'}`, {
      skip: isDeno && type === 'commonjs' ? nodeOnly : false,
    }, async () => {
      const folder = await copyOf('javascript', type === undefined ? {} : { type })
      assert.deepEqual(await loadConfigFile(join(folder, 'esm.js')), { models: ['js'] })
      assert.deepEqual(await loadConfigFile(join(folder, 'esm.mjs')), { models: ['js'] })
    })
  }

  it('CommonJS', { skip: nodeOnly }, async () => {
    const folder = await copyOf('javascript')
    assert.deepEqual(await loadConfigFile(join(folder, 'common.js')), { models: ['common'] })
    assert.deepEqual(Object.keys((await loadConfigFile(join(folder, 'common.cjs'))) as object), ['models', 'sep'])
  })
})

describe('JSON', () => {
  it('is parsed, with or without a byte order mark', async () => {
    const file = await write(join(top, 'json/ollama.config.json'), '\uFEFF{ "models": ["a"] }\n')
    assert.deepEqual(await loadConfigFile(file), { models: ['a'] })
  })

  it('tells where a mistake is', async () => {
    const error = await failureOf(join(await copyOf('errors'), 'broken.json'))
    assert.match(error.message, /^Syntax error in .*broken\.json:3:9: Expected a value but found "\]"$/)
    const frame = ['  1 | {', '  2 |   "models": ["a",', '> 3 |     "b",]', '    |         ^', '  4 | }']
    assert.equal(error.details['frame'], frame.join('\n'))
  })

  for (const [text, column, reason] of [
    ['', 1, 'Expected a value but found the end of the file'],
    ['{ "a": 1', 9, 'Expected "," or "}" but found the end of the file'],
    ["{ 'a': 1 }", 3, 'Expected a key in double quotes but found "\'"'],
    ['{ "a" 1 }', 7, 'Expected ":" but found "1"'],
    ['["\\x"]', 3, 'Expected an escape sequence of JSON but found "\\\\"'],
    ['["a]', 5, 'Expected the closing quote of a text but found the end of the file'],
    ['[01]', 3, 'Expected "," or "]" but found "1"'],
    ['{} // no', 4, 'Expected the end of the file but found "/"'],
    ['{ "a": undefined }', 8, 'Expected a value but found "u"'],
    ['{\u00a0"a": 1 }', 2, 'Expected a key in double quotes but found U+00A0'],
    ['[🦙]', 2, 'Expected a value but found "🦙"'],
    ['["a\tb"]', 4, 'Expected the closing quote of a text but found "\\t"'],
  ] as const) {
    it(`such as in ${JSON.stringify(text)}`, async () => {
      const error = await failureOf(await write(join(top, 'json/wrong.json'), text))
      assert.ok(error.message.endsWith(`wrong.json:1:${column}: ${reason}`), error.message)
    })
  }
})

describe('JSON made to be hard', () => {
  it('is refused when it is nested too deep, closed or not', async () => {
    const reason = 'Expected no more than 1000 levels of lists and objects but found'
    const [depth, line] = [300_000, '{"a":'.repeat(300_000)]
    for (const [text, column, found] of [
      ['['.repeat(depth) + ']'.repeat(depth), 1001, '['],
      ['['.repeat(depth), 1001, '['],
      [`${line}1${'}'.repeat(depth)}`, 5001, '{'],
    ] as const) {
      const error = await failureOf(await write(join(top, 'json/deep.json'), text))
      assert.ok(error.message.endsWith(`deep.json:1:${column}: ${reason} "${found}"`), error.message)
      assert.doesNotMatch(error.hint ?? '', /no comma/)
      assert.ok(String(error.details['frame']).length < 500)
    }
    const deepest = '['.repeat(1000) + ']'.repeat(1000)
    assert.ok('value' in parseJson(deepest))
    assert.ok('value' in parseJson(`[${'[{}],'.repeat(5000)}1]`))
  })

  it('is read when a string or a space is long, and its mistakes are told', async () => {
    const long = 'x'.repeat(30_000_000)
    const result = parseJson(`{"a":"${long}"}`)
    assert.ok('value' in result)
    const error = await failureOf(await write(join(top, 'json/long.json'), `{"a":"${long}",}`))
    assert.match(error.message, /long\.json:1:30000009: Expected a key in double quotes but found "}"$/)
    const frame = String(error.details['frame']).split('\n')
    assert.equal(frame[0]?.[frame[1]?.indexOf('^') ?? 0], '}')
    assert.ok((frame[0]?.length ?? 0) < 220)
    assert.deepEqual(parseJson(`[${' '.repeat(30_000_000)}`), {
      offset: 30_000_001,
      expected: 'a value',
      hint: 'JSON has no comments and no comma after the last item',
    })
  })

  it('means to the scanner what it means to JSON.parse', () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(), fc.constantFrom('', ',', '"', '\\', '}', '0', '\n'), (json, at, inserted) => {
        const offset = at % (json.length + 1)
        for (const text of [json, json.slice(0, offset) + inserted + json.slice(offset + 1)]) {
          let parsed: { value: unknown } | undefined
          try {
            parsed = { value: JSON.parse(text) }
          } catch {}
          const result = parseJson(text)
          assert.deepEqual('value' in result ? result : undefined, parsed, text)
        }
      }),
    )
  })

  it('is told of when it cannot be read', async () => {
    const folder = join(top, 'json/folder.json')
    await mkdir(folder, { recursive: true })
    const error = await failureOf(folder)
    assert.match(error.message, /^Cannot read the config file ".*folder\.json" \(\w+\)$/)
    assert.deepEqual(error.details, { file: folder })
  })

  it('is told of when this user may not read it', {
    skip:
      process.platform === 'win32' || (isRoot() && typeof process.seteuid !== 'function')
        ? 'takes a user with fewer rights'
        : false,
  }, async () => {
    await chmod(top, 0o755)
    const file = await write(join(top, 'json/secret.json'), '{}')
    await chmod(file, 0)
    const asRoot = isRoot()
    if (asRoot) process.seteuid?.(65534)
    try {
      assert.equal((await failureOf(file)).message, `Cannot read the config file "${file}" (EACCES)`)
    } finally {
      if (asRoot) process.seteuid?.(0)
    }
  })
})

function isRoot(): boolean {
  return process.geteuid?.() === 0
}

describe('a second load', () => {
  it('sees what changed in the config', async () => {
    const folder = await copyOf('errors')
    for (const text of ['one', 'two', 'three']) {
      const file = await write(join(folder, 'changing.ts'), `export default { models: ['${text}'] }`)
      assert.deepEqual(await loadConfigFile(file), { models: [text] })
    }
  })

  // Deno lets the loader into the imports of a config only where it needs help with this package's name.
  it('sees what changed in what it imports', async () => {
    const folder = await copyOf('basic')
    await loadConfigFile(join(folder, 'ollama.config.ts'))
    await write(join(folder, 'names.ts'), "export type Name = string\nexport const names = ['changed']")
    assert.deepEqual(await loadConfigFile(join(folder, 'ollama.config.ts')), { models: ['changed'], keep: [] })
  })

  it('recovers from a failure', async () => {
    const file = join(await copyOf('errors'), 'syntax.ts')
    await failureOf(file)
    await write(file, 'export default 1')
    assert.equal(await loadConfigFile(file), 1)
  })

  it('at the same time is a load of its own', async () => {
    const loads = await Promise.all([copyOf('basic'), copyOf('basic'), copyOf('errors')])
    const [a, b] = await Promise.all(
      loads.slice(0, 2).map((folder) => loadConfigFile(join(folder, 'ollama.config.ts'))),
    )
    assert.deepEqual(a, b)
  })
})

describe('what fails', () => {
  const syntax = ['  2 | ', '  3 | export default {', "> 4 | \tmodels: ['ä' 'b'],", '    | \t             ^', '  5 | }']
  for (const name of ['syntax.ts', 'syntax.mjs', 'syntax-below.ts']) {
    it(`a syntax error, with the place and the lines around: ${name}`, async () => {
      const folder = await copyOf('errors')
      const error = await failureOf(join(folder, name))
      const place = join(folder, name.replace('-below', ''))
      assert.ok(error.message.startsWith(`Syntax error in ${place}:4:15: Expected `), error.message)
      const { frame, ...details } = error.details
      assert.deepEqual(details, { file: place, line: 4, column: 15 })
      assert.equal(frame, syntax.map((line) => line.trimEnd()).join('\n'))
    })
  }

  it('a syntax error in a folder with a question mark', { skip: noQuestionMarks }, async () => {
    const folder = await copyOf('errors', { name: 'why?' })
    const error = await failureOf(join(folder, 'syntax.ts'))
    assert.equal(error.details['file'], join(folder, 'syntax.ts'))
    assert.equal(error.details['line'], 4)
  })

  it('a throw, with its place and its cause', async () => {
    const folder = await copyOf('errors')
    const error = await failureOf(join(folder, 'throws.ts'))
    assert.equal(error.message, `Cannot load ${join(folder, 'throws.ts')}:6:9: TypeError: no luck at all`)
    assert.match(String(error.details['frame']), /^> 6 .*throw new TypeError/m)
    assert.ok(error.cause instanceof TypeError)
    assert.deepEqual(error.cause.cause, { name: 'luck' })
  })

  it('a throw of something else than an error', async () => {
    const folder = await copyOf('errors')
    const error = await failureOf(join(folder, 'throws-text.ts'))
    assert.equal(error.message, `Cannot load ${join(folder, 'throws-text.ts')}: it threw "words"`)
    assert.equal(error.cause, 'words')
  })

  it('a file that the config reads and that is not there: never with a place inside of the runtime', async () => {
    const text = "import { readFile } from 'node:fs/promises'\nexport default await readFile('/no/such/file')\n"
    const file = await write(join(top, 'thrown/reads.ts'), text)
    const error = await failureOf(file)
    assert.equal(error.details['file'], file, error.message)
  })

  for (const [thrown, reason] of [
    ['10n', 'it threw 10n'],
    ['cyclic', 'it threw an object'],
    ['[cyclic]', 'it threw an array'],
    ['Object.create(null)', 'it threw {}'],
    ['Object.assign(Object.create(null), { toJSON() {} })', 'it threw an object'],
    ['Object.assign(Object.create(null), { message: 10n })', 'it threw an object'],
    ["Symbol('s')", 'it threw Symbol(s)'],
    ['undefined', 'it threw undefined'],
    ['new Proxy({}, { has() { throw 1 }, getPrototypeOf() { throw 1 } })', 'it threw something that cannot be shown'],
    ["Object.assign(new Error(), { message: Symbol('s') })", 'it threw something that cannot be shown'],
  ] as const) {
    // Deno reads what is thrown before it is caught here, and tells of its own failure at that.
    it(`a throw of ${thrown}`, { skip: reason.endsWith('cannot be shown') ? nodeOnly : false }, async () => {
      const file = await write(
        join(top, 'thrown', `${++folders}.ts`),
        `const cyclic: { self?: unknown } = {}\ncyclic.self = cyclic\nthrow ${thrown}\nexport default {}\n`,
      )
      const error = await failureOf(file)
      assert.equal(error.message, `Cannot load ${file}: ${reason}`)
    })
  }

  it('a throw of text that would change the terminal', async () => {
    const folder = await copyOf('errors')
    const text = String.raw`a\u001b]0;title\u0007b\u009b31mc\u202ed\u0085e`
    const file = await write(join(folder, 'escapes.ts'), `throw new Error('${text}' + '!'.repeat(5000))`)
    const { message } = await failureOf(file)
    assert.ok(message.includes(': abcd e!!!'), message)
    assert.ok(message.length < 1200)
  })

  it('in a file that would change the terminal, shown without that', async () => {
    const folder = await copyOf('errors')
    const file = await write(join(folder, 'raw.json'), '["\u009b31mred",\n\t"\u009b31m\u202ered" x,\n"\u001b[2J"]')
    const frame = ['  1 | ["red",', '> 2 | \t"red" x,', '    | \t      ^', '  3 | ""]']
    assert.equal((await failureOf(file)).details['frame'], frame.join('\n'))
  })

  for (const [name, place, reason, hint] of [
    ['missing-file.ts', '2:19', 'cannot find "./not-there.ts"', /path of the import/],
    ['missing-package.ts', '1:19', 'cannot find package "no-such-package/deep"', /npm install no-such-package$/],
    ['missing-export.ts', '1:22', '"./ok.ts" does not export "nope"', /name/],
    [
      'missing-plugin.ts',
      '1:15',
      'this ollama-config has no "ollama-config/plugins/no-such-plugin"',
      /name of the plugin/,
    ],
    ['missing-own.ts', '1:22', '"ollama-config" does not export "nope"', /version of ollama-config/],
  ] as const) {
    it(`an import that leads nowhere: ${name}`, async () => {
      const file = join(await copyOf('errors'), name)
      const error = await failureOf(file)
      assert.equal(error.message, `Cannot load ${file}:${place}: ${reason}`)
      assert.match(error.hint ?? '', hint)
      assert.match(String(error.details['frame']), /^> \d/m)
    })
  }

  it('an import that leads nowhere, beside one of the same name that leads somewhere', async () => {
    const folder = await copyOf('errors')
    await write(join(folder, 'shared', 'ok.ts'), 'export const x = 1\n')
    const failing = async (from: string) => {
      const name = from.replace(/[./]/g, '')
      const text = `import { x } from './shared/ok.ts'\nimport { nope } from '${from}'\nexport default { models: [x, nope] }\n`
      return (await failureOf(await write(join(folder, `of-${name}.ts`), text))).message.replace(/^.*:(?=2:)/, '')
    }
    assert.equal(await failing('./ok.ts'), '2:22: "./ok.ts" does not export "nope"')
    assert.equal(await failing('./sub/ok.ts'), '2:22: cannot find "./sub/ok.ts"')
  })

  it('an import behind a link, where the runtime names the file that the link leads to', async () => {
    const folder = await copyOf('errors')
    const file = await write(join(folder, 'linked.ts'), "import { nope } from './link/ok.ts'\n")
    // As Bun says it.
    const found = await missingExport(file, `Export named 'nope' not found in module '${join(folder, 'ok.ts')}'.`)
    assert.equal(found?.reason, '"./link/ok.ts" does not export "nope"')
    assert.deepEqual(found.place, { file, line: 1, column: 22 })
  })

  for (const name of ['no-default.ts', 'empty.ts']) {
    it(`no default export: ${name}`, async () => {
      const file = join(await copyOf('errors'), name)
      const error = await failureOf(file)
      assert.equal(error.message, `"${file}" has no default export`)
      assert.match(error.hint ?? '', /^write export default before the config/)
    })
  }

  it('another kind of file', async () => {
    const error = await failureOf(await write(join(top, 'ollama.config.yaml'), 'models: []'))
    assert.match(error.message, /a config is a \.ts, /)
  })

  it('no such file', async () => {
    await assert.rejects(loadConfigFile(join(top, 'none.ts')), { code: 'config-not-found' })
  })

  it('an aborted load', async () => {
    await assert.rejects(
      loadConfigFile(join(top, 'none.ts'), { signal: AbortSignal.abort(new Error('enough')) }),
      /enough/,
    )
  })
})

describe('a load that is aborted while the config waits', () => {
  const shared = globalThis as { waiting?: () => Promise<unknown> }

  for (const name of ['ollama.config.ts', 'ollama.config.mjs']) {
    it(`ends with the reason of the signal, whatever comes of it later: ${name}`, async () => {
      const folder = await copyOf('errors')
      const file = await write(join(folder, name), 'await globalThis.waiting()\nexport default 1\n')
      for (const end of ['resolve', 'reject'] as const) {
        const controller = new AbortController()
        const reason = new Error('enough')
        let finish = (): void => {}
        shared.waiting = () => {
          controller.abort(reason)
          return new Promise((resolve, reject) => {
            finish = () => (end === 'resolve' ? resolve(1) : reject(new Error('too late')))
          })
        }
        await assert.rejects(loadConfigFile(file, { signal: controller.signal }), (error) => error === reason)
        finish()
        // Takes long enough for the runner to see a rejection that nobody handled.
        assert.deepEqual(await loadConfigFile(join(folder, 'ok.ts')), await loadConfigFile(join(folder, 'ok.ts')))
      }
    })
  }

  it('leaves no listener on the signal when it was not', async () => {
    const folder = await copyOf('errors')
    const { signal } = new AbortController()
    let listeners = 0
    const add = signal.addEventListener.bind(signal)
    const remove = signal.removeEventListener.bind(signal)
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++
      add(...args)
    }
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--
      remove(...args)
    }
    await loadConfigFile(join(folder, 'ok.ts'), { signal })
    await assert.rejects(loadConfigFile(join(folder, 'throws.ts'), { signal }), { code: 'config-load-failed' })
    assert.equal(listeners, 0)
  })
})

describe('a frame', () => {
  it('of a long line shows what is near the column, with the caret below it', () => {
    const long = `${'a'.repeat(2_000_000)}X${'b'.repeat(2_000_000)}`
    for (const column of [2_000_001, 1, 4_000_001, 50, 3_999_990]) {
      const [before, line, caret, after] = codeFrame(`${long}\n${long}\n\tshort`, 2, column).split('\n')
      assert.ok((line?.length ?? 0) < 215 && (before?.length ?? 0) < 215)
      assert.equal(line?.[caret?.indexOf('^') ?? -1], long[column - 1])
      assert.match(line ?? '', column > 200 ? /^> 2 \| …/ : /^> 2 \| a.*…$/)
      assert.equal(after, '  3 | \tshort')
    }
    assert.ok(codeFrame(long, 1).length < 215)
  })

  it('keeps a line of 200 characters, and what it shows of tabs', () => {
    const line = `\t${'a'.repeat(199)}`
    assert.equal(codeFrame(line, 1, 3), `> 1 | ${line}\n    | \t ^`)
  })

  it('shows no part of an escape sequence, and counts none', () => {
    const text = '\u001b[31mred\u001b[0m \u001b]8;;http://x\u0007link\u009b1m\u200b\u2028 X\u007f'
    assert.equal(codeFrame(text, 1, text.indexOf('X') + 1), '> 1 | red link X\n    |          ^')
  })
})

describe('the package the config imports', () => {
  it('is the one that runs, when none is installed', async () => {
    const folder = await copyOf('basic')
    const file = await write(
      join(folder, 'own.ts'),
      "import { errorCodes } from 'ollama-config'\nexport default errorCodes",
    )
    const { errorCodes } = await import('../../src/errors.ts')
    assert.equal(await loadConfigFile(file), errorCodes)
  })

  it('also for a local file that imports it, when the config itself does not', async () => {
    const folder = await copyOf('basic')
    const file = await write(join(folder, 'outer.ts'), "import config from './ollama.config.ts'\nexport default config")
    assert.deepEqual(await loadConfigFile(file), { models: ['all-minilm'], keep: [] })
  })

  it('is the one that is installed beside it', { skip: nodeOnly }, async () => {
    const folder = await copyOf('basic')
    const installed = join(folder, 'node_modules/ollama-config')
    await write(
      join(installed, 'package.json'),
      '{ "name": "ollama-config", "type": "module", "exports": { ".": "./main.js", "./plugins/*": "./plugins/*.js" } }',
    )
    await write(join(installed, 'main.js'), 'export const defineConfig = (config) => ({ ...config, installed: true })')
    await write(join(installed, 'plugins/x.js'), "export default 'installed plugin'")
    assert.deepEqual(await loadConfigFile(join(folder, 'ollama.config.ts')), {
      models: ['all-minilm'],
      keep: [],
      installed: true,
    })
    const file = await write(join(folder, 'plugin.ts'), "import x from 'ollama-config/plugins/x'\nexport default x")
    assert.equal(await loadConfigFile(file), 'installed plugin')
  })

  it('is the built one, with its plugins, when that runs from elsewhere', {
    skip: isDeno ? 'takes Node to run the build' : false,
  }, async () => {
    const folder = join(top, 'global/lib/node_modules/ollama-config')
    for (const name of ['src', 'plugins', 'package.json', 'build.mjs']) {
      await cp(join(root, name), join(folder, name), { recursive: true })
    }
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
    const build = spawnSync(process.execPath, ['build.mjs'], { cwd: folder, encoding: 'utf8' })
    assert.equal(build.status, 0, build.stdout + build.stderr)
    for (const name of ['src', 'plugins']) await rm(join(folder, name), { recursive: true })
    const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
    manifest.exports['./plugins/*'] = './dist/plugins/*/index.js'
    await write(join(folder, 'package.json'), JSON.stringify(manifest))
    await write(join(folder, 'dist/plugins/demo/index.js'), "export { errorCodes as default } from 'ollama-config'")

    const project = await copyOf('basic')
    await write(
      join(project, 'own.ts'),
      "import config from './ollama.config.ts'\nimport { errorCodes } from 'ollama-config'\nimport plugin from 'ollama-config/plugins/demo'\nif (plugin !== errorCodes || errorCodes !== globalThis.running) throw new Error('two copies')\nexport default config",
    )
    const broken = await copyOf('errors')
    const script = `import { errorCodes, loadConfig } from ${JSON.stringify(pathToFileURL(join(folder, 'dist/index.js')).href)}
        globalThis.running = errorCodes
        for (const [cwd, configFile] of ${JSON.stringify([
          [project, 'own.ts'],
          [broken, 'throws.ts'],
          [broken, 'syntax.ts'],
        ])}) {
          await loadConfig({ cwd, configFile }).then(({ file }) => console.log(file), (error) => console.log(error.message))
        }`
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      cwd: tmpdir(),
      encoding: 'utf8',
    })
    assert.equal(stderr, '')
    const [loaded, thrown, syntax] = stdout.split('\n')
    assert.equal(loaded, join(project, 'own.ts'))
    assert.equal(thrown, `Cannot load ${join(broken, 'throws.ts')}:6:9: TypeError: no luck at all`)
    assert.ok(syntax?.startsWith(`Syntax error in ${join(broken, 'syntax.ts')}:4:15: `), syntax)
  })
})
