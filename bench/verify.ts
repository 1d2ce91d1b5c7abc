/**
 * `verify --store` of four files of 512 MiB, by the built command, against `openssl dgst -sha256` of the same files, one process per
 * core. The start of the command is measured by itself, on an empty folder: the rate is what comes on top of it.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { format, interleave, machineLine, ratioOf, runMeasured, type Sample, sampleOf, timeCommand } from './measure.ts'
import { writeWeights } from './static-registry.ts'

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
const fileBytes = 512 * 2 ** 20
const fileCount = 4
const rounds = 5

export async function benchVerify(): Promise<void> {
  if (!existsSync(main)) throw new Error('Build first: npm run build')
  const folder = mkdtempSync(path.join(tmpdir(), 'ollama-config-bench-'))
  try {
    const files = Array.from({ length: fileCount }, (_, index) => writeModel(folder, `m${index}`))
    writeFileSync(path.join(folder, 'ollama.config.json'), JSON.stringify({ models: [] }))
    console.log(`verify of ${fileCount} files of 512 MiB, ${availableParallelism()} cores, ${rounds} rounds in turn`)
    console.log(`${machineLine()}\n`)
    const command = { file: process.execPath, cwd: folder, env: { ...process.env, HOME: folder } }
    const openssl = async () => {
      const startedMs = performance.now()
      const waiting = [...files]
      const work = async () => {
        for (let file = waiting.shift(); file !== undefined; file = waiting.shift())
          await timeCommand({ file: 'openssl', args: ['dgst', '-sha256', file] })
      }
      await Promise.all(Array.from({ length: availableParallelism() }, work))
      return performance.now() - startedMs
    }
    const verify = (store: string) => async () =>
      (await runMeasured({ ...command, args: [main, 'verify', '--all', `--store=${store}`] })).wallMs
    const times = await interleave({ openssl, verify: verify('models'), start: verify('none') }, rounds)
    const net = times.verify.map((ms, round) => ms - (times.start[round] ?? 0))
    const rate = ratioOf(times.openssl, net)
    const whole = ratioOf(times.openssl, times.verify)
    console.log(`openssl dgst    ${format(sampleOf(times.openssl))}`)
    console.log(
      `verify --store  ${format(sampleOf(times.verify))}, of which its start ${format(sampleOf(times.start))}`,
    )
    console.log(
      `rate against openssl: ${ratio(rate)}, target 0.9: ${rate.median >= 0.9 ? 'met' : 'MISSED'}; with the start in it ${ratio(whole)}`,
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function ratio({ median, min, max }: Sample): string {
  return `${median.toFixed(2)} × (${min.toFixed(2)}..${max.toFixed(2)})`
}

/** @returns the path of its weights */
function writeModel(folder: string, name: string): string {
  const store = path.join(folder, 'models')
  const blobs = path.join(store, 'blobs')
  const tags = path.join(store, 'manifests/registry.ollama.ai/library', name)
  for (const made of [blobs, tags]) mkdirSync(made, { recursive: true })
  const written = path.join(folder, name)
  const digest = writeWeights(written, fileBytes, name)
  const file = path.join(blobs, digest.replace(':', '-'))
  renameSync(written, file)
  const config = '{"model_format":"gguf"}'
  const configDigest = `sha256:${createHash('sha256').update(config).digest('hex')}`
  writeFileSync(path.join(blobs, configDigest.replace(':', '-')), config)
  const layer = { mediaType: 'application/vnd.ollama.image.model', digest, size: fileBytes }
  const entry = {
    mediaType: 'application/vnd.docker.container.image.v1+json',
    digest: configDigest,
    size: config.length,
  }
  writeFileSync(path.join(tags, 'latest'), JSON.stringify({ schemaVersion: 2, config: entry, layers: [layer] }))
  return file
}
