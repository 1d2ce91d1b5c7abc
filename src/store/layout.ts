/** Where things lie in Ollama's model directory, and what may not be written there. No path leads out of it, whatever a name says. */
import { existsSync } from 'node:fs'
import path from 'node:path'
import { isDigest } from '../artifact/manifest.ts'
import { formatReference, parseListedName, type Reference } from '../artifact/reference.ts'
import { quoted, quotedPath, settingOf } from '../artifact/text.ts'
import { OllamaConfigError } from '../errors.ts'

export interface Layout {
  readonly folder: string
  readonly blobs: string
  readonly manifests: string
}

/** @param folder Absolute */
export function layoutOf(folder: string): Layout {
  return { folder, blobs: path.join(folder, 'blobs'), manifests: path.join(folder, 'manifests') }
}

/** As Ollama decides it: OLLAMA_MODELS, of which it takes quotes and spaces away, else a folder in the user's home. */
export function defaultFolder(
  env: Readonly<Record<string, string | undefined>>,
  platform: string,
  home: string,
): string {
  const { join } = platform === 'win32' ? path.win32 : path.posix
  const set = settingOf(env['OLLAMA_MODELS'] ?? '')
  return set === '' ? join(home, '.ollama', 'models') : set
}

/** @throws {OllamaConfigError} `invalid-response` for what is no digest */
export function blobFile({ blobs }: Layout, digest: string): string {
  if (isDigest(digest)) return path.join(blobs, digest.replace(':', '-'))
  throw new OllamaConfigError('invalid-response', `${quoted(digest)} is no SHA-256 digest of a blob`)
}

/** Where a blob is gathered while it is fetched: beside its place, so that renaming it is all that is left to do. */
export function partialFile(layout: Layout, digest: string): string {
  return `${blobFile(layout, digest)}.ollama-config`
}

/** @throws {OllamaConfigError} `invalid-reference` for parts that no name has, such as `..` */
export function manifestFile({ manifests }: Layout, reference: Reference): string {
  // Read again, all four parts: whoever made the reference may have put anything into it.
  const { host, namespace, model, tag } = parseListedName(
    `${reference.host}/${reference.namespace}/${reference.model}:${reference.tag}`,
  )
  return path.join(manifests, host, namespace, model, tag)
}

/** Of Windows, with any extension behind them. */
const deviceName = /^(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)/i

/** @throws {OllamaConfigError} `invalid-reference` for a name that becomes no path on this platform */
export function assertStorable(reference: Reference, platform: string): void {
  if (platform !== 'win32') return
  const { host, namespace, model, tag } = reference
  const bad = [host, namespace, model, tag].find(
    (part) => part.includes(':') || deviceName.test(part) || /[. ]$/.test(part),
  )
  if (bad === undefined) return
  throw new OllamaConfigError(
    'invalid-reference',
    `"${formatReference(reference)}" cannot be stored on Windows, which allows no file named ${quoted(bad)}`,
    { hint: 'use a registry without a port, or another name' },
  )
}

/** Ollama may lay out its models otherwise one day. @throws {OllamaConfigError} `store-unsupported` */
export function assertKnownLayout({ folder }: Layout): void {
  if (!existsSync(path.join(folder, 'manifests-v2'))) return
  throw new OllamaConfigError(
    'store-unsupported',
    `The store ${quotedPath(folder)} has a "manifests-v2", which this version does not know`,
    { hint: 'update ollama-config; until then only the Ollama server can work on this folder' },
  )
}
