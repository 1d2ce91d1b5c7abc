/** Derived models, byte for byte as the recorded server builds them with `from`: layers, config, manifest. */
import { type Blob, type Content, configMediaType, type ManifestLayer, sha256 } from './content.ts'
import { goJson } from './json-body.ts'
import { readConfig } from './store.ts'

export interface DeriveFields {
  system?: string
  template?: string
  license?: string | string[]
  parameters?: Record<string, unknown>
  messages?: Record<string, unknown>[]
  renderer?: string
  parser?: string
  requires?: string
}

/** `baseName` is the base's short name with its tag: what the layers will carry as `from`. */
export function derive(base: Content, baseName: string, fields: DeriveFields): Content {
  const blobs = new Map<string, Blob>(base.blobs)
  let layers: ManifestLayer[] = base.layers.map(({ mediaType, digest, size }) => ({
    mediaType,
    digest,
    size,
    from: baseName,
  }))
  const drop = (kind: string) => {
    layers = layers.filter((layer) => layer.mediaType !== mediaTypeOf(kind))
  }
  const add = (mediaType: string, text: string): ManifestLayer => {
    const bytes = new TextEncoder().encode(text)
    const layer = { mediaType, digest: `sha256:${sha256(bytes)}`, size: bytes.length }
    blobs.set(layer.digest, { size: bytes.length, bytes, served: undefined })
    return layer
  }
  const replace = (kind: string, text: string) => {
    drop(kind)
    layers.push(add(mediaTypeOf(kind), text))
  }
  if (fields.template) replace('template', fields.template)
  if (fields.system) replace('system', fields.system)
  // Licenses only ever pile up.
  for (const license of [fields.license ?? []].flat()) layers.push(add(mediaTypeOf('license'), license))
  const inherited = layers.find((layer) => layer.mediaType === mediaTypeOf('params'))
  const bytes = inherited === undefined ? undefined : blobs.get(inherited.digest)?.bytes
  const known = bytes === undefined ? {} : (JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>)
  // Written anew even when nothing is declared: keys sorted, a newline at the end.
  const parameters = { ...known, ...fields.parameters }
  if (Object.keys(parameters).length > 0) replace('params', `${goJson(sorted(parameters))}\n`)
  const messages = fields.messages ?? []
  if (messages.length > 0) replace('messages', `${goJson(messages.map(storedMessage))}\n`)

  const config = add(configMediaType, `${goJson(derivedConfig(base, fields))}\n`)
  const json = goJson({
    schemaVersion: 2,
    mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
    config,
    layers: layers.length === 0 ? null : layers,
  })
  const named = new Set([config, ...layers].map((layer) => layer.digest))
  for (const digest of blobs.keys()) if (!named.has(digest)) blobs.delete(digest)
  // The reported digest leaves the final newline out where the JSON just fills the decoder's buffer.
  const fills = bufferSizes.includes(Buffer.byteLength(json))
  return { manifest: `${json}\n`, digest: sha256(fills ? json : `${json}\n`), layers, config, blobs }
}

const bufferSizes = [512, 1536, 3584, 7680, 15872, 32256]

function mediaTypeOf(kind: string): string {
  return `application/vnd.ollama.image.${kind}`
}

function derivedConfig(base: Content, { renderer, parser, requires }: DeriveFields): object {
  const { model_format, model_family, model_families, model_type, file_type, ...rest } = readConfig(base)
  // Absent keys are dropped by the printer.
  return {
    model_format,
    model_family,
    model_families,
    model_type,
    file_type,
    renderer: renderer || rest.renderer,
    parser: parser || rest.parser,
    requires: requires || rest.requires,
    architecture: 'amd64',
    os: 'linux',
  }
}

function storedMessage(message: Record<string, unknown>): object {
  const { role, content, thinking, images, tool_calls, tool_name, tool_call_id } = message
  const calls = (tool_calls as { function: { name: string; arguments: unknown } }[] | undefined)?.map(
    ({ function: called }) => ({ function: { index: 0, name: called.name, arguments: called.arguments } }),
  )
  return {
    role: String(role).toLowerCase(),
    content,
    thinking,
    images,
    tool_calls: calls,
    tool_name,
    tool_call_id,
  }
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, item]) => [key, sorted(item)]))
}
