/** Which models a registry has to be asked about before the plan can be made: few, and none when nothing is to be done. */
import { type Reference, referenceKey } from '../artifact/reference.ts'
import { isKnownAs } from './content.ts'
import { groupByKey, wholeModels } from './installed.ts'
import { type Intent, isHadByLock, isUpdated, type Resolution } from './resolution.ts'
import type { ActualState, DesiredState, InstalledModel } from './state.ts'
import { sparing } from './undeclared.ts'

export interface Question {
  readonly key: string
  readonly reference: Reference
  readonly insecure: boolean
  /**
   * To fetch it, or to know whether it could be fetched again. `locked`: what the lock file has the manifest of, where that is enough
   * to fetch it, so that no registry is asked, and only the blobs are looked for.
   */
  readonly purpose: 'fetch' | 'locked' | 'deletion'
}

/** Models to pull or update and, where deletions matter, models of which it is not known whether they could be had again. */
export function questions(
  desired: DesiredState,
  actual: ActualState,
  resolution: Resolution,
  intent: Intent,
): readonly Question[] {
  const installed = groupByKey(actual.models)
  const whole = groupByKey(wholeModels(actual.models))
  const asked: Question[] = []
  const declared = new Set<string>()
  for (const { reference, insecure, recipe } of desired.models) {
    const key = referenceKey(reference)
    declared.add(key)
    if (recipe !== undefined || reference.cloud || !isInQuestion(key, whole.get(key)?.[0], resolution, intent)) continue
    const pin = isUpdated(key, intent) ? undefined : resolution.pins.get(key)
    asked.push({ key, reference, insecure, purpose: isHadByLock(pin, resolution) ? 'locked' : 'fetch' })
  }
  if (!intent.checkDeletions) return asked
  // Whether a model came over plain http is not listed, but a registry that speaks only http does so for all of them.
  const plainHosts = new Set(
    desired.models.filter(({ insecure }) => insecure).map(({ reference }) => reference.host.toLowerCase()),
  )
  const reasonToSpare = sparing(desired, installed, resolution)
  for (const [key, [model]] of installed) {
    if (
      model === undefined ||
      declared.has(key) ||
      model.parentModel !== undefined ||
      wasBroughtIn(key, model, resolution)
    )
      continue
    if (reasonToSpare({ key, model, ambiguous: false }) !== undefined) continue
    asked.push({
      key,
      reference: model.reference,
      purpose: 'deletion',
      insecure: plainHosts.has(model.reference.host.toLowerCase()),
    })
  }
  return asked
}

function isInQuestion(
  key: string,
  installed: InstalledModel | undefined,
  resolution: Resolution,
  intent: Intent,
): boolean {
  if (installed?.remoteHost !== undefined) return false
  // An update looks at nothing else.
  if (intent.update !== null) return isUpdated(key, intent)
  if (installed === undefined) return true
  const pin = resolution.pins.get(key)
  if (pin === undefined || pin.digest === installed.digest) return false
  return pin.manifest === null || !isKnownAs(installed.digest, pin.manifest, resolution)
}

function wasBroughtIn(key: string, model: InstalledModel, { recorded, copies }: Resolution): boolean {
  const record = recorded.get(key)
  return (record?.broughtIn === true && record.digest === model.digest) || copies.get(key)?.digest === model.digest
}
