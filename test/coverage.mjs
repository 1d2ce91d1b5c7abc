/**
 * Measures what the tests reach of src/: `node test/coverage.mjs [FOLDER] [--uncovered]`.
 *
 * FOLDER holds what a run with NODE_V8_COVERAGE=FOLDER wrote; without it the tests are run for it. Child processes and threads count.
 * Fails when a folder of src/ has fewer of its branches taken than it must. `--uncovered` lists what was not reached, wherever it is.
 *
 * A branch is each way on from an `if` (without an `else`, too), `?:`, `&&`, `||`, `??` and `switch`, found in the syntax tree: V8 by itself tells
 * of no branch in a function that never ran. Default arguments are left out, since V8 does not tell whether they were used.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import module from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { mergeScriptCovs } from '@bcoe/v8-coverage'
import { parse } from 'acorn'
import { convert } from 'ast-v8-to-istanbul'
import { register as registerTsx } from 'tsx/esm/api'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const sources = pathToFileURL(path.join(root, 'src')).href

/** Percent of its branches that a folder's tests have to take. */
const thresholds = { artifact: 95, plan: 95, apply: 95 }
const otherThreshold = 85

/** What tsx hangs on each `import()`, with branches of its own. */
const afterImport = 's=>{const e="default";return s[e]&&typeof s[e]=="object"&&"__esModule"in s[e]?s[e]:s}'

/** What no other runtime loads: counted where it ran. */
const runsElsewhere = new Map([
  ['config/native.ts', 'Deno and Bun'],
  ['config/hooks.ts', 'Node before 22.15'],
  ['runtime/hash-worker.ts', 'Node from 22.18 on, when it runs the sources'],
])

const { values, positionals } = parseArgs({ allowPositionals: true, options: { uncovered: { type: 'boolean' } } })
const written = positionals[0] === undefined ? runTests() : readCoverage(positionals[0])
// The tests have told what failed.
if (written === undefined) process.exit(1)

giveCodeAsText()
const files = []
for (const name of readdirSync(path.join(root, 'src'), { recursive: true })) {
  const file = name.split(path.sep).join('/')
  if (!file.endsWith('.ts')) continue
  if (runsElsewhere.has(file) && !written.has(`${sources}/${file}`))
    console.log(`src/${file} is not counted: it runs on ${runsElsewhere.get(file)}`)
  else files.push(await measure(file))
}
process.exitCode = report(files.sort((a, b) => (a.name < b.name ? -1 : 1))) ? 0 : 1

// --- What the tests ran -------------------------------------------------------------------------------------------

function runTests() {
  const folder = mkdtempSync(path.join(tmpdir(), 'ollama-config-coverage-'))
  try {
    const { status } = spawnSync(process.execPath, ['test/run.mjs'], {
      cwd: root,
      env: { ...process.env, NODE_V8_COVERAGE: folder },
      stdio: 'inherit',
    })
    return status === 0 ? readCoverage(folder) : undefined
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** For each file of src/ that ran: what V8 says of it, once for each process or thread, and how long the lines were that ran. */
function readCoverage(folder) {
  const scripts = new Map()
  for (const name of readdirSync(folder)) {
    const { result, 'source-map-cache': maps = {} } = JSON.parse(readFileSync(path.join(folder, name), 'utf8'))
    for (const script of result) {
      if (!script.url.startsWith(`${sources}/`)) continue
      const known = scripts.get(script.url) ?? { runs: [], lineLengths: new Set() }
      scripts.set(script.url, known)
      known.runs.push(script)
      // Without the last line, which is the source map.
      known.lineLengths.add(String(maps[script.url]?.lineLengths.slice(0, -1)))
    }
  }
  if (scripts.size === 0) throw new Error(`No coverage of src/ is in ${folder}`)
  return scripts
}

// --- What that means for a file -----------------------------------------------------------------------------------

async function measure(name) {
  const url = `${sources}/${name}`
  const code = await compiled(url)
  const { runs = [], lineLengths = new Set() } = written.get(url) ?? {}
  const expected = String(
    code
      .split('\n')
      .map((line) => line.length)
      .slice(0, -1),
  )
  // Positions in other code would be nonsense.
  if ([...lineLengths].some((lengths) => lengths !== expected)) {
    throw new Error(`The tests ran other code than this Node makes of ${url}: take the same for both`)
  }
  const coverage = mergeScriptCovs(runs) ?? { scriptId: '0', url, functions: [] }
  const converted = await convert({
    code,
    coverage,
    ast: parse(code, { ecmaVersion: 'latest', sourceType: 'module', allowHashBang: true }),
    ignoreNode: (node, kind) => {
      if (code.startsWith(afterImport, node.start)) return 'ignore-this-and-nested-nodes'
      return kind === 'branch' && node.type === 'AssignmentPattern'
    },
  })
  const { statementMap = {}, s = {}, branchMap = {}, b = {} } = Object.values(converted)[0] ?? {}
  const lines = new Map()
  for (const [id, { start }] of Object.entries(statementMap)) {
    lines.set(start.line, Math.max(lines.get(start.line) ?? 0, s[id]))
  }
  const branches = Object.entries(branchMap).flatMap(([id, { loc, locations }]) =>
    b[id].map((count, index) => ({ line: locations[index]?.start.line ?? loc.start.line, count })),
  )
  return { name, lines: [...lines].map(([line, count]) => ({ line, count })), branches }
}

/** The code that tsx makes of a file, with its source map at the end. Nothing of it runs. */
async function compiled(url) {
  return (await import(url)).default
}

function giveCodeAsText() {
  registerTsx()
  // Asked before those of tsx, they hand on what those give, as text.
  const asText = ({ source }) => ({
    format: 'module',
    shortCircuit: true,
    source: `export default ${JSON.stringify(Buffer.from(source).toString())}`,
  })
  if (module.registerHooks !== undefined) {
    module.registerHooks({
      load: (url, context, next) => {
        const loaded = next(url, context)
        return url.startsWith(`${sources}/`) ? asText(loaded) : loaded
      },
    })
    return
  }
  const hook = `export async function load(url, context, next) {
    const loaded = await next(url, context)
    return url.startsWith(${JSON.stringify(`${sources}/`)}) ? (${asText})(loaded) : loaded
  }`
  module.register(`data:text/javascript,${encodeURIComponent(hook)}`)
}

// --- What that means for the folders ------------------------------------------------------------------------------

/** Prints the table; true when every folder has what it must. */
function report(files) {
  const folders = new Map()
  for (const file of files) {
    const folder = file.name.includes('/') ? file.name.slice(0, file.name.indexOf('/')) : ''
    folders.set(folder, [...(folders.get(folder) ?? []), file])
  }
  const rows = [...folders].map(([folder, files]) => {
    const threshold = thresholds[folder] ?? otherThreshold
    const branches = percent(files.flatMap((file) => file.branches))
    return { folder, files, threshold, lines: percent(files.flatMap((file) => file.lines)), branches }
  })
  console.log(`${'folder'.padEnd(16)}  lines  branches  wanted`)
  for (const { folder, lines, branches, threshold } of rows) {
    const figures = [lines.toFixed(1).padStart(5), branches.toFixed(1).padStart(8), String(threshold).padStart(6)]
    console.log(
      `${path.posix.join('src', folder).padEnd(16)}  ${figures.join('  ')}${branches < threshold ? '  too few' : ''}`,
    )
  }
  const short = rows.filter(({ branches, threshold }) => branches < threshold)
  for (const { name, branches, lines } of (values.uncovered ? rows : short).flatMap((row) => row.files)) {
    const missed = [missing('lines', lines), missing('branches at', branches)].filter((text) => text !== '')
    if (missed.length > 0) console.log(`src/${name}: not reached: ${missed.join('; ')}`)
  }
  return short.length === 0
}

function percent(counted) {
  return counted.length === 0 ? 100 : (100 * counted.filter(({ count }) => count > 0).length) / counted.length
}

function missing(what, counted) {
  const lines = [...new Set(counted.filter(({ count }) => count === 0).map(({ line }) => line))]
  return lines.length === 0 ? '' : `${what} ${lines.sort((a, b) => a - b).join(', ')}`
}
