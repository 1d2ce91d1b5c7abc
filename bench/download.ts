/**
 * A model of 2 GiB over loopback into a store, by the built command, against `curl -o` of the same bytes, which neither hashes nor
 * syncs, and `openssl dgst`. A real Ollama server's pull of the same model is measured too when OLLAMA_TEST_HOST names one.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { format, interleave, machineLine, ratioOf, runMeasured, sampleOf, timeCommand, type Usage } from './measure.ts'
import { type StaticRegistry, startStaticRegistry } from './static-registry.ts'

const root = path.resolve(fileURLToPath(new URL('..', import.meta.url)))
const main = path.join(root, 'dist/cli/main.js')
const sizeBytes = 2 * 2 ** 30
const rounds = 5

export async function benchDownload(): Promise<void> {
  if (!existsSync(main)) throw new Error('Build first: npm run build')
  const folder = mkdtempSync(path.join(tmpdir(), 'ollama-config-bench-'))
  const registry = await startStaticRegistry(folder, sizeBytes)
  if (registry === undefined) throw new Error('nginx is not installed: apt-get install nginx-light')
  try {
    console.log(`a model of 2 GiB over loopback (nginx), ${rounds} rounds in turn\n${machineLine()}\n`)
    const usages = new Map<string, Usage[]>()
    const note = (name: string, usage: Usage) => {
      usages.set(name, [...(usages.get(name) ?? []), usage])
      return usage.wallMs
    }
    const engine = await buildEngine(folder)
    const node = (args: readonly string[]) => ({ file: process.execPath, args })
    const target = path.join(folder, 'target')
    const fetchOnce = (connections: number, sync: boolean) => async () => {
      rmSync(target, { recursive: true, force: true })
      mkdirSync(target)
      const words = [registry.blobUrl, registry.digest, String(sizeBytes), path.join(target, 'blob')]
      const usage = await runMeasured(node([engine, ...words, String(connections), sync ? 'sync' : 'no-sync']))
      return note(`engine, ${connections} connections, ${sync ? 'fsync' : 'no fsync'}`, usage)
    }
    const bare = await runMeasured(node(['-e', '0']))
    const cases = {
      'curl -o': () => timeCommand({ file: 'curl', args: ['-sfo', path.join(folder, 'curl'), registry.blobUrl] }),
      'openssl dgst': () => timeCommand({ file: 'openssl', args: ['dgst', '-sha256', registry.blobFile] }),
      'engine, 4 connections, no fsync': fetchOnce(4, false),
      'engine, 1 connections, no fsync': fetchOnce(1, false),
      'engine, 4 connections, fsync': fetchOnce(4, true),
      'apply --store (whole command)': async () =>
        note('apply --store (whole command)', await applyOnce(folder, registry)),
      ...realServer(registry),
    }
    const times = await interleave(cases, rounds)
    for (const [name, values] of Object.entries(times)) {
      const usage = usages.get(name) ?? []
      const more =
        usage.length === 0
          ? ''
          : `  cpu ${sampleOf(usage.map(({ cpuMs }) => cpuMs)).median.toFixed(0)} ms, memory ${(Math.max(...usage.map(({ peakBytes }) => peakBytes)) / 2 ** 20).toFixed(0)} MiB`
      console.log(
        `${name.padEnd(34)} ${format(sampleOf(values))}  ${format(ratioOf(values, times['curl -o'] ?? []), '×')}${more}`,
      )
    }
    console.log(`\nbare runtime: memory ${(bare.peakBytes / 2 ** 20).toFixed(0)} MiB`)
    const ratio = ratioOf(times['engine, 4 connections, no fsync'] ?? [], times['curl -o'] ?? []).median
    console.log(
      `verified download, like curl without fsync: ${ratio.toFixed(2)} × (target 1.35: ${ratio <= 1.35 ? 'met' : 'MISSED'}; stretch 1.15: ${ratio <= 1.15 ? 'met' : 'missed'})`,
    )
  } finally {
    registry.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The engine as it is in the package: compiled, with its thread in a file of its own. */
async function buildEngine(folder: string): Promise<string> {
  const outdir = path.join(folder, 'engine')
  const common = { bundle: true, format: 'esm', platform: 'node', outdir, outbase: root, absWorkingDir: root } as const
  await build({ ...common, entryPoints: ['bench/download-engine.ts'] })
  await build({ ...common, outbase: path.join(root, 'src'), entryPoints: ['src/runtime/hash-worker.ts'] })
  writeFileSync(path.join(outdir, 'package.json'), '{ "type": "module" }\n')
  return path.join(outdir, 'bench/download-engine.js')
}

async function applyOnce(folder: string, { model }: StaticRegistry): Promise<Usage> {
  const project = path.join(folder, 'project')
  rmSync(project, { recursive: true, force: true })
  mkdirSync(path.join(project, 'node_modules'), { recursive: true })
  symlinkSync(root, path.join(project, 'node_modules/ollama-config'), 'dir')
  writeFileSync(path.join(project, 'package.json'), '{ "type": "module", "dependencies": { "ollama-config": "*" } }\n')
  writeFileSync(
    path.join(project, 'ollama.config.ts'),
    `export default { models: [{ name: ${JSON.stringify(model)}, insecure: true }] }\n`,
  )
  const args = [main, 'apply', '--yes', `--store=${path.join(project, 'models')}`]
  return runMeasured({
    file: process.execPath,
    args,
    cwd: project,
    env: { ...process.env, HOME: project, XDG_STATE_HOME: project },
  })
}

function realServer({ model }: StaticRegistry): Record<string, () => Promise<number>> {
  const host = process.env['OLLAMA_TEST_HOST']
  if (host === undefined) return {}
  const url = new URL(host.includes('://') ? host : `http://${host}`)
  const post = async (path: string, body: object, method = 'POST') =>
    (await fetch(new URL(path, url), { method, body: JSON.stringify(body) })).text()
  return {
    'real server, /api/pull': async () => {
      await post('/api/delete', { model }, 'DELETE')
      const startedMs = performance.now()
      const said = await post('/api/pull', { model, insecure: true })
      if (!said.includes('"success"')) throw new Error(said.slice(-300))
      return performance.now() - startedMs
    },
  }
}
