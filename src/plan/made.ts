/** What becomes of a declared model that is made on the host: built from another, from files, or a second name. */
import { shortDigest, totalBytes } from '../artifact/manifest.ts'
import { compareText, formatReference, referenceKey } from '../artifact/reference.ts'
import { printable } from '../artifact/text.ts'
import type { ErrorData } from '../errors.ts'
import { isKnownAs } from './content.ts'
import { damaged, factsOf, noOp } from './facts.ts'
import {
  type AliasChange,
  type BuildMethod,
  blockOf,
  type Change,
  type DeriveChange,
  type Difference,
  type PlannedBuild,
  type Reason,
  type RebuildChange,
  wordFor,
} from './plan.ts'
import { keptAs } from './previous.ts'
import type { BuildFindings, Intent, Recorded, Resolution } from './resolution.ts'
import type { Alias, Build, DesiredModel, InstalledModel } from './state.ts'

export interface MakeSituation {
  readonly model: DesiredModel
  readonly installed: InstalledModel | undefined
  /** Of what is there, and counts as not installed. */
  readonly damage?: string | undefined
  /** What becomes of the model that it starts from; `undefined` where it starts from files. */
  readonly source: Change | undefined
  readonly resolution: Resolution
  readonly intent: Intent
}

export function aliasChange(alias: Alias, situation: MakeSituation): Change {
  const { model, installed, source, damage } = situation
  const of = formatReference(alias.of)
  const digest = source === undefined ? null : digestAfter(source)
  if (installed !== undefined && installed.digest === digest) {
    return noOp(model.reference, installed, { code: 'in-sync', text: `the same as ${of}` })
  }
  const name = formatReference(model.reference)
  const reason: Reason =
    installed === undefined
      ? damage === undefined
        ? { code: 'missing', text: 'declared, not there' }
        : damaged(damage)
      : {
          code: 'alias-moved',
          text: `${shortDigest(installed.digest)} → ${digest === null ? `what ${of} is then` : shortDigest(digest)}`,
        }
  const change: AliasChange = {
    id: `alias:${name}`,
    action: 'alias',
    ...common(situation, digest, source?.after?.sizeBytes ?? null),
    precondition: { digest: installed?.digest ?? null, source: digestBefore(source) },
    of,
    reason,
  }
  return change
}

export function buildChange(build: Build, situation: MakeSituation): Change {
  const { model, installed, source, resolution } = situation
  const findings = resolution.builds.get(referenceKey(model.reference))
  // Never without: `resolveBuilds` looks at every one of them. A caller that skips it gets a plan that builds.
  const { predicted = null, differences = null, hidden = false } = findings ?? {}
  const moved = source !== undefined && isMoved(source, resolution)
  if (installed !== undefined) {
    const fine = (method: BuildMethod, text: string): Change => ({
      ...noOp(model.reference, installed, { code: 'in-sync', text }),
      method,
      ...(findings === undefined ? {} : { built: { declaration: findings.declaration, base: baseWanted(source) } }),
    })
    const recorded = resolution.recorded.get(referenceKey(model.reference))
    // Also where its base is pulled again, as the version that it was.
    if (isAsRecorded(installed, source, recorded, findings?.declaration))
      return fine('recorded', 'built as declared, as recorded')
    if (moved)
      return predicted?.digest === installed.digest
        ? stillFine(model, installed)
        : building(build, situation, findings, moved)
    // The locked version of its base cannot be had, and another is there: nothing is built of that one.
    if (source !== undefined && blockOf(source) !== undefined) return building(build, situation, findings, moved)
    if (predicted?.digest === installed.digest)
      return fine('predicted', 'built as declared: its digest is the predicted one')
    // A prediction may be wrong where the server is of another version; what cannot be told apart is not built again.
    if (differences?.length === 0 && !hidden)
      return fine('compared', `as declared, as far as the ${wordFor(resolution.kind)} tells`)
  }
  return building(build, situation, findings, moved)
}

function stillFine({ reference }: DesiredModel, installed: InstalledModel): Change {
  const reason: Reason = { code: 'in-sync', text: 'built as declared, also of what its base will be' }
  return { ...noOp(reference, installed, reason), method: 'predicted' }
}

function building(
  build: Build,
  situation: MakeSituation,
  findings: BuildFindings | undefined,
  moved: boolean,
): DeriveChange | RebuildChange {
  const { model, installed, source, resolution, damage } = situation
  const name = formatReference(model.reference)
  const { predicted = null, differences = null, declaration = '', files = [], adapters = [] } = findings ?? {}
  const details = {
    ...common(
      situation,
      predicted?.digest ?? null,
      predicted === null ? null : totalBytes(predicted.blobs),
      needsServer(name, build, resolution),
    ),
    precondition: { digest: installed?.digest ?? null, base: digestBefore(source) },
    build: plannedBuild(build, files, adapters),
    declaration,
    blobs: predicted?.blobs ?? null,
    uploadBytes: bytesToUpload([...files, ...adapters]),
  }
  if (installed === undefined) {
    const from =
      build.from === null ? files.map(({ name }) => printable(name, 100)).join(', ') : formatReference(build.from)
    const reason: Reason = damage === undefined ? { code: 'missing', text: `from ${from}` } : damaged(damage)
    return { id: `derive:${name}`, action: 'derive', ...details, reason }
  }
  const { method, differs, reason } = whyRebuilt(situation, predicted !== null, differences ?? [], moved)
  return { id: `rebuild:${name}`, action: 'rebuild', ...details, method, differences: differs, reason }
}

function whyRebuilt(
  { installed, source, model, resolution }: MakeSituation,
  isPredicted: boolean,
  differences: readonly Difference[],
  moved: boolean,
): { readonly method: BuildMethod; readonly differs: readonly Difference[]; readonly reason: Reason } {
  const recorded = resolution.recorded.get(referenceKey(model.reference))
  const oldBase = recorded?.digest === installed?.digest ? (recorded?.built?.base ?? null) : null
  const newBase = source === undefined ? null : digestAfter(source)
  const basesDiffer = oldBase !== null && newBase !== null ? oldBase !== newBase : moved
  const from: readonly Difference[] =
    basesDiffer && source !== undefined
      ? [{ field: 'from', text: `${source.reference} ${shortOf(oldBase)} → ${shortOf(newBase)}` }]
      : []
  const method = moved && basesDiffer ? 'base' : isPredicted ? 'predicted' : 'compared'
  const others = from.length === 0 ? differences : differences.filter(({ field }) => field !== 'from')
  const differs = [...from, ...others].sort((a, b) => compareText(a.field, b.field))
  if (basesDiffer) return { method, differs, reason: { code: 'base-moved', text: 'its base is another version' } }
  return recorded?.built !== undefined && recorded.digest === installed?.digest
    ? { method, differs, reason: { code: 'declaration-changed', text: 'its declaration changed' } }
    : { method, differs, reason: { code: 'not-as-declared', text: 'it is not what its declaration builds' } }
}

function shortOf(digest: string | null): string {
  return digest === null ? 'unknown' : shortDigest(digest)
}

/** The last apply built just this, from the same declaration and the same base, and nothing changed since. */
export function isAsRecorded(
  { digest }: InstalledModel,
  source: Change | undefined,
  recorded: Recorded | undefined,
  declaration: string | undefined,
): boolean {
  const built = recorded?.built
  const base = baseWanted(source)
  return (
    built !== undefined &&
    recorded?.digest === digest &&
    built.declaration === declaration &&
    built.base === base &&
    // A base of which nobody knows what it will be is no base that is known.
    (source === undefined || base !== null)
  )
}

/** Digest of the base that the model has to be built of: the locked one, also where that cannot be had any more. */
function baseWanted(source: Change | undefined): string | null {
  if (source === undefined) return null
  const isLockedElsewise = source.before !== null && blockOf(source) !== undefined
  return isLockedElsewise ? (source.after?.digest ?? null) : digestAfter(source)
}

/** Whether the source has other content after this plan, as far as can be known. */
export function isMoved(source: Change, resolution: Pick<Resolution, 'contents'>): boolean {
  return !isStaying(source) && !isPulledAnew(source, resolution)
}

/** As where only its manifest was printed otherwise: what is built from it stays as it is. */
function isPulledAnew(source: Change, resolution: Pick<Resolution, 'contents'>): boolean {
  if (source.action !== 'update' || source.manifest === null) return false
  return isKnownAs(source.before?.digest ?? '', source.manifest, resolution)
}

/** It is there and remains: nothing is to be done, or what would be cannot be. */
function isStaying(source: Change): boolean {
  return source.action === 'no-op' || (source.before !== null && blockOf(source) !== undefined)
}

/** `null` when it cannot be known. */
function digestAfter(change: Change): string | null {
  return (isStaying(change) ? change.before : change.after)?.digest ?? null
}

/** `null` where there is none, and when it is only brought by this plan. */
export function digestBefore(source: Change | undefined): string | null {
  return source !== undefined && isStaying(source) ? (source.before?.digest ?? null) : null
}

/** @param impossible Why it cannot be made, whatever becomes of its source */
function common(situation: MakeSituation, digest: string | null, sizeBytes: number | null, impossible?: ErrorData) {
  const { model, installed, source, resolution, intent } = situation
  const name = formatReference(model.reference)
  const blocked = impossible ?? (source === undefined ? undefined : blockedBy(name, source))
  return {
    reference: name,
    cloud: false,
    before: installed === undefined ? null : factsOf(installed),
    after: { digest, sizeBytes },
    dependsOn: source === undefined || isStaying(source) ? [] : [source.id],
    downloadBytes: 0,
    freedBytes: installed === undefined ? 0 : null,
    keepAs:
      installed !== undefined && blocked === undefined
        ? keptAs(model.reference, installed, true, intent, resolution)
        : null,
    ...(blocked === undefined ? {} : { blocked }),
  }
}

/** Only a server has the code that reads GGUF files and converts weights. */
function needsServer(name: string, { from, quantize }: Build, { kind }: Resolution): ErrorData | undefined {
  if (kind === 'host' || (from !== null && quantize === null)) return undefined
  const what = from === null ? 'built from files' : 'quantized'
  return {
    code: 'build-failed',
    message: `"${name}" cannot be made in a store: only a server can convert the weights of a model that is ${what}`,
    hint: 'leave out --store and apply to a server, such as one that keeps its models in this store',
  }
}

function blockedBy(name: string, source: Change): ErrorData | undefined {
  const blocked = blockOf(source)
  if (blocked === undefined) return undefined
  const message = `"${name}" cannot be made, since "${source.reference}" cannot be had: ${blocked.message}`
  return { code: blocked.code, message, ...(blocked.hint === undefined ? {} : { hint: blocked.hint }) }
}

function plannedBuild(
  { from, kind: _, cleared: __, ...fields }: Build,
  files: PlannedBuild['files'],
  adapters: PlannedBuild['adapters'],
): PlannedBuild {
  return { from: from === null ? null : formatReference(from), ...fields, files, adapters }
}

function bytesToUpload(files: PlannedBuild['files']): number | null {
  return files.reduce<number | null>(
    (sum, { onHost, sizeBytes }) => (sum === null || onHost === null ? null : onHost ? sum : sum + sizeBytes),
    0,
  )
}
