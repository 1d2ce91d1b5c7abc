/** What stands for a declaration in the record, the lock file and plans. */
import type { BuildFields } from '../artifact/derived.ts'
import { goMapJson } from '../artifact/go-json.ts'
import { formatReference, type Reference, referenceKey } from '../artifact/reference.ts'
import type { DesiredState, LocalFile } from '../plan/state.ts'
import { sha256 } from '../runtime/sha256.ts'
import type { FileReader } from './inputs.ts'

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

/**
 * The hash of each model that is built, by `referenceKey`.
 *
 * @throws {OllamaConfigError} `config-invalid` for a file that cannot be read
 */
export async function declarationHashes(
  { models }: DesiredState,
  readFile: FileReader,
): Promise<ReadonlyMap<string, string>> {
  const readAll = (files: readonly LocalFile[]) =>
    Promise.all(files.map(async (file) => ({ name: file.name, digest: (await readFile(file)).digest })))
  const hashes = models.map(async ({ reference, recipe }) => {
    if (recipe?.kind !== 'build') return []
    const hash = hashOfBuild(recipe, await readAll(recipe.files), await readAll(recipe.adapters))
    return [[referenceKey(reference), hash] as const]
  })
  return new Map((await Promise.all(hashes)).flat())
}
