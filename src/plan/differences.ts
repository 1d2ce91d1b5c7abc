/** In what an installed model differs from what its declaration would build, as far as the server tells. */

import { type BuildFields, renderingOf } from '../artifact/derived.ts'
import { printedText } from '../artifact/modelfile.ts'
import type { Parameter, Parameters } from '../artifact/parameters.ts'
import { compareText } from '../artifact/reference.ts'
import { counted, printable } from '../artifact/text.ts'
import type { Difference, PlannedFile } from './plan.ts'

/** The part of what a server tells of a model that a build decides. */
export interface ShownModel {
  /** Digests. */
  readonly weights: readonly string[]
  readonly adapters: readonly string[]
  /** As the server prints it, with `TEMPLATE` in front. */
  readonly templateSection: string
  readonly system: string | null
  readonly license: string | null
  readonly messages: readonly { readonly role: string; readonly content: string }[]
  readonly parameters: Parameters
  readonly renderer: string | null
  readonly parser: string | null
  readonly requires: string | null
  /** By the server's own keys. */
  readonly modelInfo: Readonly<Record<string, unknown>>
}

/** What is declared; only whether there is a base counts of `from`. */
type Build = Omit<BuildFields, 'adapters'> & { readonly from: unknown }

/** @param base What the base is; `null` when that cannot be told: then only what is declared is compared. Sorted by field. */
export function differencesOf(
  shown: ShownModel,
  base: ShownModel | null,
  build: Build,
  { files, adapters }: { readonly files: readonly PlannedFile[]; readonly adapters: readonly PlannedFile[] },
): readonly Difference[] {
  const found: Difference[] = []
  const add = (field: string, text: string | undefined) => void (text !== undefined && found.push({ field, text }))
  if (build.from === null) {
    const known = files.every(({ digest }) => shown.weights.includes(digest))
    add('gguf', known ? undefined : 'not known to be built from these bytes')
  } else if (base !== null) {
    add('from', isSame(shown.weights, base.weights) ? undefined : 'built from other weights')
  }
  const declaredAdapters = adapters.map(({ digest }) => digest)
  if (base !== null || build.from === null) {
    const wanted = [...(base?.adapters ?? []), ...declaredAdapters]
    add('adapters', isSame(shown.adapters, wanted) ? undefined : 'other files')
  }
  const inherited = (field: 'system' | 'renderer' | 'parser' | 'requires') => build[field] ?? base?.[field] ?? null
  const rendering = renderingOf(base?.modelInfo['general.architecture'], inherited('renderer'), inherited('parser'))
  const wantedFields = { system: inherited('system'), requires: inherited('requires'), ...rendering }
  for (const field of ['system', 'renderer', 'parser', 'requires'] as const) {
    const wanted = wantedFields[field]
    if (build[field] === null && base === null) continue
    add(field, field === 'system' ? textDifference(shown.system, wanted) : valueDifference(shown[field], wanted))
  }
  add('template', templateDifference(shown, base, build))
  add('license', licenseDifference(shown, base, build))
  if (build.messages.length > 0 || base !== null) {
    const wanted = build.messages.length > 0 ? build.messages : (base?.messages ?? [])
    add('messages', messagesDifference(shown.messages, wanted))
  }
  const parameters = parameterDifferences(shown, base, { ...rendering.parameters, ...build.parameters })
  return [...found, ...parameters].sort((a, b) => compareText(a.field, b.field))
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index])
}

function valueDifference(before: Parameter | null, after: Parameter | null): string | undefined {
  return same(before, after) ? undefined : `${shownValue(before)} → ${shownValue(after)}`
}

/** A server tells a list of one as that item, and an empty one not at all. */
function same(a: Parameter | null, b: Parameter | null): boolean {
  const items = (value: Parameter | null) => JSON.stringify(value === null ? [] : [value].flat())
  return items(a) === items(b)
}

function shownValue(value: Parameter | null): string {
  return value === null ? 'not set' : printable(typeof value === 'string' ? value : JSON.stringify(value), 60)
}

function textDifference(before: string | null, after: string | null): string | undefined {
  if (before === after) return undefined
  if (before === null || after === null)
    return before === null ? `${lineCount(after)} added` : `${lineCount(before)} removed`
  const count = changedLines(before.split('\n'), after.split('\n'))
  return `${counted(count, 'line')} changed`
}

function lineCount(text: string | null): string {
  const count = text?.split('\n').length ?? 0
  return counted(count, 'line')
}

/** Lines between what both begin and end with. */
function changedLines(before: readonly string[], after: readonly string[]): number {
  let start = 0
  while (start < before.length && start < after.length && before[start] === after[start]) start++
  let end = 0
  while (
    end < before.length - start &&
    end < after.length - start &&
    before[before.length - 1 - end] === after[after.length - 1 - end]
  )
    end++
  return Math.max(before.length, after.length) - start - end
}

function templateDifference(shown: ShownModel, base: ShownModel | null, { template }: Build): string | undefined {
  const wanted = template === null ? base?.templateSection : `TEMPLATE ${printedText(template)}`
  if (wanted === undefined) return undefined
  // Its end is found by the next instruction, and a template may hold such a line itself.
  const isEqual =
    shown.templateSection === wanted || (template !== null && wanted.startsWith(`${shown.templateSection}\n`))
  return isEqual ? undefined : textDifference(shown.templateSection, wanted)
}

function licenseDifference(shown: ShownModel, base: ShownModel | null, { licenses, from }: Build): string | undefined {
  if (base === null && from !== null) {
    const isThere = licenses.length === 0 || (shown.license ?? '').endsWith(licenses.join('\n'))
    return isThere ? undefined : 'other texts'
  }
  const wanted = [...(base?.license == null ? [] : [base.license]), ...licenses].join('\n')
  return (shown.license ?? '') === wanted ? undefined : 'other texts'
}

function messagesDifference(before: ShownModel['messages'], after: ShownModel['messages']): string | undefined {
  const plain = (list: ShownModel['messages']) =>
    JSON.stringify(list.map(({ role, content }) => [role.toLowerCase(), content]))
  return plain(before) === plain(after)
    ? undefined
    : before.length === after.length
      ? 'other texts'
      : `${before.length} → ${after.length}`
}

function parameterDifferences(shown: ShownModel, base: ShownModel | null, own: Parameters): readonly Difference[] {
  const wanted: Parameters = { ...base?.parameters, ...own }
  const names = new Set([...Object.keys(wanted), ...(base === null ? [] : Object.keys(shown.parameters))])
  return [...names].flatMap((name) => {
    const text = valueDifference(parameterOf(shown.parameters, name), parameterOf(wanted, name))
    return text === undefined ? [] : [{ field: `parameters.${printable(name, 60)}`, text }]
  })
}

function parameterOf(parameters: Parameters, name: string): Parameter | null {
  return Object.hasOwn(parameters, name) ? (parameters[name] ?? null) : null
}
