import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { chmod, cp, mkdir, mkdtemp, realpath, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { findConfig, projectFolders } from '../../src/config/search.ts'
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

  it('a file behind a link', async () => {
    const cwd = await folderWith('other.ts')
    await symlink('other.ts', join(cwd, 'ollama.config.ts'))
    assert.equal(await findConfig({ cwd }), join(cwd, 'ollama.config.ts'))
  })

  it('the first, whatever stands under a later name', async () => {
    const cwd = await folderWith('ollama.config.ts', 'ollama.config.js/', '.config')
    assert.equal(await findConfig({ cwd }), join(cwd, 'ollama.config.ts'))
    await rm(join(cwd, 'ollama.config.ts'))
    await rm(join(cwd, 'ollama.config.js'), { recursive: true })
    await notFound(findConfig({ cwd }))
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

describe('a name that is nearly one', () => {
  it('is no test of a config, no declaration and no log', async () => {
    const root = await folderWith('ollama.config.test.ts', 'ollama.config.d.ts', 'ollama-config.log')
    assert.match((await notFound(findConfig({ cwd: root }))).hint, /^write one with "ollama-config init"/)
  })

  for (const [name, hint] of [
    ['ollama-config.ts', 'rename "FILE" to "ollama.config.ts"'],
    ['.ollama.config.mjs', 'rename "FILE" to "ollama.config.mjs"'],
    ['.config/llama.config.json', 'rename "FILE" to "ollama.config.json"'],
    ['OllamaConfig.yaml', 'write "FILE" as TypeScript, JavaScript or JSON, such as "ollama.config.ts"'],
    ['ollama.config.ts.txt', 'write "FILE" as TypeScript, JavaScript or JSON, such as "ollama.config.ts"'],
  ] as const) {
    it(`${name} is told, also further up`, async () => {
      const root = await folderWith('.git/', name, 'a/ollama-config/x', 'a/vite.config.ts')
      const found = await notFound(findConfig({ cwd: join(root, 'a') }))
      assert.equal(found.hint, hint.replace('FILE', join(root, name)))
    })
  }
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
    assert.match(hint, /"ollama-config init".*--config FILE/)
  })
})

describe('what cannot be a config is told, not passed over', () => {
  const isWindows = process.platform === 'win32'

  /** What is told of the entry that `make` makes: below a folder with a good config, and when named. */
  async function toldOf(name: string, make: (file: string) => unknown): Promise<string> {
    const root = await folderWith('.git/', 'ollama.config.ts', 'a/.config/')
    const cwd = join(root, 'a')
    const file = join(cwd, name)
    await make(file)
    const found = await notFound(findConfig({ cwd }))
    assert.equal(found.hint, 'remove it, or name another file with --config FILE')
    assert.deepEqual(found.searched, [cwd])
    const named = await notFound(findConfig({ cwd: root, configFile: file }))
    assert.equal(named.hint, 'check the path given with --config')
    assert.equal(named.message, found.message)
    assert.ok(found.message.startsWith(`"${file}" `), found.message)
    return found.message.slice(`"${file}" `.length)
  }

  it('a folder', async () => {
    assert.equal(await toldOf('ollama.config.ts', mkdir), 'is not a file but a folder')
    assert.equal(await toldOf('.config/ollama.config.json', mkdir), 'is not a file but a folder')
  })

  it('a link that leads nowhere, or in a circle', { skip: isWindows }, async () => {
    assert.equal(
      await toldOf('ollama.config.mjs', (file) => symlink('gone.mjs', file)),
      'is a link that leads nowhere (ENOENT)',
    )
    assert.match(await toldOf('ollama.config.ts', (file) => symlink(file, file)), /^is a link that leads nowhere \(/)
  })

  it('a pipe, a device, and a link to one', { skip: isWindows }, async () => {
    const pipe = (file: string) => assert.equal(spawnSync('mkfifo', [file]).status, 0)
    assert.equal(await toldOf('ollama.config.json', pipe), 'is not a file but a named pipe')
    assert.equal(await toldOf('ollama.config.ts', (file) => symlink('/dev/zero', file)), 'is not a file but a device')
  })

  it('a file too large to be one', async () => {
    const make = async (file: string) => {
      await writeFile(file, '')
      await truncate(file, 10_000_001)
    }
    assert.equal(await toldOf('ollama.config.ts', make), 'is larger than 10 MB, too large for a config')
  })

  it('a file that may not be read', {
    skip: isWindows || (isRoot() && typeof process.seteuid !== 'function') ? 'takes a user with fewer rights' : false,
  }, async () => {
    await chmod(top, 0o755)
    await findConfig({ cwd: await folderWith('ollama.config.ts') }) // Loads what it needs while it may read everything.
    const root = await folderWith('.git/', 'ollama.config.ts', 'a/ollama.config.js')
    const file = join(root, 'a/ollama.config.js')
    await chmod(file, 0)
    const asRoot = isRoot()
    if (asRoot) process.seteuid?.(65534)
    try {
      const { message, hint } = await notFound(findConfig({ cwd: join(root, 'a') }))
      assert.equal(message, `"${file}" cannot be read (EACCES)`)
      assert.equal(hint, 'check its owner and mode, or name another file with --config FILE')
      assert.equal((await notFound(findConfig({ cwd: root, configFile: file }))).message, message)
    } finally {
      if (asRoot) process.seteuid?.(0)
    }
  })
})

function isRoot(): boolean {
  return process.geteuid?.() === 0
}

it('projectFolders() ends at .git, and without one begins and ends with the folder', async () => {
  const root = await folderWith('repo/.git', 'repo/a/b/file', 'plain/a/file')
  assert.deepEqual(
    projectFolders(join(root, 'repo/a/b')),
    ['repo/a/b', 'repo/a', 'repo'].map((name) => join(root, name)),
  )
  assert.deepEqual(projectFolders(join(root, 'plain/a')), [join(root, 'plain/a')])
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
      `"${join(cwd, 'folder')}" is not a file but a folder`,
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
