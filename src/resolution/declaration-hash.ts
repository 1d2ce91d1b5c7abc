/** What stands for a declaration in the record, the lock file and plans. */
import type { BuildFields } from '../artifact/derived.ts'
import { goMapJson } from '../artifact/go-json.ts'
import { formatReference, type Reference } from '../artifact/reference.ts'
import { sha256 } from '../runtime/sha256.ts'

export interface NamedBytes {
  readonly name: string
  readonly digest: string
}

/** A declared build, or a planned one. */
export interface HashedBuild extends Omit<BuildFields, 'adapters'> {
  readonly from: Reference | string | null
  readonly quantize: string | null
}

/** SHA-256 of everything that is declared, the bytes of files included: 64 hex digits. Where files lie does not count. */
export function hashOfBuild(build: HashedBuild, files: readonly NamedBytes[], adapters: readonly NamedBytes[]): string {
  const { from, system, template, parameters, messages, licenses, renderer, parser, requires, quantize } = build
  const bytes = (list: readonly NamedBytes[]) => list.map(({ name, digest }) => ({ name, digest }))
  return sha256(
    goMapJson({
      from: from === null || typeof from === 'string' ? from : formatReference(from),
      system,
      template,
      parameters,
      messages,
      licenses,
      renderer,
      parser,
      requires,
      quantize,
      files: bytes(files),
      adapters: bytes(adapters),
    }),
  )
}
