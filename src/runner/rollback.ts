/** `createRollbackPlan`: back to the version that an update replaced. */
import { formatReference, parseListedName, type Reference, referenceKey } from '../artifact/reference.ts'
import { quoted } from '../artifact/text.ts'
import type { Config } from '../config/config.ts'
import { type Diagnostic, OllamaConfigError } from '../errors.ts'
import { sourceOf } from '../plan/declared-models.ts'
import { formatVersion, type Plan, type RestoreChange } from '../plan/plan.ts'
import type { DesiredState } from '../plan/state.ts'
import type { LoadedConfig } from './connection.ts'
import { keysOf } from './plan.ts'
import { type SurveyOptions, survey } from './survey.ts'

/**
 * A plan with one change, which puts the newest copy that the record knows in the place of the model. Changes nothing.
 *
 * @throws {OllamaConfigError} `usage` when the model is not declared, or when no copy of it was kept
 */
export async function createRollbackPlan(
  config: LoadedConfig | Config,
  name: string,
  options: SurveyOptions = {},
): Promise<Plan> {
  const { desired, backend, actual, recalled, diagnostics } = await survey(config, options)
  const [key = ''] = keysOf([name], desired)
  const installed = new Map(actual.models.map((model) => [referenceKey(model.reference), model]))
  const [newest] = [...recalled.copies]
    .filter(([copyKey, copy]) => copy.own && copy.of === key && installed.get(copyKey)?.digest === copy.digest)
    .sort(([, a], [, b]) => (a.at < b.at ? 1 : -1))
  const copy = installed.get(newest?.[0] ?? '')
  const reference = desired.models.find((model) => referenceKey(model.reference) === key)?.reference
  if (copy === undefined || newest === undefined || reference === undefined) {
    throw new OllamaConfigError('usage', `There is no previous version of ${quoted(name)} to go back to`, {
      hint: 'versions are kept by "ollama-config update --keep-previous"',
    })
  }
  const model = formatReference(reference)
  const present = installed.get(key)
  const change: RestoreChange = {
    id: `restore:${model}`,
    action: 'restore',
    reference: model,
    cloud: false,
    before: present === undefined ? null : { digest: present.digest, sizeBytes: present.sizeBytes },
    after: { digest: copy.digest, sizeBytes: copy.sizeBytes },
    dependsOn: [],
    precondition: { digest: present?.digest ?? null, source: copy.digest },
    downloadBytes: 0,
    // The server removes the blobs of what was overwritten only when it starts the next time.
    freedBytes: 0,
    from: formatReference(parseListedName(copy.name)),
    reason: { code: 'rollback', text: `back to the version kept on ${newest[1].at.slice(0, 10)}` },
  }
  const { serverVersion } = actual
  const { address, kind } = backend
  const notes = [...diagnostics, ...afterwards(model, desired)]
  const target = { address, kind, serverVersion, changes: [change], drift: [], diagnostics: notes }
  return { formatVersion, prune: false, targets: [target] }
}

/** What the next apply does of it, where a model is made from another. */
function afterwards(name: string, { models }: DesiredState): readonly Diagnostic[] {
  const note = (message: string, hint: string): Diagnostic => ({
    severity: 'warning',
    code: 'rollback-not-declared',
    message,
    reference: name,
    hint,
  })
  const isIt = (reference: Reference | undefined) => reference !== undefined && formatReference(reference) === name
  const made = models.find(({ reference, recipe }) => isIt(reference) && recipe !== undefined)
  const users = models.filter((model) => isIt(sourceOf(model))).map(({ reference }) => formatReference(reference))
  return [
    ...(made === undefined
      ? []
      : [
          note(
            `The config says how "${name}" is made, so that the next apply makes it anew`,
            'change its declaration back to what it was',
          ),
        ]),
    ...(users.length === 0
      ? []
      : [
          note(
            `What is made from it stays as it is until the next apply: ${users.join(', ')}`,
            '"ollama-config apply" makes it anew',
          ),
        ]),
  ]
}
