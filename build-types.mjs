/**
 * Leaves of the declarations in `dist/types` those that the entry points in package.json reach: tsc writes one for each source.
 */
import { readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs'
import path from 'node:path'

const folder = 'dist/types'
const { exports } = JSON.parse(readFileSync('package.json', 'utf8'))
const reached = new Set()

function reach(file) {
  if (reached.has(file)) return
  reached.add(file)
  for (const [, specifier] of readFileSync(file, 'utf8').matchAll(
    /(?:\bfrom|\bimport\(|\bimport)\s*['"](\.[^'"]+)['"]/g,
  ))
    reach(path.join(path.dirname(file), specifier.replace(/\.[jt]s$/, '.d.ts')))
}

for (const { types } of Object.values(exports)) {
  if (types === undefined) continue
  const [before, after] = types.split('*')
  if (after === undefined) reach(path.normalize(types))
  else for (const name of readdirSync(before)) reach(path.normalize(before + name + after))
}

const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
const pathOf = (entry) => path.join(entry.parentPath, entry.name)
for (const file of entries.filter((entry) => entry.isFile()).map(pathOf)) if (!reached.has(file)) rmSync(file)
// The deepest first.
for (const name of entries
  .filter((entry) => entry.isDirectory())
  .map(pathOf)
  .sort()
  .reverse())
  if (readdirSync(name).length === 0) rmdirSync(name)
