/**
 * Carries out a pull or an update: the host fetches what the tag names, and what came is compared with what was planned. What is locked
 * is fetched as it is where that can be done.
 */
import {
  blobsOf,
  formatManifest,
  isSameContent,
  type Manifest,
  parseManifest,
  shortDigest,
} from '../artifact/manifest.ts'
import { OllamaConfigError } from '../errors.ts'
import { manifestOf, type PullChange, type UpdateChange } from '../plan/plan.ts'
import { rewritesManifests } from '../plan/server-version.ts'
import type { InstalledModel } from '../plan/state.ts'
import { sha256 } from '../runtime/sha256.ts'
import { Attempts, type Patience } from './attempts.ts'
import type { Event } from './events.ts'
import { findWhole, type Host, stalePlan } from './host.ts'
import { keepPrevious } from './keep.ts'
import { done, notDone, type Outcome } from './outcome.ts'

export interface FetchOptions extends Patience {
  readonly signal: AbortSignal
}

/** @throws {OllamaConfigError} `stale-plan` before anything was asked for */
export async function* fetchModel(
  change: PullChange | UpdateChange,
  host: Host,
  { signal, ...patience }: FetchOptions,
): AsyncGenerator<Event, Outcome> {
  const { reference, insecure } = change
  const present = findWhole(host.state, reference)
  if (isDone(change, present)) return done(present)
  const exact = host.backend.fetchesByDigest ? exactManifest(change) : undefined
  if (change.action === 'update') yield* keepPrevious(change, present, host)
  const options = { insecure, signal, ...(exact === undefined ? {} : { manifest: exact }) }
  const attempts = new Attempts(host, patience)
  const told = () => (attempts.count > 1 ? { attempts: attempts.count } : {})
  try {
    const model = yield* attempts.pull(change, options)
    yield* compare(change, model, host)
    return { ...done(model), fetched: true, ...told() }
  } catch (error) {
    return { ...notDone(error, signal), ...told() }
  }
}

/** Tells of another version than the planned one. @throws {OllamaConfigError} `verification-failed` where one is locked */
async function* compare(
  change: PullChange | UpdateChange,
  model: InstalledModel,
  host: Host,
): AsyncGenerator<Event, void> {
  const { reference } = change
  if (await isOtherVersion(change, model, host)) {
    if (change.locked) throw otherThanLocked(change, model)
    yield {
      type: 'diagnostic',
      diagnostic: {
        severity: 'warning',
        code: 'tag-moved',
        message: `"${reference}" was pulled as ${shortDigest(model.digest)}, not as the planned ${shortDigest(change.after?.digest ?? '')}: its tag moved since the plan was made`,
      },
    }
  }
}

/**
 * The bytes of the locked manifest, where the plan has them. What a plan says of them is not believed: it may come from elsewhere, and
 * was compared with the lock by its digest, or by its layers.
 *
 * @throws {OllamaConfigError} `invalid-plan`
 */
function exactManifest({ reference, locked, after, manifest }: PullChange | UpdateChange): string | undefined {
  if (!locked || manifest === null) return undefined
  const planned = manifestOf(manifest)
  const text = manifest.text ?? formatManifest(planned)
  if (`sha256:${sha256(text)}` === after?.digest && isManifest(text, planned)) return text
  throw new OllamaConfigError(
    'invalid-plan',
    `The plan says of "${reference}" what does not fit together, as after an edit by hand`,
    { hint: 'plan again' },
  )
}

function isManifest(text: string, planned: Manifest): boolean {
  try {
    return isSameContent(parseManifest(text), planned)
  } catch {
    return false
  }
}

/**
 * Whether somebody else was quicker, so that the config has what it wants: a second pull would ask for a newer version.
 *
 * @throws {OllamaConfigError} `stale-plan` when something else is there than was planned against
 */
function isDone(change: PullChange | UpdateChange, present: InstalledModel | undefined): present is InstalledModel {
  const { reference, after, precondition, locked } = change
  if (change.action === 'pull') {
    if (present !== undefined && locked && present.digest !== after?.digest) {
      throw stalePlan(
        `"${reference}" was not pulled: another version than the locked one was installed since the plan was made`,
      )
    }
    return present !== undefined
  }
  if (present !== undefined && present.digest === after?.digest) return true
  if (present?.digest !== precondition.digest) {
    throw stalePlan(
      `"${reference}" was not updated: it was ${present === undefined ? 'deleted' : 'replaced'} since the plan was made`,
    )
  }
  return false
}

async function isOtherVersion(
  { after, manifest }: PullChange | UpdateChange,
  { digest }: InstalledModel,
  { state, backend, lateSignal: signal }: Host,
): Promise<boolean> {
  const planned = after?.digest ?? null
  if (planned === null || planned === digest) return false
  if (!rewritesManifests(state.serverVersion)) return true
  // Such a server never lists the digest of the registry, but it has the blobs of what it pulled.
  const lookup = backend.openBlobs()
  try {
    for (const blob of manifest === null ? [] : blobsOf(manifest))
      if (!(await lookup.has(blob, { signal }))) return true
    return false
  } finally {
    lookup.close()
  }
}

function otherThanLocked(
  { reference, after }: PullChange | UpdateChange,
  { digest }: InstalledModel,
): OllamaConfigError {
  return new OllamaConfigError(
    'verification-failed',
    `"${reference}" is installed as ${shortDigest(digest)} now, not as the locked ${shortDigest(after?.digest ?? '')}: its tag moved while it was pulled`,
    { hint: `"ollama-config update ${reference}" takes the new version and locks it` },
  )
}
