import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { cp, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { findConfig } from '../../src/config/search.ts'
import { isOllamaConfigError } from '../../src/errors.ts'

const top = await realpath(await mkdtemp(join(tmpdir(), 'ollama-config-search-')))
after(() => rm(top, { recursive: true, force: true }))
let folders = 0

/** A fresh folder with these files, empty but for what is given. */
async function folderWith(...files: string[]): Promise<string> {
  const folder = join(top, String(++folders))
  await mkdir(folder)
  for (const file of files) {
    await mkdir(dirname(join(folder, file)), { recursive: true })
    if (file.endsWith('/')) await mkdir(join(folder, file))
    else await writeFile(join(folder, file), '')
  }
  return folder
}

async function notFound(search: Promise<string>): Promise<{ message: string; hint: string; searched: unknown }> {
  const error: unknown = await search.then(
    (file) => assert.fail(`found ${file}`),
    (reason: unknown) => reason,
  )
  assert.ok(isOllamaConfigError(error))
  assert.equal(error.code, 'config-not-found')
  return { message: error.message, hint: error.hint ?? '', searched: error.details?.['searched'] }
}

describe('what is found', () => {
  const order = ['ts', 'mts', 'js', 'mjs', 'json'].flatMap((extension) => `ollama.config.${extension}`)
  for (const [index, name] of [...order, ...order.map((file) => `.config/${file}`)].entries()) {
    it(`${name}, before what comes later in the order`, async () => {
      const later = [...order, ...order.map((file) => `.config/${file}`)].slice(index)
      const cwd = await folderWith(...later)
      assert.equal(await findConfig({ cwd }), join(cwd, name))
    })
  }

  it('an empty file, and not a folder of that name', async () => {
    const cwd = await folderWith('ollama.config.ts/', 'ollama.config.js')
    assert.equal(await findConfig({ cwd }), join(cwd, 'ollama.config.js'))
  })

  it('no other name', async () => {
    const cwd = await folderWith(
      'package.json',
      '.ollamarc',
      '.ollamarc.json',
      'ollama.config.yaml',
      'ollama.config.cjs',
      'ollama.config',
    )
    await notFound(findConfig({ cwd }))
  })
})

describe('how far it looks', () => {
  it('up to the folder that holds .git, nearest first', async () => {
    const root = await folderWith('.git/', 'ollama.config.ts', 'a/b/c/file', 'a/x/ollama.config.json')
    assert.equal(await findConfig({ cwd: join(root, 'a/b/c') }), join(root, 'ollama.config.ts'))
    assert.equal(await findConfig({ cwd: join(root, 'a/x') }), join(root, 'a/x/ollama.config.json'))
  })

  it('not above it, where .git may be a file', async () => {
    const outer = await folderWith('ollama.config.ts', 'repo/.git', 'repo/a/file')
    const { message, searched } = await notFound(findConfig({ cwd: join(outer, 'repo/a') }))
    assert.deepEqual(searched, [join(outer, 'repo/a'), join(outer, 'repo')])
    assert.equal(
      message,
      `No ollama.config.{ts,mts,js,mjs,json} found in "${join(outer, 'repo/a')}" or the folders above it up to "${join(outer, 'repo')}"`,
    )
  })

  it('a package.json on the way does not end it', async () => {
    const root = await folderWith('.git/', 'ollama.config.ts', 'packages/a/package.json')
    assert.equal(await findConfig({ cwd: join(root, 'packages/a') }), join(root, 'ollama.config.ts'))
  })

  it('with no .git above only the working directory', async () => {
    const outer = await folderWith('ollama.config.ts', 'inner/file')
    const { message, hint, searched } = await notFound(findConfig({ cwd: join(outer, 'inner') }))
    assert.deepEqual(searched, [join(outer, 'inner')])
    assert.equal(message, `No ollama.config.{ts,mts,js,mjs,json} found in "${join(outer, 'inner')}"`)
    assert.match(hint, /export default .*--config FILE/)
  })
})

describe('a named file', () => {
  it('is relative to the working directory', async () => {
    const cwd = await folderWith('ollama.config.ts', 'other/my.ts')
    assert.equal(await findConfig({ cwd, configFile: 'other/my.ts' }), join(cwd, 'other/my.ts'))
    assert.equal(await findConfig({ cwd, configFile: join(cwd, 'other/my.ts') }), join(cwd, 'other/my.ts'))
  })

  it('has to be there, and to be a file', async () => {
    const cwd = await folderWith('ollama.config.ts', 'folder/')
    assert.equal(
      (await notFound(findConfig({ cwd, configFile: 'x.ts' }))).message,
      `There is no file "${join(cwd, 'x.ts')}"`,
    )
    assert.equal(
      (await notFound(findConfig({ cwd, configFile: 'folder' }))).message,
      `"${join(cwd, 'folder')}" is not a file`,
    )
  })
})

it('an aborted search ends', async () => {
  const cwd = await folderWith('ollama.config.ts')
  await assert.rejects(findConfig({ cwd, signal: AbortSignal.abort(new Error('enough')) }), /enough/)
})

describe('nothing else is executed', () => {
  const fixture = fileURLToPath(new URL('../fixtures/config/hostile/', import.meta.url))
  const metaFiles = readdirSync(join(fixture, '.config'))

  /** A folder with one of cosmiconfig's own settings files, or with the one in package.json. */
  async function hostileFolder(meta: string | undefined): Promise<string> {
    const folder = await folderWith()
    await cp(fixture, folder, { recursive: true })
    for (const name of metaFiles) if (name !== meta) await rm(join(folder, '.config', name))
    if (meta !== undefined) await rm(join(folder, 'package.json'))
    return folder
  }

  for (const meta of [...metaFiles, undefined]) {
    it(`with ${meta === undefined ? 'a "cosmiconfig" key in package.json' : `.config/${meta}`}`, async () => {
      const folder = await hostileFolder(meta)
      const before = process.cwd()
      process.chdir(folder) // It is the process's folder that cosmiconfig looks in.
      try {
        assert.equal(await findConfig({ cwd: folder }), join(folder, 'ollama.config.ts'))
      } finally {
        process.chdir(before)
      }
      assert.ok(!existsSync(join(folder, '.config/executed')))
    })
  }

  it('while cosmiconfig by itself would', async () => {
    const folder = await hostileFolder('config.js')
    await writeFile(join(folder, 'package.json'), '{ "name": "no-settings-here" }')
    const file = createRequire(import.meta.url).resolve('cosmiconfig')
    const script = `require(${JSON.stringify(file)}).cosmiconfig('ollama')`
    const [flag, ...args] = 'Deno' in globalThis ? ['eval', '--ext=cjs', script] : ['-e', script]
    spawnSync(process.execPath, [flag ?? '', ...args], { cwd: folder })
    assert.ok(existsSync(join(folder, '.config/executed')))
  })
})
