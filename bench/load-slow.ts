/**
 * `plan` against a server and a registry that take 50 ms for each answer. The limit is the waiting alone: so many requests, at most so
 * many at once, each of 50 ms; on top of it comes the start of a Node process that does nothing, in the same run.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { makeGguf } from '../test/support/gguf.ts'
import { type OllamaServer, startOllamaServer } from '../test/support/ollama-server.ts'
import { type ServedModel, startRegistry } from '../test/support/registry.ts'
import { format, ratioOf, runMeasured, sampleOf } from './measure.ts'

const rounds = 5
const latencyMs = 50
const count = 200
/** As in `resolution/` and `registry/`. */
const showsAtOnce = 8
const manifestsAtOnce = 6
const headsAtOnce = 32

export async function benchLoadSlow(main: string): Promise<void> {
  console.log(`plan, ${latencyMs} ms for each answer; ${rounds} rounds`)
  await using registry = await startRegistry({ latencyMs })
  const wanted = Array.from({ length: count }, (_, index): ServedModel => {
    const bytes = makeGguf({ name: `slow ${index}` })
    const name = `${registry.host}/load/slow-${index}:1`
    return { name, layers: [{ mediaType: 'application/vnd.ollama.image.model', bytes }] }
  })
  for (const model of wanted) registry.publish(model)

  await using shown = await startOllamaServer({ latencyMs, models: ['base:1'] })
  for (let index = 0; index < count; index++) shown.derive(`built-${index}:1`, 'base:1', { system: `Number ${index}` })
  const built = Array.from({ length: count }, (_, index) => ({
    name: `built-${index}:1`,
    from: 'base:1',
    system: `Number ${index}`,
  }))
  await measure(`${count} models to show, --offline`, {
    args: [main, 'plan', '--offline', '--detailed-exitcode'],
    models: ['base:1', ...built],
    server: shown,
    // Listing and version at once, then the models and their base.
    waves: 1 + Math.ceil((count + 1) / showsAtOnce),
    sockets: () => `${shown.stats.connectionsAtOnce} at the server`,
  })

  await using empty = await startOllamaServer({ latencyMs })
  await measure(`${count} models to pull`, {
    args: [main, 'plan'],
    models: wanted.map(({ name }) => ({ name, insecure: true })),
    server: empty,
    // Each model has two blobs, which are looked for while the manifests are still being asked for; but for those of the last ones.
    waves: 1 + Math.max(Math.ceil(count / manifestsAtOnce), Math.ceil((2 * count) / headsAtOnce)) + 1,
    sockets: () => `${empty.stats.connectionsAtOnce} at the server, ${registry.connectionsAtOnce} at the registry`,
  })
}

interface Case {
  readonly args: readonly string[]
  readonly models: readonly (string | object)[]
  readonly server: OllamaServer
  readonly waves: number
  readonly sockets: () => string
}

async function measure(title: string, { args, models, server, waves, sockets }: Case): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'ollama-config-bench-'))
  try {
    writeFileSync(path.join(folder, 'ollama.config.json'), JSON.stringify({ models }))
    const env = { ...process.env, HOME: folder, XDG_STATE_HOME: folder, OLLAMA_HOST: server.url, NO_COLOR: '1' }
    const command = { file: process.execPath, cwd: folder, env }
    const limits: number[] = []
    const walls: number[] = []
    const before = server.requests.length
    for (let round = 0; round <= rounds; round++) {
      const { wallMs: bareMs } = await runMeasured({ ...command, args: ['-e', '0'] })
      const { wallMs } = await runMeasured({ ...command, args })
      if (round === 0) continue
      limits.push(waves * latencyMs + bareMs)
      walls.push(wallMs)
    }
    const each = (server.requests.length - before) / (rounds + 1)
    console.log(`\n${title}`)
    console.log(`  limit   ${format(sampleOf(limits))}, ${waves} × ${latencyMs} ms of it waiting`)
    console.log(`  plan    ${format(sampleOf(walls))}, ${format(ratioOf(walls, limits), '×')}`)
    console.log(`  server  ${each} requests; sockets at once: ${sockets()}`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
