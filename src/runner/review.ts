/** What plugins think of a finished plan. Imported only where a plugin has a `review` hook. */
import { dirname } from 'node:path'
import type { Diagnostic } from '../errors.ts'
import type { Plan } from '../plan/plan.ts'
import type { HostContext, PluginContext } from '../plugin.ts'
import { readDiagnostics } from '../plugins/results.ts'
import { type HookRun, runHooks } from '../plugins/run.ts'
import type { ConnectOptions } from './connection.ts'
import { hostFacts } from './host-facts.ts'
import { ShownModels } from './shown-models.ts'
import type { Survey } from './survey.ts'

/**
 * The same plan with the diagnostics of the plugins after its own. An error among them makes it inapplicable.
 *
 * @throws `options.signal.reason`
 */
export async function reviewPlan(plan: Plan, found: Survey, options: ConnectOptions): Promise<Plan> {
  const { known, place, backend, actual } = found
  const shown = new ShownModels(backend, actual.models, options.signal)
  const withShow = (context: PluginContext): HostContext =>
    // Not spread: that would look up what the hook may not ask for.
    Object.assign(context, { show: (reference: string) => shown.show(reference, context.signal) })
  // A hook that sorts a list in place, say, shall fail rather than change what is applied.
  const copy = frozen(structuredClone(plan))
  const run: HookRun<readonly Diagnostic[]> = {
    hook: 'review',
    context: { cwd: folderOf(known), host: hostFacts(place, actual.serverVersion) },
    call: ({ spec, config }, context) => spec.review?.(config, copy, withShow(context)),
    read: (value, { name }) => readDiagnostics(value, name),
  }
  const diagnostics: Diagnostic[] = []
  for await (const { outcome } of runHooks(known.plugins, run, options)) {
    if ('problem' in outcome) diagnostics.push(outcome.problem)
    else for (const diagnostic of outcome.value) diagnostics.push(diagnostic)
  }
  if (diagnostics.length === 0) return plan
  const [target, ...others] = plan.targets
  if (target === undefined) return plan
  return { ...plan, targets: [{ ...target, diagnostics: [...target.diagnostics, ...diagnostics] }, ...others] }
}

/** Of the config; of one that was never in a file the working directory. */
export function folderOf({ file }: { readonly file?: string }): string {
  return file === undefined ? process.cwd() : dirname(file)
}

function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const inner of Object.values(value)) frozen(inner)
  return Object.freeze(value)
}
