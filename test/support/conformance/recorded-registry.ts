/** The registry of the recordings, from registry-content.json: what the test server can pull and have installed. */
import { readFileSync } from 'node:fs'
import type { RegistryModel, ServerLayer } from '../ollama-server.ts'
import type { ServedModel } from '../registry.ts'

interface ContentLayer {
  mediaType: string
  digest: string
  size: number
  base64?: string
  header_base64?: string
  fill_hex?: string
}

interface ContentModel {
  repository: string
  tag: string
  version?: string
  manifest: { text: string }
  config: ContentLayer & { text: string }
  layers: ContentLayer[]
}

export function readFixture(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../../fixtures/transcripts/${name}.json`, import.meta.url), 'utf8'))
}

const { models } = readFixture('registry-content') as { models: ContentModel[] }

export const loopbackRegistry = '127.0.0.1:5060'

/** The weights of `corrupt` arrived with the right length and other bytes: what they hashed to. */
const otherBytes: Record<string, string> = {
  'sha256:475c67fd4c1129ad85d9648e89a353090e5be3972d05e1de6af6dc914be5ddf1':
    'sha256:6c6897240943a4e1218c0016a09d07f5ce5f57fe99c390cad571e4c2adb30015',
}

/** Every recorded model, as served under both names of the registry; of a tag that moves, the first version. */
export function recordedRegistry(): RegistryModel[] {
  const served = models.filter((model) => model.version !== 'v2')
  return served.flatMap((model) => [
    { ...fromContent(model, `${loopbackRegistry}/${model.repository}:${model.tag}`), plainHttp: true },
    fromContent(model, `${model.repository.replace(/^library\//, '')}:${model.tag}`),
  ])
}

/** One of them by its name, such as `small` or `127.0.0.1:5060/library/chatty:8b`. */
export function recorded(name: string): RegistryModel {
  const full = /:[^/]+$/.test(name) ? name : `${name}:latest`
  const found = recordedRegistry().find((model) => model.name === full)
  if (found === undefined) throw new Error(`no recorded model ${name}`)
  return found
}

export function movedTag(): RegistryModel {
  const second = models.find((model) => model.version === 'v2')
  if (second === undefined) throw new Error('no second version of the moving tag')
  return { ...fromContent(second, `${loopbackRegistry}/library/moving:latest`), plainHttp: true }
}

/** The same for a registry that serves it: the large layer is made as it is sent, and one blob is missing. */
export function servedModels(version?: 'v2'): ServedModel[] {
  return models
    .filter((model) => (version === undefined ? model.version !== 'v2' : model.version === version))
    .map((model): ServedModel => {
      const { name, manifest, layers } = fromContent(model, `${model.repository}:${model.tag}`)
      const large = model.layers.find(({ fill_hex }) => fill_hex !== undefined)
      const content = {
        name,
        ...(manifest === undefined ? {} : { manifest }),
        ...(layers === undefined ? {} : { layers }),
      }
      if (large !== undefined) {
        const header = Buffer.from(large.header_base64 ?? '', 'base64')
        return { ...content, fill: { header, repeat: Buffer.from(large.fill_hex ?? '', 'hex') } }
      }
      return {
        ...content,
        lostBlobs: model.layers.filter(({ base64 }) => base64 === undefined).map(({ digest }) => digest),
      }
    })
}

function fromContent({ manifest, config, layers, repository }: ContentModel, name: string): RegistryModel {
  const blobs = [...layers, config].map(({ mediaType, digest, size, base64 }): ServerLayer => {
    const bytes = base64 === undefined ? {} : { bytes: Buffer.from(base64, 'base64') }
    const served = otherBytes[digest]
    return { mediaType, digest, size, ...bytes, ...(served === undefined ? {} : { served }) }
  })
  const facts = JSON.parse(config.text) as { model_family: string; model_type: string; file_type: string }
  return {
    name,
    manifest: manifest.text,
    layers: blobs,
    ...gguf(facts),
    capabilities: capabilitiesOf(repository, layers),
  }
}

/** What the server reads from the weights; the recorded ones differ in these three facts only. */
function gguf({ model_family: family, model_type, file_type }: Record<string, string>) {
  const count = model_type === '75M' ? 75_000_000 : Number(model_type)
  const fileTypes: Record<string, number> = { F16: 1, Q8_0: 7, Q4_K_M: 15 }
  return {
    details: { context_length: 2048, embedding_length: 64 },
    modelInfo: {
      'general.architecture': family,
      'general.file_type': fileTypes[file_type ?? ''],
      'general.parameter_count': count,
      [`${family}.block_count`]: 1,
      [`${family}.context_length`]: 2048,
      [`${family}.embedding_length`]: 64,
      ...(family === 'nomic-bert' ? { 'nomic-bert.pooling_type': 1 } : {}),
    },
    tensors: [{ name: 'token_embd.weight', type: 'F32', shape: [count] }],
  }
}

/** A template that knows of tools makes a model that can use them. */
function capabilitiesOf(repository: string, layers: ContentLayer[]): string[] {
  if (repository === 'library/embedder') return ['embedding']
  const template = layers.find((layer) => layer.mediaType.endsWith('.image.template'))?.base64 ?? ''
  const isForTools = Buffer.from(template, 'base64').toString().includes('.Tools')
  return isForTools ? ['completion', 'tools'] : ['completion']
}
