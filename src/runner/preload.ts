/** What `preload` adds to an apply: declared models are loaded into memory. Imported only where it is asked for. */
import type { ApplyFinished, Event } from '../apply/events.ts'
import { formatReference, referenceKey } from '../artifact/reference.ts'
import { quoted } from '../artifact/text.ts'
import type { Backend } from '../backend/backend.ts'
import { createModelLoader } from '../backend/load-model.ts'
import { type Diagnostic, toErrorData } from '../errors.ts'
import type { DesiredModel, DesiredState, InstalledModel, KeepAlive } from '../plan/state.ts'
import { type ConnectOptions, hostOptions, type KnownConfig } from './connection.ts'
import type { HostPlace } from './place.ts'

export interface Preloading {
  readonly backend: Backend
  readonly place: HostPlace
  /** The options of the apply, whose signal is up also when the loop over its events was left. */
  readonly known: ConnectOptions & { readonly config: KnownConfig }
}

/**
 * Passes the events on; after an apply that failed nowhere, models are loaded before it is called finished. One that cannot be loaded makes it
 * `failed`; the others are loaded all the same.
 */
export async function* preloadAfter(events: AsyncIterable<Event>, preloading: Preloading): AsyncGenerator<Event, void> {
  let finished: ApplyFinished | undefined
  for await (const event of events) {
    if (event.type === 'apply-finished') finished = event
    else yield event
  }
  // Only now the host is free for other processes: loading may take minutes and changes no model.
  if (finished?.outcome !== 'done') {
    if (finished !== undefined) yield finished
    return
  }
  let outcome: ApplyFinished['outcome'] = 'done'
  try {
    for await (const event of preload(preloading)) {
      if (event.type === 'diagnostic') outcome = 'failed'
      yield event
    }
  } catch (error) {
    if (!preloading.known.signal?.aborted) throw error
    outcome = 'interrupted'
  }
  yield { ...finished, outcome }
}

/** One after the other: two at once would share the disk, and each would take longer. @throws `signal.reason` */
async function* preload({ backend, place, known }: Preloading): AsyncGenerator<Event, void> {
  const { config, signal } = known
  const wanted = modelsToLoad(config.desired)
  if (wanted.length === 0) return
  let installed: ReadonlyMap<string, InstalledModel>
  try {
    const { models } = await backend.readState({ signal })
    installed = new Map(models.map((model) => [referenceKey(model.reference), model]))
  } catch (error) {
    signal?.throwIfAborted()
    return yield problem('The models', 'were not loaded', error)
  }
  const load = createModelLoader(hostOptions(place.address, config, known))
  const done = new Set<string>()
  for (const { reference, keepAlive } of wanted) {
    const name = formatReference(reference)
    const model = installed.get(referenceKey(reference))
    // A cloud model has no weights here, and a request to it is one to somebody else's machine.
    if (reference.cloud || model?.remoteHost !== undefined) continue
    const key = JSON.stringify([model?.digest ?? name, keepAlive])
    // A second name of what is in memory already.
    if (done.has(key)) continue
    yield { type: 'model-loading', reference: name }
    const startMs = performance.now()
    try {
      await load(model?.name ?? name, keepAlive, { signal })
      done.add(key)
      yield { type: 'model-loaded', reference: name, durationMs: Math.round(performance.now() - startMs) }
    } catch (error) {
      signal?.throwIfAborted()
      yield problem(quoted(name), 'was not loaded', error, name)
    }
  }
}

function problem(who: string, what: string, error: unknown, reference?: string): Event {
  const { code, message, hint } = toErrorData(error)
  const diagnostic: Diagnostic = {
    severity: 'error',
    code,
    message: `${who} ${what}: ${message}`,
    ...(reference === undefined ? {} : { reference }),
    ...(hint === undefined ? {} : { hint }),
  }
  return { type: 'diagnostic', diagnostic }
}

/** Those that say how long they stay, or all where none does; in the order in which they are written. */
export function modelsToLoad({ models, keepAlive }: DesiredState): readonly {
  readonly reference: DesiredModel['reference']
  readonly keepAlive: KeepAlive | undefined
}[] {
  const own = models.filter((model) => model.neededBy === undefined && !isZero(model.keepAlive))
  const chosen = own.filter((model) => model.keepAlive !== undefined)
  return (chosen.length > 0 ? chosen : own)
    .map((model) => ({ reference: model.reference, keepAlive: model.keepAlive ?? keepAlive }))
    .filter((model) => !isZero(model.keepAlive))
}

/** The server would unload it at once. */
function isZero(keepAlive: KeepAlive | undefined): boolean {
  return keepAlive !== undefined && !/[1-9]/.test(String(keepAlive))
}
