/** Plans as files: text → plan, checked as strictly as anything that comes from elsewhere and may delete models. Pure. */
import { parseReference } from '../artifact/reference.ts'
import { quoted } from '../artifact/text.ts'
import { OllamaConfigError } from '../errors.ts'
import {
  textAt as anyTextAt,
  bytesAt,
  digestAt,
  type Fields,
  fieldsAt,
  flagAt,
  hashAt,
  listAt,
  majorAt,
  referenceAt,
  ShapeError,
  wrong,
} from '../shape.ts'
import { type Action, formatVersion, knownActions, type Plan } from './plan.ts'

export function formatPlanFile(plan: Plan): string {
  return `${JSON.stringify(plan, null, 2)}\n`
}

/**
 * Reads what `formatPlanFile` wrote. Unknown fields pass: a newer minor version may add some.
 *
 * @throws {OllamaConfigError} `invalid-plan` naming the first place that is wrong
 */
export function readPlan(value: unknown): Plan {
  try {
    const plan = fieldsAt(value, 'the plan')
    if (majorAt(plan['formatVersion'], 'formatVersion') !== Number.parseInt(formatVersion, 10)) {
      throw new OllamaConfigError(
        'invalid-plan',
        `The plan has format ${quoted(textAt(plan['formatVersion'], 'formatVersion'))}, which this version does not read`,
        { hint: 'plan again, or use the version of ollama-config that made it' },
      )
    }
    flagAt(plan['prune'], 'prune')
    assertConsistent(listAt(plan['targets'], 'targets', checkTarget).flat())
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error
    throw new OllamaConfigError('invalid-plan', `The plan is not valid: ${error.message}`, {
      hint: 'plan again with "ollama-config plan --out FILE"; a plan is not meant to be edited',
    })
  }
  // Each field that apply and the views read has been checked.
  return value as Plan
}

/** What one change says of the others. */
interface Links {
  readonly place: string
  readonly id: string
  readonly dependsOn: readonly string[]
}

function assertConsistent(changes: readonly Links[]): void {
  const ids = new Set<string>()
  for (const { place, id } of changes) {
    if (ids.has(id)) throw wrong(`${place}.id`, 'unique in the plan')
    ids.add(id)
  }
  for (const { place, dependsOn } of changes) {
    if (dependsOn.some((id) => !ids.has(id))) throw wrong(`${place}.dependsOn`, 'a list of other changes')
  }
}

function checkTarget(value: unknown, place: string): readonly Links[] {
  const target = fieldsAt(value, place)
  textAt(target['address'], `${place}.address`)
  if (target['kind'] !== 'host') throw wrong(`${place}.kind`, '"host"')
  if (target['serverVersion'] !== null) textAt(target['serverVersion'], `${place}.serverVersion`)
  listAt(target['drift'], `${place}.drift`, checkDrift)
  listAt(target['diagnostics'], `${place}.diagnostics`, checkDiagnostic)
  return listAt(target['changes'], `${place}.changes`, checkChange)
}

function checkDrift(value: unknown, place: string): void {
  const { reference, recorded, installed } = fieldsAt(value, place)
  referenceAt(reference, `${place}.reference`)
  digestAt(recorded, `${place}.recorded`)
  if (installed !== null) digestAt(installed, `${place}.installed`)
}

function checkDiagnostic(value: unknown, place: string): void {
  const diagnostic = fieldsAt(value, place)
  if (diagnostic['severity'] !== 'error' && diagnostic['severity'] !== 'warning')
    throw wrong(`${place}.severity`, '"error" or "warning"')
  checkMessage(diagnostic, place)
  for (const key of ['path', 'reference']) if (diagnostic[key] !== undefined) textAt(diagnostic[key], `${place}.${key}`)
}

function checkMessage({ code, message, hint }: Fields, place: string): void {
  textAt(code, `${place}.code`)
  textAt(message, `${place}.message`)
  if (hint !== undefined) textAt(hint, `${place}.hint`)
}

function checkChange(value: unknown, place: string): Links {
  const change = fieldsAt(value, place)
  const id = textAt(change['id'], `${place}.id`)
  const action = textAt(change['action'], `${place}.action`)
  if (!isAction(action)) throw wrong(`${place}.action`, `one of ${[...knownActions].join(', ')}`)
  referenceAt(change['reference'], `${place}.reference`)
  flagAt(change['cloud'], `${place}.cloud`)
  for (const key of ['before', 'after']) if (change[key] !== null) checkFacts(change[key], `${place}.${key}`)
  const precondition = fieldsAt(change['precondition'], `${place}.precondition`)
  if (precondition['digest'] !== null) digestAt(precondition['digest'], `${place}.precondition.digest`)
  for (const key of ['downloadBytes', 'freedBytes']) checkBytes(change[key], `${place}.${key}`)
  const { code, text } = fieldsAt(change['reason'], `${place}.reason`)
  textAt(code, `${place}.reason.code`)
  textAt(text, `${place}.reason.text`)
  checks[action](change, precondition, place)
  return { place, id, dependsOn: listAt(change['dependsOn'], `${place}.dependsOn`, textAt) }
}

/** A text that may be shown: nothing in it acts on a terminal. */
function textAt(value: unknown, place: string): string {
  const text = anyTextAt(value, place)
  if (/[\x00-\x1f\x7f-\x9f]/.test(text)) throw wrong(place, 'free of control characters')
  return text
}

function isAction(text: string): text is Action {
  return knownActions.has(text)
}

/** What each action needs beyond that. */
const checks: Readonly<Record<Action, (change: Fields, precondition: Fields, place: string) => void>> = {
  'no-op': (change, precondition, place) => {
    digestAt(precondition['digest'], `${place}.precondition.digest`)
    if (change['lock'] !== undefined) checkManifest(change['lock'], `${place}.lock`)
    if (change['method'] !== undefined) checkMethod(change['method'], `${place}.method`)
    if (change['built'] !== undefined) {
      const { declaration, base } = fieldsAt(change['built'], `${place}.built`)
      hashAt(declaration, `${place}.built.declaration`)
      if (base !== null) digestAt(base, `${place}.built.base`)
    }
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
  derive: (change, precondition, place) => {
    checkBuild(change, precondition, place)
    if (precondition['digest'] !== null) throw wrong(`${place}.precondition.digest`, 'null')
  },
  rebuild: (change, precondition, place) => {
    checkBuild(change, precondition, place)
    digestAt(precondition['digest'], `${place}.precondition.digest`)
    checkMethod(change['method'], `${place}.method`)
    listAt(change['differences'], `${place}.differences`, (difference, at) => {
      const { field, text } = fieldsAt(difference, at)
      textAt(field, `${at}.field`)
      textAt(text, `${at}.text`)
    })
  },
  alias: (change, precondition, place) => {
    checkMaking(change, place)
    if (referenceAt(change['of'], `${place}.of`) === change['reference']) throw wrong(`${place}.of`, 'another model')
    if (precondition['source'] !== null) digestAt(precondition['source'], `${place}.precondition.source`)
    assertSource(change, precondition['source'], place)
  },
  restore: (change, precondition, place) => {
    if (referenceAt(change['from'], `${place}.from`) === change['reference'])
      throw wrong(`${place}.from`, 'a copy of the model')
    digestAt(precondition['source'], `${place}.precondition.source`)
  },
  delete: (change, precondition, place) => {
    digestAt(precondition['digest'], `${place}.precondition.digest`)
    if (change['requires'] !== 'prune') throw wrong(`${place}.requires`, '"prune"')
    bytesAt(change['nominalBytes'], `${place}.nominalBytes`)
    if (change['parentModel'] !== null) textAt(change['parentModel'], `${place}.parentModel`)
    flagAt(change['irreplaceable'], `${place}.irreplaceable`)
  },
}

function checkMethod(value: unknown, place: string): void {
  if (!['predicted', 'recorded', 'compared', 'base'].includes(textAt(value, place)))
    throw wrong(place, '"predicted", "recorded", "compared" or "base"')
}

/** The name is sent as it is, to be created or copied to. */
function checkMaking(change: Fields, place: string): void {
  assertRequestable(change['reference'], `${place}.reference`)
  if (change['keepAs'] !== null) referenceAt(change['keepAs'], `${place}.keepAs`)
  if (change['blocked'] !== undefined) checkMessage(fieldsAt(change['blocked'], `${place}.blocked`), `${place}.blocked`)
}

/** Where nothing else brings the source, it is known which one is meant. */
function assertSource({ dependsOn }: Fields, digest: unknown, place: string): void {
  if (digest === null && Array.isArray(dependsOn) && dependsOn.length === 0)
    throw wrong(`${place}.precondition`, 'one that names the digest of what it starts from')
}

function checkBuild(change: Fields, precondition: Fields, place: string): void {
  checkMaking(change, place)
  hashAt(change['declaration'], `${place}.declaration`)
  if (change['blobs'] !== null) listAt(change['blobs'], `${place}.blobs`, checkLayer)
  checkBytes(change['uploadBytes'], `${place}.uploadBytes`)
  const at = `${place}.build`
  const build = fieldsAt(change['build'], at)
  const files = listAt(build['files'], `${at}.files`, checkFile)
  listAt(build['adapters'], `${at}.adapters`, checkFile)
  if (build['from'] === null) {
    if (files.length === 0) throw wrong(`${at}.files`, 'a list of files, where there is no base')
  } else {
    if (referenceAt(build['from'], `${at}.from`) === change['reference']) throw wrong(`${at}.from`, 'another model')
    if (precondition['base'] !== null) digestAt(precondition['base'], `${place}.precondition.base`)
    assertSource(change, precondition['base'], place)
  }
  // Texts that go to the server as they are, and are shown to nobody.
  for (const key of ['system', 'template', 'renderer', 'parser', 'requires', 'quantize'] as const)
    if (build[key] !== null) anyTextAt(build[key], `${at}.${key}`)
  fieldsAt(build['parameters'], `${at}.parameters`)
  listAt(build['licenses'], `${at}.licenses`, anyTextAt)
  listAt(build['messages'], `${at}.messages`, (message, where) => {
    const { role, content } = fieldsAt(message, where)
    anyTextAt(role, `${where}.role`)
    anyTextAt(content, `${where}.content`)
  })
}

/** Returns its name. */
function checkFile(value: unknown, place: string): string {
  const { name, file, digest, sizeBytes, modifiedMs, onHost } = fieldsAt(value, place)
  textAt(file, `${place}.file`)
  digestAt(digest, `${place}.digest`)
  bytesAt(sizeBytes, `${place}.sizeBytes`)
  bytesAt(modifiedMs, `${place}.modifiedMs`)
  if (onHost !== null && typeof onHost !== 'boolean') throw wrong(`${place}.onHost`, 'true, false or null')
  return textAt(name, `${place}.name`)
}

function checkFetch(change: Fields, place: string): void {
  flagAt(change['insecure'], `${place}.insecure`)
  const locked = flagAt(change['locked'], `${place}.locked`)
  checkBytes(change['presentBytes'], `${place}.presentBytes`)
  const { digest } = fieldsAt(change['after'], `${place}.after`)
  // What is locked binds by its digest.
  if (locked) digestAt(digest, `${place}.after.digest`)
  if (change['manifest'] !== null && checkManifest(change['manifest'], `${place}.manifest`) !== digest)
    throw wrong(`${place}.manifest.digest`, 'that of after')
  assertRequestable(change['reference'], `${place}.reference`)
  if (change['blocked'] !== undefined) checkMessage(fieldsAt(change['blocked'], `${place}.blocked`), `${place}.blocked`)
}

/** As it will be asked for: a server would take some names for others. */
function assertRequestable(value: unknown, place: string): void {
  const reference = textAt(value, place)
  try {
    parseReference(reference)
  } catch {
    throw wrong(place, `a name that can be asked for: ${quoted(reference)}`)
  }
}

function checkFacts(value: unknown, place: string): void {
  const { digest, sizeBytes } = fieldsAt(value, place)
  if (digest !== null) digestAt(digest, `${place}.digest`)
  checkBytes(sizeBytes, `${place}.sizeBytes`)
}

/** Returns its digest. */
function checkManifest(value: unknown, place: string): string {
  const { digest, text, config, layers } = fieldsAt(value, place)
  if (text !== undefined) anyTextAt(text, `${place}.text`)
  if (config !== null) checkBlob(config, `${place}.config`)
  listAt(layers, `${place}.layers`, checkBlob)
  return digestAt(digest, `${place}.digest`)
}

function checkLayer(value: unknown, place: string): void {
  const { mediaType, digest, sizeBytes } = fieldsAt(value, place)
  textAt(mediaType, `${place}.mediaType`)
  digestAt(digest, `${place}.digest`)
  bytesAt(sizeBytes, `${place}.sizeBytes`)
}

function checkBlob(value: unknown, place: string): void {
  checkLayer(value, place)
  const { onHost } = fieldsAt(value, place)
  if (onHost !== null && typeof onHost !== 'boolean') throw wrong(`${place}.onHost`, 'true, false or null')
}

/** `null` is unknown. */
function checkBytes(value: unknown, place: string): void {
  if (value !== null) bytesAt(value, place)
}
