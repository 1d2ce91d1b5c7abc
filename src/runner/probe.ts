/** What plugins find when they try the models of an apply. Imported only where a plugin has a `probe` hook. */
import type { Event } from '../apply/events.ts'
import { formatReference, referenceKey } from '../artifact/reference.ts'
import { printable } from '../artifact/text.ts'
import type { Backend } from '../backend/backend.ts'
import { importHostClient } from '../backend/http.ts'
import type { OllamaClient } from '../backend/ollama-client.ts'
import { type Diagnostic, toErrorData } from '../errors.ts'
import type { ActualState, DesiredState } from '../plan/state.ts'
import type { PluginContext, ProbeContext, ProbeTarget } from '../plugin.ts'
import type { CheckedPlugin } from '../plugins/check.ts'
import { readDiagnostics } from '../plugins/results.ts'
import { type HookRun, runHooks } from '../plugins/run.ts'
import { type ConnectOptions, hostOptions, type KnownConfig } from './connection.ts'
import { hostFacts } from './host-facts.ts'
import type { Place } from './place.ts'
import { folderOf } from './review.ts'
import { ShownModels } from './shown-models.ts'

export interface Probed {
  readonly backend: Backend
  readonly place: Place
  /** The options of the apply, whose signal is up also when the loop over its events was left. */
  readonly known: ConnectOptions & { readonly config: KnownConfig }
}

/**
 * Passes the events on; after an apply that changed something and failed nowhere, the probes run before it is called finished. An
 * error among their diagnostics makes it `failed`; nothing is undone.
 */
export async function* probeAfter(events: AsyncIterable<Event>, probed: Probed): AsyncGenerator<Event, void> {
  const changed = new Set<string>()
  for await (const event of events) {
    if (event.type === 'change-finished' && event.outcome === 'done') changed.add(event.reference.toLowerCase())
    if (event.type !== 'apply-finished' || event.outcome !== 'done' || changed.size === 0) {
      yield event
      continue
    }
    let failed = false
    try {
      for await (const diagnostic of probeChanged(changed, probed)) {
        failed ||= diagnostic.severity === 'error'
        yield { type: 'diagnostic', diagnostic }
      }
    } catch (error) {
      if (!probed.known.signal?.aborted) throw error
      yield { ...event, outcome: 'interrupted' }
      continue
    }
    yield failed ? { ...event, outcome: 'failed' } : event
  }
}

/** @throws `signal.reason` */
async function* probeChanged(
  changed: ReadonlySet<string>,
  { backend, place, known }: Probed,
): AsyncGenerator<Diagnostic, void> {
  const { config, signal } = known
  if (place.kind === 'store') {
    yield* skipped(config.plugins)
    return
  }
  let state: ActualState
  try {
    state = await backend.readState({ signal })
  } catch (error) {
    signal?.throwIfAborted()
    const { code, message } = toErrorData(error)
    yield { severity: 'error', code, message: `The plugins could not probe: ${message}` }
    return
  }
  const target = targetOf(config.desired, state, changed, backend.address)
  yield* probe(config.plugins, { target, state, backend, place, known })
}

export interface ProbeOptions extends Probed {
  readonly target: ProbeTarget
  /** What is installed. */
  readonly state: ActualState
}

/** Runs the probes of these plugins. @throws `signal.reason` */
export async function* probe(
  plugins: readonly CheckedPlugin[],
  { target, state, backend, place, known }: ProbeOptions,
): AsyncGenerator<Diagnostic, void> {
  if (place.kind === 'store') {
    yield* skipped(plugins)
    return
  }
  const { config, signal } = known
  const shown = new ShownModels(backend, state.models, signal)
  const openClient = await importHostClient(hostOptions(place.address, config, known))
  const run: HookRun<readonly Diagnostic[]> = {
    hook: 'probe',
    context: { cwd: folderOf(config), host: hostFacts(place, state.serverVersion) },
    call: ({ spec, config: own }, context) => spec.probe?.(own, target, probeContext(context, shown, openClient)),
    read: (value, { name }) => readDiagnostics(value, name),
  }
  for await (const { outcome } of runHooks(plugins, run, known)) {
    if ('problem' in outcome) yield outcome.problem
    else yield* outcome.value
  }
}

/** Models are tried by a server, and a store has none. */
function skipped(plugins: readonly CheckedPlugin[]): readonly Diagnostic[] {
  const names = plugins.filter(({ spec }) => spec.probe !== undefined).map(({ name }) => printable(name, 80))
  if (names.length === 0) return []
  const message = `Not tried: ${names.join(', ')} ${names.length === 1 ? 'needs' : 'need'} a server, and a store has none`
  const hint = 'try the models once a server uses the store'
  return [{ severity: 'warning', code: 'probe-skipped', message, hint }]
}

function probeContext(
  context: PluginContext,
  shown: ShownModels,
  openClient: (signal: AbortSignal) => OllamaClient,
): ProbeContext {
  const { signal } = context
  return Object.assign(context, {
    client: openClient(signal),
    clientFor: (own: AbortSignal) => openClient(AbortSignal.any([signal, own])),
    show: (reference: string) => shown.show(reference, signal),
  })
}

function targetOf(
  { models }: DesiredState,
  state: ActualState,
  changed: ReadonlySet<string>,
  address: string,
): ProbeTarget {
  const installed = new Map(state.models.map((model) => [referenceKey(model.reference), model]))
  return {
    address,
    models: models.flatMap(({ reference }) => {
      const model = installed.get(referenceKey(reference))
      if (model === undefined) return []
      const name = formatReference(reference)
      const cloud = reference.cloud || model.remoteHost !== undefined
      return [{ reference: name, digest: model.digest, changed: changed.has(name.toLowerCase()), cloud }]
    }),
  }
}
