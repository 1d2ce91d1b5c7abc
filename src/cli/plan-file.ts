/** Saved plans: written by `plan --out`, read by `apply FILE`. */
import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { isRecord } from '../artifact/json-text.ts'
import { quoted } from '../artifact/text.ts'
import { OllamaConfigError } from '../errors.ts'
import { parseJson } from '../json.ts'
import { formatPlanFile, readPlan } from '../plan/codec.ts'
import type { Plan } from '../plan/plan.ts'
import { writeFileAtomically } from '../runtime/atomic-file.ts'

/** A plan for 10,000 models has about 20 MB. */
const maxBytes = 256 * 1024 * 1024

/**
 * @param folder What a relative name is relative to
 * @throws {OllamaConfigError} `usage` when there is no such file, `invalid-plan` when it is no plan
 */
export async function readPlanFile(name: string, folder: string): Promise<Plan> {
  const file = path.resolve(folder, name)
  const found = await stat(file).catch(() => undefined)
  if (found?.isFile() !== true) {
    throw new OllamaConfigError('usage', `There is no plan file ${quoted(name)}`, {
      hint: 'make one with "ollama-config plan --out FILE"; a model is added to "models" in the config',
    })
  }
  const notPlan = (problem: string) =>
    new OllamaConfigError('invalid-plan', `${quoted(name)} is no plan: ${problem}`, {
      hint: 'make one with "ollama-config plan --out FILE"',
    })
  if (found.size > maxBytes) throw notPlan('it is too large')
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw notPlan(`it cannot be read (${error instanceof Error ? error.message : 'unknown error'})`)
  })
  const parsed = parseJson(text.replace(/^\uFEFF/, ''))
  if (!('value' in parsed)) throw notPlan('it is not valid JSON')
  // Such as another file of the project.
  if (!isRecord(parsed.value) || !('targets' in parsed.value)) throw notPlan('it has no "targets"')
  return withoutClaims(readPlan(parsed.value))
}

/** What a file from elsewhere says of the lock file, and of how models came to be, was compared with nothing. */
function withoutClaims(plan: Plan): Plan {
  const targets = plan.targets.map((target) => ({
    ...target,
    changes: target.changes.map((change) => {
      if (change.action !== 'no-op') return change
      const { lock: _, built: __, ...rest } = change
      return rest
    }),
  }))
  return { ...plan, targets }
}

/**
 * Readable by its owner alone: it names models that may be nobody else's business.
 *
 * @throws {OllamaConfigError} `file-not-written`, `usage` when a file of another kind is there
 */
export async function writePlanFile(name: string, plan: Plan, folder: string): Promise<void> {
  await assertReplaceable(name, folder)
  await writeFileAtomically(path.resolve(folder, name), formatPlanFile(plan), { mode: 0o600 })
}

/** A slip of the hand, such as `--out` for `--config`, must not cost somebody's file. */
async function assertReplaceable(name: string, folder: string): Promise<void> {
  const found = await stat(path.resolve(folder, name)).catch(() => undefined)
  if (found?.isFile() !== true || found.size === 0) return
  await readPlanFile(name, folder).catch(() => {
    throw new OllamaConfigError('usage', `--out ${quoted(name)} would overwrite a file that is no saved plan`, {
      hint: 'name another file, such as plan.json',
    })
  })
}
