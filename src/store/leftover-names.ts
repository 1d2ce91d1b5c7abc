/** By which names leftovers in a store are known. Whatever has another one belongs to somebody else. */
import path from 'node:path'
import type { Layout } from './layout.ts'
import { mutexName } from './mutex.ts'

/** `temporary`: what a build or a write left; `folder`: that of a conversion. */
export type LeftoverKind = 'blob' | 'partial' | 'temporary' | 'folder'

const blob = /^sha256-[0-9a-f]{64}$/
/** Of a server (download.go, x/transfer), and ours with its journal. */
const partial = /^sha256-[0-9a-f]{64}(?:-partial(?:-\d+)?|\.tmp|\.ollama-config(?:-[a-z]+)?)$/
const ours = /^\.ollama-config-[0-9a-f-]{36}\.tmp$/
/** Go puts a number behind the beginning that it is given (layer.go, create.go and quantization.go in v0.33). */
const serverTemporary =
  /^(?:sha256-|COPY|B?F16|F32|I?Q\d[A-Z0-9_]*?|split-copy|projector-metadata|compat-tensors)\d{1,10}$/
const splitFolder = /^split-gguf-\d{1,10}$/
const conversionFolder = /^ollama-safetensors\d{1,10}$/
/** What taking the mutex leaves when it is killed. */
const mutexTemporary = new RegExp(`^\\.?\\${mutexName}(?:\\.mutex)?-[0-9a-f-]{36}$`)

/** `undefined` for a file that is not known. */
export function kindOf({ folder, blobs, manifests }: Layout, file: string): LeftoverKind | undefined {
  const name = path.basename(file)
  switch (path.dirname(file)) {
    case blobs:
      if (blob.test(name)) return 'blob'
      if (partial.test(name)) return 'partial'
      if (splitFolder.test(name)) return 'folder'
      return ours.test(name) || serverTemporary.test(name) ? 'temporary' : undefined
    case manifests:
      return ours.test(name) ? 'temporary' : undefined
    case folder:
      if (conversionFolder.test(name)) return 'folder'
      return mutexTemporary.test(name) ? 'temporary' : undefined
    default:
      return undefined
  }
}

/** Left by this package, and not by a server. */
export function isOurs(file: string): boolean {
  return path.basename(file).includes('.ollama-config')
}

/** Of a blob, or of what is to become one. */
export function digestOf(file: string): string {
  return path
    .basename(file)
    .slice(0, 'sha256-'.length + 64)
    .replace('-', ':')
}
