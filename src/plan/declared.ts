/** What becomes of a declared model: nothing, a pull, or an update to what the lock or the tag says. */
import {
  formatManifest,
  isSameContent,
  type Layer,
  type Manifest,
  nominalBytes,
  shortDigest,
} from '../artifact/manifest.ts'
import { formatReference, referenceKey } from '../artifact/reference.ts'
import type { ManifestAnswer, ServedManifest } from '../artifact/served.ts'
import type { ErrorData } from '../errors.ts'
import { hasContent, isKnownAs } from './content.ts'
import { damaged, factsOf, noOp } from './facts.ts'
import type { Change, PlannedManifest, PullChange, Reason, UpdateChange } from './plan.ts'
import { keptAs } from './previous.ts'
import { type Intent, isHadByLock, isUpdated, type Pin, type Resolution } from './resolution.ts'
import { rewritesManifests } from './server-version.ts'
import type { DesiredModel, InstalledModel } from './state.ts'

/** What a fetch is to bring, or why it cannot. */
interface Goal {
  readonly digest: string | null
  readonly manifest: PlannedManifest | null
  readonly locked: boolean
  readonly reason: Reason
  readonly blocked?: ErrorData | undefined
}

interface Circumstances {
  readonly resolution: Resolution
  readonly intent: Intent
  readonly serverVersion: string | null
  /** Of what is there, and counts as not installed. */
  readonly damage?: string | undefined
}

export function declaredChange(
  key: string,
  model: DesiredModel,
  installed: InstalledModel | undefined,
  circumstances: Circumstances,
): Change {
  const change = wantedChange(key, model, installed, circumstances)
  return installed?.unusable !== undefined && change.action === 'no-op'
    ? unusableChange(model, installed, installed.unusable, circumstances)
    : change
}

/** Nothing replaces it unasked: it may be the only copy, or of use again in a moment. */
function unusableChange(
  model: DesiredModel,
  installed: InstalledModel,
  unusable: string,
  circumstances: Circumstances,
): Change {
  const name = formatReference(model.reference)
  const { kind } = circumstances.resolution
  const blocked: ErrorData = {
    code: 'verification-failed',
    message: `"${name}" is installed, and cannot be used: ${unusable}`,
    hint:
      kind === 'host'
        ? `look at the log of the server; where it needs to be pulled anew, "ollama rm ${name}" comes first`
        : '"ollama-config verify" tells more',
  }
  const { digest } = installed
  return fetchChange(
    model,
    installed,
    { digest, manifest: null, locked: false, reason: damaged(unusable), blocked },
    circumstances,
  )
}

function wantedChange(
  key: string,
  model: DesiredModel,
  installed: InstalledModel | undefined,
  circumstances: Circumstances,
): Change {
  const { resolution, intent, damage } = circumstances
  const answer = resolution.answers.get(key)
  const pin = isUpdated(key, intent) ? undefined : resolution.pins.get(key)
  if (installed === undefined) {
    if (pin !== undefined && !model.reference.cloud)
      return fetchChange(model, undefined, pinnedGoal(model, pin, answer, circumstances), circumstances)
    return fetchChange(
      model,
      undefined,
      servedGoal(answer, resolution, missing(model, damage, 'declared, not installed')),
      circumstances,
    )
  }
  if (installed.remoteHost !== undefined) return inSync(model, installed)
  // An update leaves alone what was not named, so no registry was asked about it either.
  if (pin !== undefined && intent.update === null) return towardsPin(model, installed, pin, circumstances)
  return isUpdated(key, intent) ? towardsTag(model, installed, circumstances) : inSync(model, installed)
}

function missing({ neededBy }: DesiredModel, damage: string | undefined, text: string): Reason {
  if (damage !== undefined) return damaged(damage)
  return neededBy === undefined ? { code: 'missing', text } : { code: 'needed', text: `needed by ${neededBy}` }
}

function inSync(model: DesiredModel, installed: InstalledModel, text = 'installed'): Change {
  return noOp(model.reference, installed, { code: 'in-sync', text })
}

function towardsPin(model: DesiredModel, installed: InstalledModel, pin: Pin, circumstances: Circumstances): Change {
  const { resolution, serverVersion } = circumstances
  if (installed.digest === pin.digest) return inSync(model, installed, 'installed, as locked')
  if (pin.manifest !== null && isAsPinned(installed, pin.manifest, resolution, serverVersion)) {
    return noOp(model.reference, installed, {
      code: 'same-content',
      text: 'installed, with the content that is locked',
    })
  }
  const answer = resolution.answers.get(referenceKey(model.reference))
  return fetchChange(model, installed, pinnedGoal(model, pin, answer, circumstances, installed), circumstances)
}

/** A server that prints every manifest anew never gets the digest right; of another only what is known for sure counts. */
function isAsPinned(
  installed: InstalledModel,
  manifest: Manifest,
  resolution: Resolution,
  serverVersion: string | null,
): boolean {
  if (!rewritesManifests(serverVersion) && !resolution.contents.has(installed.digest)) return false
  return hasContent(installed, manifest, resolution)
}

/**
 * A server can only pull the tag, so the tag has to name the locked version still. What fetches by digest needs the manifest, which the
 * lock file has, or else the tag.
 */
function pinnedGoal(
  model: DesiredModel,
  pin: Pin,
  answer: ManifestAnswer | undefined,
  { resolution, damage }: Circumstances,
  installed?: InstalledModel,
): Goal {
  const reason: Reason =
    installed === undefined
      ? missing(model, damage, 'declared and locked, not installed')
      : {
          code: 'locked-elsewise',
          text: `${shortDigest(installed.digest)} → ${shortDigest(pin.digest)}, as locked`,
        }
  const fromLock: Goal = {
    digest: pin.digest,
    manifest:
      pin.manifest === null
        ? null
        : planned({ digest: pin.digest, manifest: pin.manifest, text: pin.text }, resolution),
    locked: true,
    reason,
  }
  if (isHadByLock(pin, resolution)) return fromLock
  switch (answer?.kind) {
    case 'found': {
      const { served } = answer
      if (served.digest === pin.digest) return { ...fromLock, manifest: planned(served, resolution) }
      if (pin.manifest !== null && isSameContent(pin.manifest, served.manifest)) {
        return { ...fromLock, digest: served.digest, manifest: planned(served, resolution) }
      }
      const problem = `the tag names ${shortDigest(served.digest)} now`
      return { ...fromLock, blocked: lockedVersionGone(model, problem, pin, resolution) }
    }
    case 'missing':
      return { ...fromLock, blocked: lockedVersionGone(model, 'the registry no longer has the tag', pin, resolution) }
    case 'too-new':
      return fromLock
    default:
      // Pulling blindly could put a wrong version in the place of one that works.
      return installed === undefined ? fromLock : { ...fromLock, blocked: lockUnchecked(model, answer) }
  }
}

function lockedVersionGone(
  { reference }: DesiredModel,
  problem: string,
  { digest, manifest }: Pin,
  { fetchesByDigest }: Resolution,
): ErrorData {
  const name = formatReference(reference)
  const why = fetchesByDigest ? 'the lock file does not have its manifest' : 'a server can only pull what a tag names'
  const byDigest = manifest === null ? '' : '; with --store, apply fetches the locked one by its digest'
  return {
    code: 'locked-version-gone',
    message: `"${name}" is locked to ${shortDigest(digest)}, but ${problem}, and ${why}`,
    hint: `"ollama-config update ${name}" takes the version of the tag and locks it${byDigest}`,
  }
}

function lockUnchecked({ reference }: DesiredModel, answer: ManifestAnswer | undefined): ErrorData {
  const why = answer !== undefined && 'problem' in answer ? answer.problem : 'no registry was asked (--offline)'
  return {
    code: 'registry-unreachable',
    message: `"${formatReference(reference)}" is not replaced by the locked version, since it is not known whether the registry still serves that: ${why}`,
    hint: 'try again when the registry can be asked',
  }
}

/** What the tag names, as far as known. */
function servedGoal(answer: ManifestAnswer | undefined, resolution: Resolution, reason: Reason): Goal {
  const served = answer?.kind === 'found' ? answer.served : undefined
  const manifest = served === undefined ? null : planned(served, resolution)
  return { digest: served?.digest ?? null, manifest, locked: false, reason }
}

const uncheckedTexts: Readonly<Record<Exclude<ManifestAnswer['kind'], 'found'>, string>> = {
  missing: 'the registry does not have its tag',
  'too-new': 'what its tag names needs a newer Ollama',
  unauthorized: 'the registry could not tell its version',
  unknown: 'the registry could not tell its version',
}

/** A server that prints every manifest anew never lists the digest of the registry: pulling again would mend nothing. */
function isServed(
  installed: InstalledModel,
  served: ServedManifest,
  { resolution, serverVersion }: Circumstances,
): Reason | undefined {
  if (served.digest === installed.digest) return { code: 'in-sync', text: 'up to date' }
  if (!rewritesManifests(serverVersion) || !hasContent(installed, served.manifest, resolution)) return undefined
  return { code: 'same-content', text: 'installed, with the content of its tag' }
}

function towardsTag(model: DesiredModel, installed: InstalledModel, circumstances: Circumstances): Change {
  const { resolution } = circumstances
  const answer = resolution.answers.get(referenceKey(model.reference))
  if (answer?.kind !== 'found') {
    return noOp(model.reference, installed, {
      code: 'not-checked',
      text: `installed; ${uncheckedTexts[answer?.kind ?? 'unknown']}`,
    })
  }
  const { served } = answer
  const same = isServed(installed, served, circumstances)
  if (same !== undefined) {
    const pin = resolution.pins.get(referenceKey(model.reference))
    const upToDate = noOp(model.reference, installed, same)
    return pin === undefined || pin.digest === served.digest
      ? upToDate
      : { ...upToDate, lock: planned(served, resolution) }
  }
  const goal = servedGoal(answer, resolution, tagReason(installed, served, resolution))
  return fetchChange(model, installed, goal, circumstances)
}

function tagReason(installed: InstalledModel, { digest, manifest }: ServedManifest, resolution: Resolution): Reason {
  if (isKnownAs(installed.digest, manifest, resolution)) {
    return { code: 'manifest-rewritten', text: 'same content, its manifest was printed anew; pulling it mends that' }
  }
  return {
    code: 'tag-moved',
    text: `${shortDigest(installed.digest)} → ${shortDigest(digest)}`,
  }
}

function planned(
  {
    digest,
    manifest,
    text,
  }: { readonly digest: string; readonly manifest: Manifest; readonly text?: string | undefined },
  { blobs }: Resolution,
): PlannedManifest {
  const blob = (layer: Layer) => ({ ...layer, onHost: blobs.get(layer.digest) ?? null })
  return {
    digest,
    config: manifest.config === null ? null : blob(manifest.config),
    layers: manifest.layers.map(blob),
    ...(text === undefined || text === formatManifest(manifest) ? {} : { text }),
  }
}

function fetchChange(
  model: DesiredModel,
  installed: InstalledModel | undefined,
  goal: Goal,
  { resolution, intent }: Pick<Circumstances, 'resolution' | 'intent'>,
): PullChange | UpdateChange {
  const { reference, insecure } = model
  const { digest, manifest, locked, reason, blocked } = goal
  const name = formatReference(reference)
  const sizeBytes = manifest === null ? null : nominalBytes(manifest)
  const common = {
    reference: name,
    cloud: reference.cloud,
    after: { digest, sizeBytes: reference.cloud ? null : sizeBytes },
    dependsOn: [],
    // Counted once all changes are known: blobs are shared among them.
    downloadBytes: null,
    freedBytes: installed === undefined ? 0 : null,
    presentBytes: null,
    insecure,
    manifest,
    locked,
    ...(blocked === undefined ? {} : { blocked }),
    reason,
  }
  if (installed === undefined) {
    return { id: `pull:${name}`, action: 'pull', before: null, precondition: { digest: null }, ...common }
  }
  return {
    id: `update:${name}`,
    action: 'update',
    before: factsOf(installed),
    precondition: { digest: installed.digest },
    ...common,
    keepAs: blocked === undefined ? keptAs(reference, installed, false, intent, resolution) : null,
  }
}
