/**
 * `apply` of 200 changes at once, as a process: 60 pulls of distinct blobs, 100 builds, 20 aliases, 20 deletions, against the test
 * server or into a store, both with the test registry. The limit of its memory is a Node process that does nothing.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { makeGguf } from '../test/support/gguf.ts'
import { startOllamaServer } from '../test/support/ollama-server.ts'
import { type ServedModel, startRegistry } from '../test/support/registry.ts'
import { type Command, format, ratioOf, runMeasured, sampleOf, timeCommand, type Usage } from './measure.ts'

const rounds = 3
const pulls = 60
const builds = 100
const aliases = 20
const deletions = 20
const changes = pulls + builds + aliases + deletions

const ways = [
  { title: 'host', store: false, flags: [] },
  { title: 'host, --concurrency 8', store: false, flags: ['--concurrency', '8'] },
  { title: 'host, --concurrency 64', store: false, flags: ['--concurrency', '64'] },
  { title: 'store, which takes 4', store: true, flags: [] },
  { title: 'store, --concurrency 64', store: true, flags: ['--concurrency', '64'] },
] as const

interface Run extends Usage {
  readonly bareBytes: number
  readonly serverRequests: number
  readonly serverSockets: number
  readonly registryRequests: number
  readonly registrySockets: number
}

export async function benchLoadApply(main: string): Promise<void> {
  console.log(
    `apply of ${changes} changes: ${pulls} pulls, ${builds} builds, ${aliases} aliases, ${deletions} deletions; ${rounds} rounds`,
  )
  for (const { title, store, flags } of ways) {
    const runs: Run[] = []
    for (let round = 0; round < rounds; round++) runs.push(await applyOnce(main, store, flags))
    tell(title, runs)
  }
}

function tell(title: string, runs: readonly Run[]): void {
  const most = (of: (run: Run) => number) => Math.max(...runs.map(of))
  const peaks = runs.map(({ peakBytes }) => peakBytes / 2 ** 20)
  const bare = runs.map(({ bareBytes }) => bareBytes / 2 ** 20)
  const each = (count: number) => (count / changes).toFixed(1)
  const served = `${each(most((run) => run.serverRequests))} requests per change, ${most((run) => run.serverSockets)} sockets at once`
  const read = `${each(most((run) => run.registryRequests))} requests per change, ${most((run) => run.registrySockets)} sockets at once`
  console.log(`\n${title}`)
  console.log(`  wall     ${format(sampleOf(runs.map(({ wallMs }) => wallMs)))}`)
  console.log(
    `  memory   ${format(sampleOf(peaks), 'MiB')}, bare ${format(sampleOf(bare), 'MiB')}, ${format(ratioOf(peaks, bare), '×')}`,
  )
  if (most((run) => run.serverRequests) > 0) console.log(`  server   ${served}`)
  console.log(`  registry ${read}`)
}

/** The registry, the server and the folder are new each time. */
async function applyOnce(main: string, store: boolean, flags: readonly string[]): Promise<Run> {
  const folder = mkdtempSync(path.join(tmpdir(), 'ollama-config-bench-'))
  await using registry = await startRegistry()
  const name = (kind: string, index: number) => `${registry.host}/load/${kind}-${index}:1`
  const served = (kind: string, count: number) =>
    Array.from({ length: count }, (_, index): ServedModel => {
      const bytes = makeGguf({ name: `${kind} ${index}` })
      return { name: name(kind, index), layers: [{ mediaType: 'application/vnd.ollama.image.model', bytes }] }
    })
  const [wanted, old] = [served('pull', pulls), served('old', deletions)]
  for (const model of [...wanted, ...old]) registry.publish(model)
  await using server = await startOllamaServer({ models: store ? [] : old })
  const pulled = (models: readonly ServedModel[]) => models.map((model) => ({ name: model.name, insecure: true }))
  const config = (models: readonly object[]) =>
    writeFileSync(path.join(folder, 'ollama.config.json'), JSON.stringify({ models, prune: 'undeclared' }))
  const made = [
    ...Array.from({ length: builds }, (_, index) => ({
      name: `build-${index}`,
      from: name('pull', index % pulls),
      system: `You are number ${index}.`,
    })),
    ...Array.from({ length: aliases }, (_, index) => ({ name: `alias-${index}`, aliasOf: name('pull', index) })),
  ]
  const command = (...words: readonly string[]): Command => ({
    file: process.execPath,
    args: [main, ...words, ...(store ? [`--store=${path.join(folder, 'models')}`] : [])],
    cwd: folder,
    env: { ...process.env, HOME: folder, XDG_STATE_HOME: folder, OLLAMA_HOST: server.url, NO_COLOR: '1' },
  })
  try {
    if (store) {
      config(pulled(old))
      await timeCommand(command('apply', '--yes'))
    }
    config([...pulled(wanted), ...made])
    const before = { server: server.requests.length, registry: registry.requests.length }
    const bare = await runMeasured({ ...command(), args: ['-e', '0'] })
    const usage = await runMeasured(command('apply', '--yes', '--prune', ...flags))
    const run = {
      ...usage,
      bareBytes: bare.peakBytes,
      serverRequests: server.requests.length - before.server,
      serverSockets: server.stats.connectionsAtOnce,
      registryRequests: registry.requests.length - before.registry,
      registrySockets: registry.connectionsAtOnce,
    }
    // Fails when anything is left to do.
    await timeCommand(command('check', '--prune'))
    const problems = [...server.problems, ...registry.problems]
    if (problems.length > 0) throw new Error(problems.join('\n'))
    return run
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
