/** What is in the tarball, and that nothing else is. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { headingAnchors, linkTargets } from '../support/markdown.ts'

const limitBytes = 300_000

/** For those who have the repository: how to change the code, and how it was tried. */
const ofRepository = new Set(['ARCHITECTURE.md', 'CONTRIBUTING.md', 'docs/reliability.md'])

const wanted = [
  /^(?:package\.json|LICENSE|(?:README|CHANGELOG|SECURITY)\.md)$/,
  /^dist\/(?:index|plugin|cli\/main|config\/hooks|runtime\/hash-worker|chunks\/[\w-]+|plugins\/[\w-]+\/index)\.js$/,
  /^dist\/types\/(?:src|plugins)\/(?:[\w-]+\/)*[\w-]+\.d\.ts$/,
  /^docs\/(?:[\w-]+\.md|images\/[\w-]+\.svg|schemas\/[\w.-]+\.schema\.json)$/,
  /^plugins\/(?:[\w-]+\/)?README\.md$/,
]

/** @param folder where it may be unpacked */
export function checkContents(tarball: string, root: string, folder: string): string {
  const sizeBytes = statSync(tarball).size
  assert.ok(sizeBytes < limitBytes, `The tarball has ${sizeBytes} bytes, and is to have less than ${limitBytes}`)
  mkdirSync(folder)
  // Both names relative: a colon makes a remote host of the first for some.
  const { status, stderr } = spawnSync('tar', ['-xzf', path.relative(folder, tarball)], {
    cwd: folder,
    encoding: 'utf8',
  })
  assert.equal(status, 0, stderr)
  const unpacked = path.join(folder, 'package')
  const files = readdirSync(unpacked, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.relative(unpacked, path.join(entry.parentPath, entry.name)).split(path.sep).join('/'))
    .sort()
  assert.deepEqual(
    files.filter((file) => !wanted.some((pattern) => pattern.test(file))),
    [],
    'Nobody expects these files in the package',
  )
  for (const file of files) {
    const text = readFileSync(path.join(unpacked, file), 'utf8')
    assert.ok(!text.includes(path.resolve(root)), `${file} names a folder of this machine`)
    assert.doesNotMatch(text, /sourceMappingURL/, `${file} has a map`)
    if (file.endsWith('.md')) checkLinks(unpacked, file, text)
  }
  const { scripts = {} } = JSON.parse(readFileSync(path.join(unpacked, 'package.json'), 'utf8'))
  assert.deepEqual(
    ['preinstall', 'install', 'postinstall', 'prepare'].filter((name) => name in scripts),
    [],
  )
  return `${files.length} files, ${Math.ceil(sizeBytes / 1000)} kB`
}

/** Each leads to a file of the package, and to a heading of it where it names one. */
function checkLinks(folder: string, file: string, text: string): void {
  for (const target of linkTargets(text)) {
    if (/^[a-z]+:/.test(target)) continue
    const [name = '', heading] = target.split('#')
    const found = name === '' ? path.join(folder, file) : path.join(folder, path.dirname(file), name)
    if (ofRepository.has(path.relative(folder, found))) continue
    assert.ok(existsSync(found), `${file}: ${target} leads to no file of the package`)
    if (heading === undefined) continue
    assert.ok(headingAnchors(readFileSync(found, 'utf8')).includes(heading), `${file}: ${target} leads to no heading`)
  }
}
