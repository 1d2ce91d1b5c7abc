/** What a plugin makes of a pulled model: by its `probe`, and by what its `details` say that the model can do. */
import { printable } from '../artifact/text.ts'
import { type Diagnostic, toErrorData } from '../errors.ts'
import type { InstalledModel } from '../plan/state.ts'
import type { ManagedModel, ModelManager } from '../plugins/manager.ts'
import { type ProbeOptions, probe } from './probe.ts'
import type { ValidatedPull } from './validated-pull.ts'

export interface PulledModel {
  /** The shortest spelling. */
  readonly name: string
  readonly model: InstalledModel
  readonly changed: boolean
}

type JudgeOptions = Omit<ProbeOptions, 'target'>

export type Judgement = Pick<ValidatedPull, 'valid' | 'diagnostics'>

const unvalidated: Judgement = { valid: null, diagnostics: [] }

/** @throws `known.signal.reason` */
export async function judge(pulled: PulledModel, manager: ModelManager, options: JudgeOptions): Promise<Judgement> {
  const { signal } = options.known
  signal?.throwIfAborted()
  try {
    const managed = await manager.loadModel(pulled.name)
    const { details, probe: probeHook } = managed.plugin
    if (details === undefined && probeHook === undefined) return unvalidated
    const diagnostics = [...(await compare(managed, pulled, options)), ...(await tryOut(managed, pulled, options))]
    const unable = diagnostics.some(({ code }) => code === 'plugin-failed' || code === 'plugin-timeout')
    const wrong = diagnostics.some(({ severity }) => severity === 'error')
    // What was only compared is not tried.
    const untried = diagnostics.some(({ code }) => code === 'probe-skipped')
    return { valid: unable || (untried && !wrong) ? null : !wrong, diagnostics }
  } catch (error) {
    signal?.throwIfAborted()
    const problem = problemOf(error)
    // A model that nobody speaks for is nothing unusual; a config that a plugin refuses is, and the model stays all the same.
    return problem.code === 'no-plugin-for-model' ? unvalidated : { valid: null, diagnostics: [problem] }
  }
}

/** What the plugin says that the model can do, against what the host says. */
async function compare(
  { details, plugin, reference }: ManagedModel,
  { model }: PulledModel,
  { backend, known }: JudgeOptions,
): Promise<readonly Diagnostic[]> {
  let wanted: readonly string[]
  try {
    wanted = (await details()).capabilities ?? []
  } catch (error) {
    return [problemOf(error)]
  }
  // A cloud model is asked for elsewhere.
  if (wanted.length === 0 || model.remoteHost !== undefined) return []
  const { capabilities } = await backend.show(model.name, { signal: known.signal })
  // Servers before 0.6.4 do not tell.
  if (capabilities.length === 0) return []
  const missing = wanted.filter((capability) => !capabilities.includes(capability)).map((text) => printable(text, 80))
  if (missing.length === 0) return []
  const message = `${plugin.name}: ${reference} lacks ${missing.join(', ')}: it has ${capabilities.join(', ')}`
  return [{ severity: 'error', code: `${plugin.name}/capability-missing`, message, reference }]
}

async function tryOut(
  { plugin, config, reference }: ManagedModel,
  { model, changed }: PulledModel,
  options: JudgeOptions,
): Promise<readonly Diagnostic[]> {
  const { digest, remoteHost } = model
  const probed = { reference, digest, changed, cloud: remoteHost !== undefined }
  const checked = { name: plugin.name, spec: plugin, config, path: 'manager' }
  const target = { address: options.backend.address, models: [probed] }
  const diagnostics: Diagnostic[] = []
  for await (const diagnostic of probe([checked], { ...options, target })) {
    diagnostics.push(diagnostic)
  }
  return diagnostics
}

function problemOf(error: unknown): Diagnostic {
  const { code, message, hint } = toErrorData(error)
  return { severity: 'error', code, message, ...(hint === undefined ? {} : { hint }) }
}
