/** What is captured: the commands, on a server and a registry of the tests, and what of their output is another each time. */
import { type OllamaServer, type RegistryModel, startOllamaServer } from '../../test/support/ollama-server.ts'
import { type ServedModel, startRegistry } from '../../test/support/registry.ts'

export const columns = 80

export interface Scene {
  readonly name: 'plan' | 'apply' | 'doctor'
  readonly title: string
  readonly words: readonly string[]
  /** The picture is taken when this is on the screen. Default: at the end. */
  readonly until?: RegExp
  /** Besides what every scene has. */
  readonly env?: Readonly<Record<string, string>>
}

export const scenes: readonly Scene[] = [
  { name: 'plan', title: 'ollama-config plan, in a terminal', words: ['plan'] },
  {
    name: 'apply',
    title: 'ollama-config apply, while it pulls',
    words: ['apply', '--yes', '--no-prune'],
    until: /\b46%.* left\n[\s\S]*\b\d+ of \d+ done/,
  },
  {
    name: 'doctor',
    title: 'ollama-config doctor, in a terminal',
    words: ['doctor'],
    env: { HTTPS_PROXY: 'http://proxy.corp:3128' },
  },
]

export const config = `import { defineConfig } from 'ollama-config'

export default defineConfig({
  models: [
    'nomic-embed-text',
    'qwen3:8b',
    { name: 'reviewer', from: 'qwen3:8b', system: 'You review diffs.', parameters: { num_ctx: 16384 } },
  ],
})
`

const mediaType = 'application/vnd.ollama.image.model'

function model(name: string, megabytes: number, fill: string): RegistryModel {
  const digest = `sha256:${fill.repeat(64)}`
  return { name, layers: [{ mediaType, size: megabytes * 1e6, digest }] }
}

/** Nobody asks this registry for the bytes: the server has a source of its own. */
function onlyNamed({ name, layers = [] }: RegistryModel): ServedModel {
  return { name, layers, lostBlobs: layers.flatMap(({ digest }) => digest ?? []) }
}

export interface Stage {
  readonly server: OllamaServer
  readonly registryUrl: string
  close(): Promise<void>
}

/** A server with two models, and a registry with two more. Of the larger one a pull stands still at 46%. */
export async function openStage(): Promise<Stage> {
  const small = model('nomic-embed-text', 274, '1')
  const large = { ...model('qwen3:8b', 5200, '2'), bytesPerTick: 52_000_000 }
  const installed = [model('all-minilm', 45, '3'), model('gemma3:4b', 3300, '4')]
  const registry = await startRegistry({ models: [small, large, ...installed].map(onlyNamed) })
  const server = await startOllamaServer({ models: installed, registry: [small, large] })
  server.fail({ path: '/api/pull', model: 'qwen3:8b' }, { kind: 'hold', afterLines: 48 })
  return {
    server,
    registryUrl: registry.url,
    close: async () => {
      server.release()
      await Promise.all([server.close(), registry.close()])
    },
  }
}

/** Figures of one run, replaced by others that are as wide. */
export function steady(text: string, { server }: Stage, folder: string): string {
  return text
    .replaceAll(server.url, 'http://127.0.0.1:11434')
    .replaceAll(folder, '~/project')
    .replaceAll(/[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]/g, '⠹')
    .replaceAll(/\b[\d.]+ [KMG]?B\/s */g, (found) => '118 MB/s'.padEnd(found.length))
    .replaceAll(/\b(?:\d+[dhms] ?)+left */g, (found) => '24s left'.padEnd(found.length))
    .replaceAll(/ in [\d.]+s\b/g, ' in 2s')
}
