/** What is installed, by whom it may be changed, and what the workflows of this repository call. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { tempFolder } from './support/run-cli.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (file: string) => readFileSync(path.join(root, file), 'utf8')
const manifest: {
  readonly version: string
  readonly scripts: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
} = JSON.parse(read('package.json'))

interface Locked {
  readonly version?: string
  readonly resolved?: string
  readonly integrity?: string
  readonly dev?: boolean
  readonly hasInstallScript?: boolean
}

const locked = (file: string): readonly (readonly [string, Locked])[] => {
  const { packages }: { packages: Readonly<Record<string, Locked>> } = JSON.parse(read(file))
  return Object.entries(packages).filter(([folder]) => folder !== '')
}

test('every package is locked to one version and the hash of its bytes', () => {
  for (const file of ['package-lock.json', 'test/runtimes/package-lock.json']) {
    const packages = locked(file)
    assert.ok(packages.length > 0)
    for (const [folder, { version, integrity, resolved }] of packages) {
      assert.match(version ?? '', /^\d+\.\d+\.\d+/, `${file}: ${folder}`)
      assert.match(integrity ?? '', /^sha512-/, `${file}: ${folder}`)
      assert.equal(resolved, undefined, `${file}: ${folder} comes from a place of its own`)
    }
  }
})

test('no package that runs with the command needs an install script', () => {
  const scripted = locked('package-lock.json').filter(([, { dev, hasInstallScript }]) => hasInstallScript && !dev)
  // Its script only swaps a launcher in JavaScript for the binary: test/package/ installs without it, and loads TypeScript.
  assert.deepEqual(
    scripted.map(([folder]) => folder),
    ['node_modules/esbuild'],
  )
})

test('ARCHITECTURE.md has a reason for each run-time dependency, and for no other', () => {
  const [, section = ''] = read('ARCHITECTURE.md').split(/^## Run-time dependencies$/m)
  const rows = [...section.matchAll(/^\| `([^`]+)`[^|]*\| (.+) \|$/gm)]
  assert.deepEqual(rows.map(([, name]) => name).sort(), Object.keys(manifest.dependencies).sort())
  for (const [, name, reason = ''] of rows) assert.ok(reason.length > 20, name)
})

const workflows = readdirSync(path.join(root, '.github/workflows')).map((name) => `.github/workflows/${name}`)

test('what workflows and CONTRIBUTING.md call is there', () => {
  for (const file of [...workflows, '.ci/run', 'CONTRIBUTING.md', 'README.md']) {
    const text = read(file)
    for (const [, name = ''] of text.matchAll(/\bnpm run ([\w:-]+)/g))
      assert.ok(name in manifest.scripts, `${file}: npm run ${name}`)
    // What is built is not there before it is; what `exec -- node …` runs is the reader's.
    for (const [, script = ''] of text.matchAll(/(?<!-- )\bnode ([\w./-]+\.m?js)\b/g))
      assert.ok(script.startsWith('dist/') || existsSync(path.join(root, script)), `${file}: node ${script}`)
  }
  const runtimes = [...read('test/runtimes/run.mjs').matchAll(/^ {2}(\w+)(?:: .*)?,$/gm)].map(([, name]) => name)
  for (const file of workflows)
    for (const [, names = ''] of read(file).matchAll(/test:runtimes -- (.+)/g))
      for (const name of names.split(' ')) assert.ok(runtimes.includes(name), `${file}: ${name}`)
})

test('workflows take actions by the hash of their commit, read only where they can, and keep no token', () => {
  for (const file of workflows) {
    const text = read(file)
    for (const [line, action = ''] of text.matchAll(/uses: (\S+)(.*)/g))
      assert.match(
        `${action}${line.slice(line.indexOf(action) + action.length)}`,
        /@[0-9a-f]{40} # v\d+\.\d+\.\d+$/,
        file,
      )
    assert.match(text, /^permissions:\n {2}contents: read\n\n/m, file)
    assert.doesNotMatch(text, /secrets\.|pull_request_target/, file)
    // Text of others, such as the name of a branch, must not become part of a script.
    for (const [, run = ''] of text.matchAll(/run: (.*)/g)) assert.doesNotMatch(run, /\$\{\{/, file)
  }
})

test('a release has a version that all files say, and a section of the changelog', (t) => {
  const node = 'Deno' in globalThis || 'Bun' in globalThis ? 'node' : process.execPath
  const folder = tempFolder(t)
  const run = (tag: string) =>
    spawnSync(node, [path.join(root, '.github/release-notes.mjs'), tag], { cwd: folder, encoding: 'utf8' })
  const { status, stderr } = run('v99.0.0')
  assert.equal(status, 1)
  for (const file of ['package.json', 'jsr.json', 'src/version.ts'])
    assert.ok(stderr.includes(`${file} says ${manifest.version}, the tag v99.0.0`), stderr)
  assert.match(stderr, /CHANGELOG\.md has no section for v99\.0\.0/)
  const ours = run(`v${manifest.version}`)
  const isReleased = read('CHANGELOG.md').includes(`\n## ${manifest.version}`)
  assert.equal(ours.status, isReleased ? 0 : 1, ours.stderr)
  assert.doesNotMatch(ours.stderr, / says /)
})
