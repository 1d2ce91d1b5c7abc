/** Plans as files: text → plan, checked as strictly as anything that comes from elsewhere and may delete models. Pure. */
import { fitsJson, jsonText } from '../artifact/json-text.ts'
import { formatReference, parseListedName, parseReference, sameReference } from '../artifact/reference.ts'
import { hasControl, quoted, visible } from '../artifact/text.ts'
import { OllamaConfigError } from '../errors.ts'
import {
  textAt as anyTextAt,
  bytesAt,
  digestAt,
  entriesAt,
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
  return `${jsonText(plan, 2)}\n`
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
  readonly action: Action
  readonly reference: string
  readonly dependsOn: readonly string[]
  /** The model that another change has to bring first. */
  readonly needs: string | undefined
}

function assertConsistent(changes: readonly Links[]): void {
  const byId = new Map<string, Links>()
  for (const links of changes) {
    if (byId.has(links.id)) throw wrong(`${links.place}.id`, 'unique in the plan')
    byId.set(links.id, links)
  }
  for (const links of changes) {
    const { place, dependsOn, needs } = links
    const others = dependsOn.map((id) => byId.get(id))
    if (others.some((other) => other === undefined || other === links))
      throw wrong(`${place}.dependsOn`, 'a list of other changes')
    // Where nothing else brings what it starts from, the digest says which one is meant.
    if (needs !== undefined && !others.some((other) => other !== undefined && isBringing(other, needs)))
      throw wrong(`${place}.precondition`, 'one that names the digest of what it starts from')
  }
}

function isBringing({ action, reference }: Links, needed: string): boolean {
  const isSame = sameReference(parseListedName(reference), parseListedName(needed))
  return isSame && action !== 'no-op' && action !== 'delete'
}

function checkTarget(value: unknown, place: string): readonly Links[] {
  const target = fieldsAt(value, place)
  // Of a store it is a path.
  pathAt(target['address'], `${place}.address`)
  if (target['kind'] !== 'host' && target['kind'] !== 'store') throw wrong(`${place}.kind`, '"host" or "store"')
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
  const reference = referenceAt(change['reference'], `${place}.reference`)
  flagAt(change['cloud'], `${place}.cloud`)
  for (const key of ['before', 'after']) if (change[key] !== null) checkFacts(change[key], `${place}.${key}`)
  const precondition = fieldsAt(change['precondition'], `${place}.precondition`)
  if (precondition['digest'] !== null) digestAt(precondition['digest'], `${place}.precondition.digest`)
  for (const key of ['downloadBytes', 'freedBytes']) checkBytes(change[key], `${place}.${key}`)
  const { code, text } = fieldsAt(change['reason'], `${place}.reason`)
  textAt(code, `${place}.reason.code`)
  textAt(text, `${place}.reason.text`)
  checks[action](change, precondition, place)
  const dependsOn = listAt(change['dependsOn'], `${place}.dependsOn`, textAt)
  return { place, id, action, reference, dependsOn, needs: startToBring(change, precondition, place) }
}

/** A text that may be shown: nothing in it acts on a terminal, hides or reorders. */
function textAt(value: unknown, place: string): string {
  const text = anyTextAt(value, place)
  if (text.includes('\t') || visible(text) !== text) throw wrong(place, 'free of control characters')
  return text
}

/** A path or a part of one, which is shown without what hides, as it stands in names of some languages. */
function pathAt(value: unknown, place: string): string {
  const text = anyTextAt(value, place)
  if (hasControl(text)) throw wrong(place, 'free of control characters')
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
    checkStart(change['of'], change, `${place}.of`)
    if (precondition['source'] !== null) digestAt(precondition['source'], `${place}.precondition.source`)
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
  assertLocal(change['reference'], `${place}.reference`)
  if (change['keepAs'] !== null) referenceAt(change['keepAs'], `${place}.keepAs`)
  if (change['blocked'] !== undefined) checkMessage(fieldsAt(change['blocked'], `${place}.blocked`), `${place}.blocked`)
}

/** What is built from or copied: another model, of this host. */
function checkStart(value: unknown, change: Fields, place: string): void {
  const start = referenceAt(value, place)
  assertLocal(start, place)
  if (sameReference(parseListedName(start), parseListedName(referenceAt(change['reference'], place))))
    throw wrong(place, 'another model')
}

/** What is made starts from a model whose digest the plan does not have. */
function startToBring(change: Fields, { base, source }: Fields, place: string): string | undefined {
  const { action, of, build } = change
  if (action === 'alias') return source === null ? referenceAt(of, `${place}.of`) : undefined
  if (base !== null || (action !== 'derive' && action !== 'rebuild')) return undefined
  const { from } = fieldsAt(build, `${place}.build`)
  return from === null ? undefined : referenceAt(from, `${place}.build.from`)
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
  // Texts that go to the server as they are, and are shown to nobody.
  for (const key of ['system', 'template', 'renderer', 'parser', 'requires', 'quantize'] as const)
    if (build[key] !== null) anyTextAt(build[key], `${at}.${key}`)
  entriesAt(build['parameters'], `${at}.parameters`, checkParameter)
  listAt(build['licenses'], `${at}.licenses`, anyTextAt)
  listAt(build['messages'], `${at}.messages`, checkStoredMessage)
  if (precondition['base'] !== null) digestAt(precondition['base'], `${place}.precondition.base`)
  if (build['from'] !== null) checkStart(build['from'], change, `${at}.from`)
  else if (files.length === 0) throw wrong(`${at}.files`, 'a list of files, where there is no base')
}

function checkParameter(value: unknown, place: string): void {
  const isScalar = (item: unknown) => typeof item === 'string' || typeof item === 'boolean' || Number.isFinite(item)
  if (!(Array.isArray(value) ? value.every(isScalar) : isScalar(value)))
    throw wrong(place, 'a text, a number, true, false or a list of these')
}

function checkStoredMessage(value: unknown, place: string): void {
  const message = fieldsAt(value, place)
  for (const key of ['role', 'content']) anyTextAt(message[key], `${place}.${key}`)
  for (const key of ['thinking', 'tool_name', 'tool_call_id'])
    if (message[key] !== undefined) anyTextAt(message[key], `${place}.${key}`)
  if (message['images'] !== undefined) listAt(message['images'], `${place}.images`, anyTextAt)
  if (message['tool_calls'] !== undefined)
    listAt(message['tool_calls'], `${place}.tool_calls`, (call, where) => {
      const called = fieldsAt(fieldsAt(call, where)['function'], `${where}.function`)
      anyTextAt(called['name'], `${where}.function.name`)
      if (!fitsJson(fieldsAt(called['arguments'], `${where}.function.arguments`)))
        throw wrong(`${where}.function.arguments`, 'an object that JSON can hold')
    })
}

/** Returns its name. */
function checkFile(value: unknown, place: string): string {
  const { name, file, digest, sizeBytes, modifiedMs, onHost } = fieldsAt(value, place)
  pathAt(file, `${place}.file`)
  digestAt(digest, `${place}.digest`)
  bytesAt(sizeBytes, `${place}.sizeBytes`)
  bytesAt(modifiedMs, `${place}.modifiedMs`)
  if (onHost !== null && typeof onHost !== 'boolean') throw wrong(`${place}.onHost`, 'true, false or null')
  return pathAt(name, `${place}.name`)
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

/** As it will be asked for: a server takes some names for others, such as `x:local` for `x:latest`. */
function assertRequestable(value: unknown, place: string): void {
  const name = textAt(value, place)
  let asked: string | undefined
  try {
    asked = formatReference(parseReference(name))
  } catch {
    asked = undefined
  }
  if (asked !== name) throw wrong(place, `a name that can be asked for: ${quoted(name)}`)
}

/** A server looks for cloud models elsewhere. */
function assertLocal(value: unknown, place: string): void {
  assertRequestable(value, place)
  if (parseListedName(textAt(value, place)).cloud) throw wrong(place, 'a model of this host')
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
