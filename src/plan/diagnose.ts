/** What a plan has to say that belongs to no single change, or that people must not overlook. */
import { indexPatterns, matchesPattern, type Pattern } from '../artifact/pattern.ts'
import {
  compareText,
  formatReference,
  isAddressable,
  nameOfPage,
  parseListedName,
  referenceKey,
} from '../artifact/reference.ts'
import type { ManifestAnswer } from '../artifact/served.ts'
import { printable } from '../artifact/text.ts'
import type { Diagnostic } from '../errors.ts'
import { suggest } from '../suggest.ts'
import { blockOf, type Change, isFetch, type PullChange, type TargetKind, type UpdateChange, wordFor } from './plan.ts'
import { isOurs } from './previous.ts'
import { type Intent, isUpdated, type Resolution } from './resolution.ts'
import type { ActualState, DesiredModel, DesiredState, InstalledModel } from './state.ts'

export interface Findings {
  readonly desired: DesiredState
  readonly actual: ActualState
  readonly installed: ReadonlyMap<string, readonly InstalledModel[]>
  readonly resolution: Resolution
  readonly intent: Intent
  readonly changes: readonly Change[]
}

/** Sorted. */
export function diagnose(findings: Findings): readonly Diagnostic[] {
  return [
    ...findings.desired.warnings,
    ...patternProblems(findings),
    ...nameProblems(findings),
    ...worldProblems(findings),
    ...blockedProblems(findings),
    ...replacedProblems(findings),
    ...inheritedProblems(findings),
    ...registryProblems(findings),
  ].sort(
    (a, b) =>
      compareText(a.code, b.code) || compareText(a.path ?? '', b.path ?? '') || compareText(a.message, b.message),
  )
}

function warning(code: string, message: string, hint?: string, path?: string, reference?: string): Diagnostic {
  return {
    severity: 'warning',
    code,
    message,
    ...(path === undefined ? {} : { path }),
    ...(reference === undefined ? {} : { reference }),
    ...(hint === undefined ? {} : { hint }),
  }
}

function patternProblems({ desired, actual }: Findings): readonly Diagnostic[] {
  const useful = new Set<Pattern>()
  const index = indexPatterns(desired.keep)
  // As they are written: with a tag, and without.
  const names =
    desired.keep.length === 0
      ? []
      : actual.models.flatMap(({ name }) => [name, name.replace(/:[^:/]*$/, '')]).sort(compareText)
  for (const { reference } of desired.keep.length === 0 ? [] : actual.models) {
    for (const pattern of index.candidates(reference))
      if (!useful.has(pattern) && matchesPattern(pattern, reference)) useful.add(pattern)
  }
  return desired.keep.flatMap((pattern, at) => {
    if (useful.has(pattern)) return []
    const path = `keep[${at}]`
    const near = suggest(pattern.text, names)
    const hint =
      near !== undefined
        ? `did you mean "${near}"?`
        : pattern.text.includes('/') || !pattern.text.includes('*')
          ? undefined
          : 'it covers the default registry only: "*/*/*" covers every model of every registry'
    return [warning('keep-matches-nothing', `${path}: "${pattern.text}" matches no installed model`, hint, path)]
  })
}

function nameProblems({ actual, installed, resolution, desired }: Findings): readonly Diagnostic[] {
  const found: Diagnostic[] = []
  const lister = `The ${wordFor(resolution.kind)} lists`
  const server = resolution.kind === 'host' ? '' : 'a server '
  for (const models of installed.values()) {
    const names = models.map(({ name }) => `"${name}"`).sort(compareText)
    if (names.length > 1) {
      found.push(
        warning(
          'ambiguous-name',
          `${lister} ${names.join(' and ')}, which are one name to it: they are left alone`,
          'rename one of them in the model directory',
        ),
      )
    } else if (models.some(({ name }) => !isAddressable(name))) {
      found.push(
        warning(
          'not-addressable',
          `${lister} ${names.join('')}, but ${server}takes ":local" for a routing word: the model is left alone`,
          'copy it to another name',
        ),
      )
    }
  }
  for (const { reference, path, recipe } of desired.models) {
    if (!/^(?:www\.)?ollama\.com$/i.test(reference.host) || recipe !== undefined) continue
    const name = formatReference(reference)
    const short = nameOfPage(name)
    // Once it is there, it was meant so.
    if (short === undefined || installed.has(referenceKey(reference))) continue
    const problem = `Ollama keeps "${name}" apart from "${short}": by the short name programs do not find it`
    found.push(warning('long-name', problem, `did you mean "${short}"?`, path, name))
  }
  const declared = new Set(
    resolution.kind === 'store' && actual.unreadable.length > 0
      ? desired.models.map(({ reference }) => referenceKey(reference))
      : [],
  )
  for (const name of actual.unreadable) found.push(unreadableProblem(name, declared, resolution.kind))
  return found
}

function unreadableProblem(name: string, declared: ReadonlySet<string>, kind: TargetKind): Diagnostic {
  const quotedName = JSON.stringify(name)
  if (kind === 'host')
    return warning('unreadable-name', `The server lists ${quotedName}, which is no valid model name: it is left alone`)
  const problem = `${quotedName} is in the store, but its manifest or its config cannot be read`
  return declared.has(referenceKey(parseListedName(name)))
    ? warning('unreadable-model', `${problem}: apply writes it again`, undefined, undefined, name)
    : warning(
        'unreadable-model',
        `${problem}: it is left alone`,
        'declare it, or remove its file below "manifests": no blob is removed while that cannot be read',
        undefined,
        name,
      )
}

/** A world that looks wrong: nothing declared, or nothing left of what was there. */
function worldProblems({ desired, actual, resolution }: Findings): readonly Diagnostic[] {
  const found: Diagnostic[] = []
  if (desired.models.length === 0) {
    found.push(warning('nothing-declared', 'The config declares no model', 'add names to "models"', 'models'))
  }
  const isEmpty = actual.models.length === 0 && resolution.recorded.size > 0
  const size = isEmpty
    ? desired.models.filter(({ reference }) => resolution.recorded.has(referenceKey(reference))).length
    : 0
  if (size > 0) {
    const models =
      size === 1
        ? 'the 1 model that the last apply left there'
        : `any of the ${size} models that the last apply left there`
    const question =
      resolution.kind === 'host'
        ? 'is it the same server, run by the same user, with the same model directory (OLLAMA_MODELS)?'
        : 'is it the folder that was meant, and is its disk mounted?'
    found.push(
      warning(
        'empty-host',
        `The ${wordFor(resolution.kind)} lists no model at all, not even ${models}`,
        `${question} Otherwise all of it is downloaded again`,
      ),
    )
  }
  return found
}

function blockedProblems({ changes }: Findings): readonly Diagnostic[] {
  return changes.flatMap((change) => {
    const blocked = blockOf(change)
    return blocked === undefined
      ? []
      : [warning(blocked.code, blocked.message, blocked.hint, undefined, change.reference)]
  })
}

/** What somebody made on the host, under a name that the config now gives to something else. */
function replacedProblems({ changes, resolution, installed }: Findings): readonly Diagnostic[] {
  return changes.flatMap((change) => {
    const { action, reference, before } = change
    if (before === null || !['update', 'rebuild', 'alias'].includes(action) || blockOf(change) !== undefined) return []
    const key = referenceKey(parseListedName(reference))
    // A model that was pulled can be had again by its tag, or was replaced by it.
    if (action === 'update' && installed.get(key)?.[0]?.parentModel === undefined) return []
    if (isOurs(key, before.digest, action !== 'update', resolution)) return []
    const keepAs = 'keepAs' in change ? change.keepAs : null
    const copy = keepAs === null ? '' : `, and kept as "${keepAs}"`
    const message = `"${reference}" is installed, and not as an apply of this config left it: it is replaced${copy}`
    const hint = keepAs === null ? '--keep-previous keeps a copy of it' : undefined
    return [warning('replaces-other', message, hint, undefined, reference)]
  })
}

const inheritance: Readonly<Record<string, { readonly can: string; readonly instead: string }>> = {
  messages: { can: 'replace them', instead: 'write other messages, or ' },
  license: { can: 'add to it', instead: '' },
}

/** Ollama takes an empty field for one that is not given. */
function inheritedProblems({ desired, resolution }: Findings): readonly Diagnostic[] {
  if (resolution.builds.size === 0) return []
  return desired.models.flatMap(({ reference, path, recipe }) => {
    if (recipe?.kind !== 'build' || recipe.from === null) return []
    const fields = resolution.builds.get(referenceKey(reference))?.inherited ?? []
    return fields.map((field) => {
      const name = formatReference(reference)
      const { can, instead } = inheritance[field] ?? { can: 'replace it', instead: `write another ${field}, or ` }
      const message = `"${name}" keeps the ${field} of its base: Ollama can ${can}, but not take ${field === 'messages' ? 'them' : 'it'} away`
      const at = path.replace(/\.name$/, `.${field}`)
      return warning('cannot-remove', message, `${instead}build from another model`, at, name)
    })
  })
}

/** What the registries answered, where it is no manifest: grouped, since a dead network would say it for every model. */
function registryProblems({ desired, installed, resolution, intent, changes }: Findings): readonly Diagnostic[] {
  const declared =
    resolution.answers.size === 0
      ? new Map<string, DesiredModel>()
      : new Map(desired.models.map((model) => [referenceKey(model.reference), model]))
  const groups = new Map<string, { readonly answer: ManifestAnswer; readonly names: string[] }>()
  const found: Diagnostic[] = []
  // Of what is installed, made once: both may be thousands.
  let names: readonly string[] | undefined
  for (const [key, answer] of resolution.answers) {
    const model = declared.get(key)
    const name = model === undefined ? installed.get(key)?.[0]?.name : formatReference(model.reference)
    if (name === undefined || answer.kind === 'found') continue
    if (answer.kind === 'missing' || answer.kind === 'too-new') {
      // A locked version that is gone blocks its change, which tells so.
      const isTold = answer.kind === 'missing' && resolution.pins.has(key) && !isUpdated(key, intent)
      if (model !== undefined && !isTold) {
        names ??= [...installed.values()].flatMap((models) => models.map(({ name }) => shortName(name)))
        found.push(sureProblem(model, answer.kind, isWhole(installed.get(key)?.[0]), names, resolution.kind))
      }
      continue
    }
    const group = `${answer.kind} ${answer.problem}`
    const entry = groups.get(group) ?? { answer, names: [] }
    entry.names.push(name)
    groups.set(group, entry)
  }
  for (const { answer, names } of groups.values()) {
    if (!('problem' in answer)) continue
    found.push(
      warning(
        `registry-${answer.kind}`,
        `${printable(answer.problem)}. Nothing is known of ${listed(names)}`,
        answer.hint,
      ),
    )
  }
  if (resolution.offline) found.push(...offlineNote(desired, changes, intent, resolution))
  return found
}

function isWhole(model: InstalledModel | undefined): boolean {
  return model !== undefined && model.damage === undefined
}

function sureProblem(
  { reference, path }: DesiredModel,
  kind: 'missing' | 'too-new',
  isInstalled: boolean,
  names: readonly string[],
  place: TargetKind,
): Diagnostic {
  const name = formatReference(reference)
  const end = isInstalled ? 'it stays as it is' : 'the pull will fail'
  if (kind === 'missing')
    return warning(
      'not-in-registry',
      `The registry has no "${name}": ${end}`,
      nameHint(shortName(name), names),
      path,
      name,
    )
  // A store has no version; what a registry refuses then, it refuses ollama-config itself.
  return place === 'store'
    ? warning('server-too-old', `"${name}" needs a newer Ollama: ${end}`, 'update ollama-config', path, name)
    : warning(
        'server-too-old',
        `"${name}" needs a newer Ollama than the server has: ${end}`,
        'update Ollama on the server: https://ollama.com/download',
        path,
        name,
      )
}

function shortName(name: string): string {
  return name.replace(/:latest$/, '')
}

/** People mistype what they have used before. Of three letters every other name is near. */
function nameHint(name: string, installed: readonly string[]): string {
  const near = name.length > 3 ? suggest(name, installed) : undefined
  return near === undefined || near === name ? 'check the name and the tag' : `did you mean "${near}"?`
}

function offlineNote(
  { models }: DesiredState,
  changes: readonly Change[],
  intent: Intent,
  { fetchesByDigest, kind }: Resolution,
): readonly Diagnostic[] {
  const updated = models
    .filter(
      ({ reference, recipe }) => recipe === undefined && !reference.cloud && isUpdated(referenceKey(reference), intent),
    )
    .map(({ reference }) => formatReference(reference))
  const missing = changes.filter((change) => isFetch(change) && !change.cloud && change.downloadBytes !== 0)
  if (kind === 'store' && missing.length > 0)
    return [
      warning(
        'offline',
        `Offline, nothing is fetched into the store, and it does not have all of ${listed(missing.map(({ reference }) => reference))}`,
        'leave out --offline to have it fetched',
      ),
    ]
  // Of what the lock file alone brings there is nothing to ask.
  const isKnown = (change: PullChange | UpdateChange) => fetchesByDigest && change.locked && change.manifest !== null
  const fetched = changes
    .filter((change) => isFetch(change) && !change.cloud && !isKnown(change))
    .map(({ reference }) => reference)
  const names = [...new Set([...updated, ...fetched])]
  if (names.length === 0) return []
  return [
    warning(
      'offline',
      `Offline, so no registry was asked about ${listed(names)}`,
      'leave out --offline to have versions and sizes checked',
    ),
  ]
}

/** More names than this make no line that anyone reads. */
const namesShown = 5

function listed(names: readonly string[]): string {
  const sorted = [...names].sort(compareText)
  const shown = sorted.slice(0, namesShown).map((name) => printable(name, 100))
  const more = sorted.length - shown.length
  return more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ')
}
