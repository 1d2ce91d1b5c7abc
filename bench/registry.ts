/**
 * A plan of 50 missing models, with a registry and a host that each take 20 ms to answer: the built command, cold. The limit is the
 * same command when it asks no registry (`--offline`), in the same run. Both servers are processes of their own.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { startOllamaServer } from '../test/support/ollama-server.ts'
import { startRegistry } from '../test/support/registry.ts'
import { type Command, format, interleave, machineLine, ratioOf, sampleOf, timeCommand } from './measure.ts'

const root = path.resolve(fileURLToPath(new URL('..', import.meta.url)))
const main = path.join(root, 'dist/cli/main.js')
const script = fileURLToPath(import.meta.url)
const modelCount = 50
const latencyMs = 20
const targetMs = 600
const rounds = 15

/** Four layers and a config each; every fifth model shares its weights with another. */
function models() {
  return Array.from({ length: modelCount }, (_, index) => ({
    name: `model-${index}`,
    layers: ['model', 'template', 'params', 'license'].map((kind) => ({
      mediaType: `application/vnd.ollama.image.${kind}`,
      bytes: `${kind} of ${kind === 'model' && index % 5 === 0 ? 'many' : index}`,
    })),
  }))
}

/** Run as a process of its own: says where it listens. */
async function serve(what: string): Promise<void> {
  const { url } =
    what === 'registry' ? await startRegistry({ models: models(), latencyMs }) : await startOllamaServer({ latencyMs })
  console.log(url)
}

function startProcess(what: string): Promise<{ readonly url: string; readonly child: ChildProcess }> {
  const child = spawn(process.execPath, ['--import', 'tsx', script, what], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.stdout.once('data', (url) => resolve({ url: String(url).trim(), child }))
  })
}

export async function benchRegistry(): Promise<void> {
  if (!existsSync(main)) throw new Error('Build first: npm run build')
  const [registry, host] = await Promise.all([startProcess('registry'), startProcess('host')])
  const folder = mkdtempSync(path.join(tmpdir(), 'ollama-config-bench-'))
  try {
    const address = new URL(registry.url).host
    const declared = models().map(({ name }) => ({ name: `${address}/library/${name}`, insecure: true }))
    writeFileSync(path.join(folder, 'ollama.config.json'), JSON.stringify({ models: declared }))
    const env = { ...process.env, OLLAMA_HOST: host.url, NO_COLOR: '1', HOME: folder, XDG_STATE_HOME: folder }
    const command = (...words: string[]): Command => ({
      file: process.execPath,
      args: [main, 'plan', ...words],
      cwd: folder,
      env,
    })
    console.log(
      `plan of ${modelCount} missing models, registry and host ${latencyMs} ms each, ${rounds} rounds in turn\n${machineLine()}\n`,
    )
    const times = await interleave(
      {
        bare: () => timeCommand({ file: process.execPath, args: ['-e', '0'], env }),
        offline: () => timeCommand(command('--offline')),
        plan: () => timeCommand(command()),
      },
      rounds,
    )
    for (const [name, values] of Object.entries(times)) console.log(`${name.padEnd(8)} ${format(sampleOf(values))}`)
    const median = sampleOf(times.plan).median
    console.log(`plan / offline ${format(ratioOf(times.plan, times.offline), '×')}`)
    console.log(`\nunder ${targetMs} ms: ${median < targetMs ? 'met' : 'MISSED'}`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
    registry.child.kill()
    host.child.kill()
  }
}

const [started = '', what] = process.argv.slice(1)
if (started === script && what !== undefined) await serve(what)
