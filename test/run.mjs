/**
 * Runs the tests with the Node that runs this file: `node test/run.mjs [--FLAG-OF-NODE]… [PART-OF-A-PATH]…`.
 *
 * Names every file, since Node 20 takes no patterns and finds no `.ts` by itself: with none named it runs nothing and says all is well.
 * JavaScript, because Node 20 runs no TypeScript.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Every test file, sorted, relative to the package. */
export function findTests() {
  const files = ['test', 'plugins'].flatMap((folder) => findIn(folder))
  return files.sort((a, b) => (a < b ? -1 : 1))
}

function findIn(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory()) return entry.name === 'node_modules' || entry.name === 'fixtures' ? [] : findIn(path)
    return entry.name.endsWith('.test.ts') ? [path] : []
  })
}

/** Two for each processor: a test waits for servers, disks and processes as often as it computes. */
const concurrency = `--test-concurrency=${2 * availableParallelism()}`

/** The environment without what would steer the tests: which host, which proxy, whether there is colour. */
export function scrubbed(environment) {
  // OLLAMA_TEST_… is given on purpose: a real server for the contract tests.
  const steering =
    /^(?:OLLAMA_(?!TEST_).*|https?_proxy|all_proxy|no_proxy|NODE_USE_ENV_PROXY|NO_COLOR|FORCE_COLOR|CLICOLOR.*|NODE_OPTIONS|NODE_TEST_CONTEXT|TSX_.*|CI|DEBUG|COLUMNS|LINES)$/i
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !steering.test(name)))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const words = process.argv.slice(2)
  const flags = words.filter((word) => word.startsWith('--'))
  const parts = words.filter((word) => !flags.includes(word))
  const files = findTests().filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)))
  if (files.length === 0) {
    console.error(parts.length === 0 ? 'No test files found' : `No test file has ${parts.join(' or ')} in its path`)
    process.exit(1)
  }
  const options = ['--import', 'tsx', '--test', '--test-reporter=spec', concurrency, ...flags]
  const { status, signal, error } = spawnSync(process.execPath, [...options, ...files], {
    cwd: root,
    env: scrubbed(process.env),
    stdio: 'inherit',
  })
  if (error !== undefined) throw error
  if (signal !== null) console.error(`The tests were ended by ${signal}`)
  process.exit(status ?? 1)
}
