/** Plans as files: text → plan, checked as strictly as anything that comes from elsewhere and may delete models. Pure. */
import { isDigest, type Layer } from '../artifact/manifest.ts'
import { parseListedName, parseReference } from '../artifact/reference.ts'
import { quoted } from '../artifact/text.ts'
import { type Diagnostic, OllamaConfigError } from '../errors.ts'
import { type Action, formatVersion, knownActions, type Plan } from './plan.ts'

export function formatPlanFile(plan: Plan): string {
  return `${JSON.stringify(plan, null, 2)}\n`
}

type Fields = Readonly<Record<string, unknown>>

/**
 * Reads what `formatPlanFile` wrote. Unknown fields pass: a newer minor version may add some.
 *
 * @throws {OllamaConfigError} `invalid-plan` naming the first place that is wrong
 */
export function readPlan(value: unknown): Plan {
  const plan = fieldsAt(value, 'the plan')
  const version = plan['formatVersion']
  if (typeof version !== 'string' || !/^\d+\.\d+$/.test(version))
    throw wrong('formatVersion', 'a version such as "1.0"')
  if (Number.parseInt(version, 10) !== Number.parseInt(formatVersion, 10)) {
    throw new OllamaConfigError(
      'invalid-plan',
      `The plan has format ${quoted(version)}, which this version does not read`,
      {
        hint: 'plan again, or use the version of ollama-config that made it',
      },
    )
  }
  if (typeof plan['prune'] !== 'boolean') throw wrong('prune', 'true or false')
  listAt(plan['targets'], 'targets').forEach(checkTarget)
  // Each field that apply and the views read has been checked.
  return value as Plan
}

function checkTarget(value: unknown, index: number): void {
  const place = `targets[${index}]`
  const target = fieldsAt(value, place)
  textAt(target['address'], `${place}.address`)
  if (target['kind'] !== 'host') throw wrong(`${place}.kind`, '"host"')
  if (target['serverVersion'] !== null) textAt(target['serverVersion'], `${place}.serverVersion`)
  const ids = new Set<string>()
  listAt(target['changes'], `${place}.changes`).forEach((change, at) => {
    const where = `${place}.changes[${at}]`
    const id = checkChange(change, where)
    if (ids.has(id)) throw wrong(`${where}.id`, 'unique in the plan')
    ids.add(id)
  })
  listAt(target['drift'], `${place}.drift`).forEach((item, at) => {
    const where = `${place}.drift[${at}]`
    const drift = fieldsAt(item, where)
    referenceAt(drift['reference'], `${where}.reference`)
    digestAt(drift['recorded'], `${where}.recorded`)
    if (drift['installed'] !== null) digestAt(drift['installed'], `${where}.installed`)
  })
  listAt(target['diagnostics'], `${place}.diagnostics`).forEach((item, at) => {
    checkDiagnostic(item, `${place}.diagnostics[${at}]`)
  })
}

function checkDiagnostic(value: unknown, place: string): void {
  const diagnostic = fieldsAt(value, place)
  const severities: readonly unknown[] = ['error', 'warning'] satisfies readonly Diagnostic['severity'][]
  if (!severities.includes(diagnostic['severity'])) throw wrong(`${place}.severity`, '"error" or "warning"')
  textAt(diagnostic['code'], `${place}.code`)
  textAt(diagnostic['message'], `${place}.message`)
  for (const key of ['path', 'hint']) if (diagnostic[key] !== undefined) textAt(diagnostic[key], `${place}.${key}`)
}

/** Returns its id. */
function checkChange(value: unknown, place: string): string {
  const change = fieldsAt(value, place)
  const id = textAt(change['id'], `${place}.id`)
  const action = textAt(change['action'], `${place}.action`)
  if (!knownActions.has(action)) throw wrong(`${place}.action`, `one of ${[...knownActions].join(', ')}`)
  referenceAt(change['reference'], `${place}.reference`)
  if (typeof change['cloud'] !== 'boolean') throw wrong(`${place}.cloud`, 'true or false')
  for (const key of ['before', 'after']) if (change[key] !== null) checkFacts(change[key], `${place}.${key}`)
  listAt(change['dependsOn'], `${place}.dependsOn`).forEach(
    (item, index) => void textAt(item, `${place}.dependsOn[${index}]`),
  )
  const precondition = fieldsAt(change['precondition'], `${place}.precondition`)
  if (precondition['digest'] !== null) digestAt(precondition['digest'], `${place}.precondition.digest`)
  for (const key of ['downloadBytes', 'freedBytes']) if (change[key] !== null) bytesAt(change[key], `${place}.${key}`)
  const reason = fieldsAt(change['reason'], `${place}.reason`)
  textAt(reason['code'], `${place}.reason.code`)
  textAt(reason['text'], `${place}.reason.text`)
  // What depends on the action; the set was checked above.
  checks[action as Action](change, precondition, place)
  return id
}

const checks: Readonly<Record<Action, (change: Fields, precondition: Fields, place: string) => void>> = {
  'no-op': (change, _, place) => {
    if (change['lock'] !== undefined) checkManifest(change['lock'], `${place}.lock`)
  },
  pull: (change, precondition, place) => {
    checkFetch(change, place)
    if (precondition['digest'] !== null) throw wrong(`${place}.precondition.digest`, 'null')
  },
  update: (change, precondition, place) => {
    checkFetch(change, place)
    digestAt(precondition['digest'], `${place}.precondition.digest`)
    if (change['keepAs'] !== null) referenceAt(change['keepAs'], `${place}.keepAs`)
  },
  restore: (change, precondition, place) => {
    referenceAt(change['from'], `${place}.from`)
    digestAt(precondition['source'], `${place}.precondition.source`)
  },
  delete: (change, precondition, place) => {
    digestAt(precondition['digest'], `${place}.precondition.digest`)
    if (change['requires'] !== 'prune') throw wrong(`${place}.requires`, '"prune"')
    bytesAt(change['nominalBytes'], `${place}.nominalBytes`)
    if (change['parentModel'] !== null) textAt(change['parentModel'], `${place}.parentModel`)
    if (typeof change['irreplaceable'] !== 'boolean') throw wrong(`${place}.irreplaceable`, 'true or false')
  },
}

function checkFetch(change: Fields, place: string): void {
  for (const key of ['insecure', 'locked'])
    if (typeof change[key] !== 'boolean') throw wrong(`${place}.${key}`, 'true or false')
  if (change['presentBytes'] !== null) bytesAt(change['presentBytes'], `${place}.presentBytes`)
  if (change['manifest'] !== null) checkManifest(change['manifest'], `${place}.manifest`)
  // A server would take the name for another one, or refuse it.
  referenceAt(change['reference'], `${place}.reference`, parseReference)
  if (change['blocked'] === undefined) return
  const blocked = fieldsAt(change['blocked'], `${place}.blocked`)
  textAt(blocked['code'], `${place}.blocked.code`)
  textAt(blocked['message'], `${place}.blocked.message`)
  if (blocked['hint'] !== undefined) textAt(blocked['hint'], `${place}.blocked.hint`)
}

function checkFacts(value: unknown, place: string): void {
  const facts = fieldsAt(value, place)
  if (facts['digest'] !== null) digestAt(facts['digest'], `${place}.digest`)
  if (facts['sizeBytes'] !== null) bytesAt(facts['sizeBytes'], `${place}.sizeBytes`)
}

function checkManifest(value: unknown, place: string): void {
  const manifest = fieldsAt(value, place)
  digestAt(manifest['digest'], `${place}.digest`)
  if (manifest['text'] !== undefined) textAt(manifest['text'], `${place}.text`)
  if (manifest['config'] !== null) checkBlob(manifest['config'], `${place}.config`)
  listAt(manifest['layers'], `${place}.layers`).forEach((layer, index) => {
    checkBlob(layer, `${place}.layers[${index}]`)
  })
}

function checkBlob(value: unknown, place: string): void {
  const blob: Partial<Record<keyof Layer | 'onHost', unknown>> = fieldsAt(value, place)
  textAt(blob.mediaType, `${place}.mediaType`)
  digestAt(blob.digest, `${place}.digest`)
  bytesAt(blob.sizeBytes, `${place}.sizeBytes`)
  if (blob.onHost !== null && typeof blob.onHost !== 'boolean') throw wrong(`${place}.onHost`, 'true, false or null')
}

function fieldsAt(value: unknown, place: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields
  throw wrong(place, 'an object')
}

function listAt(value: unknown, place: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw wrong(place, 'a list')
}

function textAt(value: unknown, place: string): string {
  if (typeof value === 'string') return value
  throw wrong(place, 'a text')
}

function bytesAt(value: unknown, place: string): void {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw wrong(place, 'a number of bytes')
}

function digestAt(value: unknown, place: string): void {
  if (!isDigest(textAt(value, place))) throw wrong(place, 'a digest')
}

function referenceAt(value: unknown, place: string, parse: (text: string) => unknown = parseListedName): void {
  const text = textAt(value, place)
  try {
    parse(text)
  } catch {
    throw wrong(place, `a model name: ${quoted(text)} is none`)
  }
}

function wrong(place: string, wanted: string): OllamaConfigError {
  return new OllamaConfigError('invalid-plan', `The plan is not valid: ${place} is not ${wanted}`, {
    hint: 'plan again with "ollama-config plan --out FILE"; a plan is not meant to be edited',
  })
}
