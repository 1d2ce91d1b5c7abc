/** Carries out what is made on the host: builds from another model or from files, and second names. */

import { printable } from '../artifact/text.ts'
import type { CreateRequest } from '../backend/backend.ts'
import { differencesOf } from '../plan/differences.ts'
import type { AliasChange, DeriveChange, PlannedBuild, RebuildChange } from '../plan/plan.ts'
import type { InstalledModel } from '../plan/state.ts'
import { anySignal } from '../runtime/abortable.ts'
import type { Event } from './events.ts'
import { findWhole, type Host, notAsReported, stalePlan, verifyInstalled } from './host.ts'
import { keepPrevious } from './keep.ts'
import { done, type Outcome } from './outcome.ts'
import { StallWatch } from './stall-watch.ts'
import { uploadFiles } from './upload.ts'

/** How a build is carried out. */
export interface BuildOptions {
  readonly signal: AbortSignal | undefined
  /** The plan comes from elsewhere, or from earlier: files are read again before they are sent. */
  readonly strict: boolean
  /** As of `Patience`. */
  readonly stallMs?: number | undefined
}

/** @throws {OllamaConfigError} `stale-plan`, `verification-failed`, and what the host answers */
export async function* buildModel(
  change: DeriveChange | RebuildChange,
  host: Host,
  options: BuildOptions,
): AsyncGenerator<Event, Outcome> {
  const { id, reference, after, build, precondition } = change
  const present = findWhole(host.state, reference)
  // Somebody else was quicker.
  if (present !== undefined && present.digest === after?.digest) return done(present)
  if (present !== undefined && present.digest !== precondition.digest && (await isAsDeclared(present, build, host)))
    return done(present)
  assertUntouched(change, present, 'built')
  const base = build.from === null ? undefined : startOf(build.from, precondition.base ?? null, change, host)
  const files = [...build.files, ...build.adapters]
  yield* uploadFiles(id, files, host, options)
  yield* keepPrevious(change, present, host)
  const watch = new StallWatch(`The build of "${reference}"`, options.stallMs)
  const signal = anySignal(options.signal, watch.signal)
  // What is quantized or checked is read, and may be written, without a line.
  const hashedBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, base?.sizeBytes ?? 0)
  try {
    for await (const line of host.backend.create(present?.name ?? reference, requestOf(build, base), { signal })) {
      const { status, completedBytes = null, totalBytes = null } = line
      watch.see({ doing: status, bytes: completedBytes ?? 0, hashedBytes })
      yield { type: 'change-progress', id, status, completedBytes, totalBytes, waiting: false }
    }
  } finally {
    watch.stop()
  }
  const model = await verifyInstalled(reference, host)
  if (model.digest !== after?.digest) await assertAsDeclared(model, build, host)
  return { ...done(model), made: true }
}

/** @throws {OllamaConfigError} `stale-plan`, `verification-failed`, and what the host answers */
export async function* aliasModel(change: AliasChange, host: Host): AsyncGenerator<Event, Outcome> {
  const { reference, of, precondition } = change
  const present = findWhole(host.state, reference)
  const source = startOf(of, precondition.source ?? null, change, host)
  if (present?.digest === source.digest) return done(present)
  assertUntouched(change, present, 'made')
  yield* keepPrevious(change, present, host)
  await host.backend.copy(source.name, present?.name ?? reference)
  const model = await verifyInstalled(reference, host)
  if (model.digest === source.digest) return { ...done(model), made: true }
  throw notAsReported(host, `that it copied "${of}" to "${reference}", but lists another version there`)
}

function assertUntouched(
  {
    reference,
    precondition,
  }: { readonly reference: string; readonly precondition: { readonly digest: string | null } },
  present: InstalledModel | undefined,
  verb: string,
): void {
  if ((present?.digest ?? null) === precondition.digest) return
  const what = present === undefined ? 'deleted' : precondition.digest === null ? 'installed' : 'replaced'
  throw stalePlan(`"${reference}" was not ${verb}: it was ${what} since the plan was made`)
}

/** @param digest `null` when it was only brought by this plan */
function startOf(
  name: string,
  digest: string | null,
  { reference }: { readonly reference: string },
  host: Host,
): InstalledModel {
  const found = findWhole(host.state, name)
  if (found === undefined)
    throw stalePlan(`"${reference}" was not made: "${name}", which it starts from, is not installed`)
  if (digest === null || found.digest === digest) return found
  throw stalePlan(`"${reference}" was not made: "${name}", which it starts from, was replaced since the plan was made`)
}

/** @param base `undefined` for a model that is built from files */
export function requestOf(build: PlannedBuild, base: Pick<InstalledModel, 'name'> | undefined): CreateRequest {
  const { system, template, parameters, messages, licenses, renderer, parser, requires, quantize } = build
  const byName = (files: PlannedBuild['files']) => Object.fromEntries(files.map(({ name, digest }) => [name, digest]))
  return {
    // The spelling of the server: another one would be pulled.
    ...(base === undefined ? { files: byName(build.files) } : { from: base.name }),
    ...(build.adapters.length === 0 ? {} : { adapters: byName(build.adapters) }),
    ...(system === null ? {} : { system }),
    ...(template === null ? {} : { template }),
    ...(Object.keys(parameters).length === 0 ? {} : { parameters }),
    ...(messages.length === 0 ? {} : { messages }),
    ...(licenses.length === 0 ? {} : { license: licenses }),
    ...(renderer === null ? {} : { renderer }),
    ...(parser === null ? {} : { parser }),
    ...(requires === null ? {} : { requires }),
    ...(quantize === null ? {} : { quantize }),
  }
}

/** Whether another apply built just this meanwhile, as far as the server tells. */
async function isAsDeclared(model: InstalledModel, build: PlannedBuild, host: Host): Promise<boolean> {
  if (build.from === null || model.remoteHost !== undefined) return false
  const base = findWhole(host.state, build.from)
  if (base === undefined) return false
  const show = (name: string) => host.backend.show(name, { signal: host.lateSignal })
  const [shown, shownBase] = [await show(model.name), await show(base.name)]
  return differencesOf(shown, shownBase, build, build).length === 0
}

/**
 * Where the digest was not foreseen, or is another: at least what is declared must be there.
 *
 * @throws {OllamaConfigError} `verification-failed`
 */
async function assertAsDeclared(model: InstalledModel, build: PlannedBuild, host: Host): Promise<void> {
  const shown = await host.backend.show(model.name, { signal: host.lateSignal })
  const differences = differencesOf(shown, null, build, build).filter(
    // The server rewrites the weights of files.
    ({ field }) => field !== 'gguf',
  )
  if (differences.length === 0) return
  const fields = differences.map(({ field, text }) => `${field} (${text})`).join(', ')
  throw notAsReported(host, `that it built "${model.name}", but it is not as declared: ${printable(fields, 300)}`)
}
