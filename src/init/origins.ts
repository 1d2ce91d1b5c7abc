/** Where each installed model comes from: pulled, built of another one here, a second name, or nobody knows. Pure. */
import {
  compareText,
  defaultHost,
  defaultNamespace,
  isAddressable,
  parseListedName,
  type Reference,
  referenceKey,
} from '../artifact/reference.ts'
import type { ManifestAnswer } from '../artifact/served.ts'
import { printable, quoted } from '../artifact/text.ts'
import { isOllamaConfigError } from '../errors.ts'
import type { InstalledModel } from '../plan/state.ts'

/** What its registry says of an installed model. */
export interface Answer {
  /** `null`: it was not asked. */
  readonly answer: ManifestAnswer | null
  /** It answered over plain http only. */
  readonly insecure: boolean
}

export type Origin =
  | { readonly kind: 'pulled'; readonly insecure: boolean; readonly note?: string }
  | { readonly kind: 'built'; readonly base: InstalledModel }
  | { readonly kind: 'alias'; readonly of: InstalledModel; readonly note?: string }
  | { readonly kind: 'unknown'; readonly reason: string }

/** @param answers By `referenceKey` */
export function originsOf(
  models: readonly InstalledModel[],
  answers: ReadonlyMap<string, Answer>,
): ReadonlyMap<InstalledModel, Origin> {
  const byKey = new Map(models.map((model) => [referenceKey(model.reference), model]))
  const answerTo = ({ reference }: InstalledModel) => answers.get(referenceKey(reference))
  const origins = new Map(models.map((model) => [model, originOf(model, answerTo(model), byKey)]))
  const bases = new Set([...origins.values()].map((origin) => (origin.kind === 'built' ? origin.base : undefined)))
  const groups = new Map<string, InstalledModel[]>()
  for (const model of models) {
    if (model.remoteHost !== undefined || !isAddressable(model.name)) continue
    groups.set(model.digest, [...(groups.get(model.digest) ?? []), model])
  }
  for (const group of groups.values()) {
    if (group.length > 1) nameAliases(group, origins, answerTo, bases)
  }
  return origins
}

function originOf(
  model: InstalledModel,
  { answer, insecure }: Answer = { answer: null, insecure: false },
  installed: ReadonlyMap<string, InstalledModel>,
): Origin {
  const { reference, digest, parentModel } = model
  if (model.remoteHost !== undefined) {
    return reference.cloud
      ? { kind: 'pulled', insecure: false }
      : { kind: 'unknown', reason: `made of a model that runs at ${printable(model.remoteHost, 80)}` }
  }
  if (!isAddressable(model.name))
    return { kind: 'unknown', reason: 'a server takes its name for that of another model' }
  if (answer?.kind === 'found' && answer.served.digest === digest) return pulled(insecure)
  const parent = parentModel === undefined ? undefined : parentOf(parentModel)
  const base = parent === undefined ? undefined : installed.get(referenceKey(parent))
  if (base !== undefined && base !== model && base.digest !== digest) return { kind: 'built', base }
  // Whoever pushes a model leaves in it what it was built from there.
  const isOthers =
    reference.namespace.toLowerCase() !== defaultNamespace || reference.host.toLowerCase() !== defaultHost
  if (answer?.kind === 'found' && (parent === undefined || isOthers)) return pulled(insecure)
  if (parent !== undefined && parentModel !== undefined) {
    const reason =
      base === model
        ? 'built from an earlier version of itself'
        : base !== undefined
          ? `the same as ${quoted(base.name)} is now, and built from what that was`
          : `built from ${quoted(parentModel)}, which is not installed any more`
    return { kind: 'unknown', reason }
  }
  const file = parentModel === undefined ? '' : `built from the file ${quoted(parentModel)}`
  if (answer?.kind === 'missing')
    return {
      kind: 'unknown',
      reason: file === '' ? 'its registry does not have it: made on this host, or withdrawn' : file,
    }
  const asked = answer === null || answer.kind === 'found' ? '' : whyUnknown(answer, reference)
  return pulled(insecure, file, asked)
}

function whyUnknown({ kind }: ManifestAnswer, { host }: Reference): string {
  if (kind === 'too-new') return 'the registry has a version that this Ollama is too old for'
  return kind === 'unauthorized'
    ? `${host} wants a sign-in, so that it is not known what it has`
    : `${host} did not tell whether it has it`
}

function pulled(insecure: boolean, ...notes: readonly string[]): Origin {
  const all = [insecure ? 'its registry answered over plain http only' : '', ...notes]
  const note = all.filter((text) => text !== '').join('; ')
  return { kind: 'pulled', insecure, ...(note === '' ? {} : { note }) }
}

/** The name of a model; `undefined` for what is a file, as of a model that was imported, or a path on its author's machine. */
function parentOf(name: string): Reference | undefined {
  if (/\.(gguf|bin|safetensors)$|[\\/]blobs[\\/]|^[./~]/i.test(name)) return undefined
  try {
    return parseListedName(name)
  } catch (error) {
    if (!isOllamaConfigError(error)) throw error
    return undefined
  }
}

/** Models of one digest: those that the registry has are what they are, the others are second names of the likeliest. */
function nameAliases(
  group: readonly InstalledModel[],
  origins: Map<InstalledModel, Origin>,
  answerTo: (model: InstalledModel) => Answer | undefined,
  bases: ReadonlySet<InstalledModel | undefined>,
): void {
  const servedAs = (model: InstalledModel) => {
    const answer = answerTo(model)?.answer
    if (answer?.kind === 'found') return answer.served.digest === model.digest ? 0 : 1
    return answer?.kind === 'missing' ? 3 : 2
  }
  const isKnown = (model: InstalledModel) => origins.get(model)?.kind !== 'unknown'
  const rank = (model: InstalledModel) => servedAs(model) * 2 + (bases.has(model) ? 0 : 1)
  const likely = group.filter(isKnown).sort((a, b) => rank(a) - rank(b) || compareNames(a, b))
  const [first] = likely
  if (first === undefined) return
  const isBuilt = origins.get(first)?.kind === 'built'
  for (const model of group) {
    if (model === first || servedAs(model) === 0) continue
    // Two tags of one model are often the same version.
    if (!isBuilt && isKnown(model) && servedAs(model) < 3 && isSameRepository(model.reference, first.reference))
      continue
    const note =
      servedAs(model) === 2 && !isBuilt ? { note: 'the same bytes; which of the two is the copy is a guess' } : {}
    origins.set(model, { kind: 'alias', of: first, ...note })
  }
}

/** A name that says more is more likely that of a registry. */
function compareNames(
  { reference: a, name: left }: InstalledModel,
  { reference: b, name: right }: InstalledModel,
): number {
  const detail = ({ host, namespace, tag }: Reference) =>
    (host.toLowerCase() === defaultHost ? 0 : 4) + (namespace === defaultNamespace ? 0 : 2) + (tag === 'latest' ? 0 : 1)
  return detail(b) - detail(a) || compareText(left, right)
}

function isSameRepository(a: Reference, b: Reference): boolean {
  return referenceKey({ ...a, tag: '' }) === referenceKey({ ...b, tag: '' })
}
