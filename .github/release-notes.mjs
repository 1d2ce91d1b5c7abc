/**
 * Prints what CHANGELOG.md says of a version: `node .github/release-notes.mjs v1.2.3`.
 *
 * Fails when the version is not that of the package, of what JSR gets and of the code, or when the changelog has no section for it.
 */
import { readFileSync } from 'node:fs'

const root = new URL('..', import.meta.url)
const read = (name) => readFileSync(new URL(name, root), 'utf8')
const [tag = ''] = process.argv.slice(2)

const versions = {
  'package.json': JSON.parse(read('package.json')).version,
  'package-lock.json': JSON.parse(read('package-lock.json')).version,
  'jsr.json': JSON.parse(read('jsr.json')).version,
  'src/version.ts': /version = '([^']+)'/.exec(read('src/version.ts'))?.[1],
}
const others = Object.entries(versions).filter(([, version]) => `v${version}` !== tag)
for (const [file, version] of others) console.error(`${file} says ${version}, the tag ${tag}`)

const sections = read('CHANGELOG.md').split(/^## /m).slice(1)
const section = sections.find((text) => `v${/^\[?([^\]\s]+)/.exec(text)?.[1]}` === tag)
if (section === undefined) console.error(`CHANGELOG.md has no section for ${tag}`)

if (others.length > 0 || section === undefined) process.exitCode = 1
else console.log(section.split('\n').slice(1).join('\n').trim())
