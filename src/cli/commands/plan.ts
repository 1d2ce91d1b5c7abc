/** `ollama-config plan`: shows what apply would do. */

import { jsonText } from '../../artifact/json-text.ts'
import { formatReference } from '../../artifact/reference.ts'
import { counted } from '../../artifact/text.ts'
import { OllamaConfigError } from '../../errors.ts'
import { formatVersion, pendingChanges, planErrors } from '../../plan/plan.ts'
import { createPlan, selectTarget } from '../../runner.ts'
import { applyCommand, styleFor } from '../command-line.ts'
import type { PlanFlags } from '../command-table.ts'
import { type Context, columnsOf, exitCodes } from '../context.ts'
import { planDocument } from '../views/json.ts'
import { writeFolded } from '../views/output.ts'
import { formatPlan } from '../views/plan.ts'
import { formatDiagnostic } from '../views/problems.ts'
import { describeTerminal } from '../views/terminal.ts'
import { folderOf, openSession, type Session, withHostSource } from './session.ts'

export async function plan(flags: PlanFlags, context: Context): Promise<number> {
  if (flags['config-only'] && flags.out !== undefined)
    throw new OllamaConfigError(
      'usage',
      '--out and --config-only were both given, and without a host there is no plan',
      {
        hint: 'leave out one of them',
      },
    )
  const session = await openSession(flags, context)
  if (flags['config-only']) {
    // Throws for an address that is none.
    selectTarget(session.loaded, session.connection)
    const text = configText(session, flags.json === true)
    if (flags.json) context.stdout.write(text)
    else {
      writeFolded(context.stdout, text)
      const style = styleFor(describeTerminal(context, flags).stdoutColor, flags, context)
      for (const warning of session.loaded.desired.warnings)
        context.stdout.write(`${formatDiagnostic(warning, style, columnsOf(context.stdout))}\n`)
    }
    return exitCodes.done
  }
  const { loaded, connection, file } = session
  const terminal = describeTerminal(context, flags)
  const result = await withHostSource(session, () =>
    createPlan(loaded, {
      ...connection,
      prune: flags.prune === true,
      frozen: flags.frozen,
      offline: flags.offline,
      keepPrevious: flags['keep-previous'],
    }),
  )
  if (flags.out !== undefined) {
    const { writePlanFile } = await import('../plan-file.ts')
    await writePlanFile(flags.out, result, folderOf(flags, context))
  }
  if (flags.json) {
    context.stdout.write(planDocument(result))
  } else {
    context.stdout.write(
      formatPlan(result, {
        columns: columnsOf(context.stdout),
        style: styleFor(terminal.stdoutColor, flags, context),
        file,
        all: flags.all === true,
        unapproved: flags.out === undefined ? 'open' : 'kept',
      }),
    )
    if (flags.out !== undefined)
      writeFolded(
        context.stdout,
        planErrors(result).length > 0
          ? 'Saved, but it cannot be applied: see above\n'
          : `Saved. To do it: ${applyCommand(flags, context, flags.out)}\n`,
      )
    else if (pendingChanges(result).length > 0 && planErrors(result).length === 0)
      writeFolded(context.stdout, `To do it: ${applyCommand(flags, context)}\n`)
  }
  if (planErrors(result).length > 0) return exitCodes.failed
  return flags['detailed-exitcode'] && pendingChanges(result).length > 0 ? exitCodes.pending : exitCodes.done
}

function configText({ loaded, file }: Session, json: boolean): string {
  const models = loaded.desired.models.map(({ reference, insecure, recipe, neededBy }) => ({
    reference: formatReference(reference),
    insecure,
    ...(recipe?.kind === 'alias' ? { aliasOf: formatReference(recipe.of) } : {}),
    ...(recipe?.kind === 'build' && recipe.from !== null ? { from: formatReference(recipe.from) } : {}),
    ...(recipe?.kind === 'build' && recipe.from === null ? { files: recipe.files.map(({ name }) => name) } : {}),
    ...(neededBy === undefined ? {} : { neededBy }),
  }))
  if (json) return `${jsonText({ formatVersion, file: loaded.file, models }, 2)}\n`
  const count = models.filter(({ neededBy }) => neededBy === undefined).length
  return [
    `${file}${loaded.desired.warnings.length === 0 ? ' is fine. It' : ''} declares ${counted(count, 'model')}:`,
    ...models.map((model) => `  ${model.reference}${noteOf(model)}`),
    '',
  ].join('\n')
}

interface Listed {
  readonly insecure: boolean
  readonly aliasOf?: string
  readonly from?: string
  readonly files?: readonly string[]
  readonly neededBy?: string
}

function noteOf({ insecure, aliasOf, from, files, neededBy }: Listed): string {
  const notes = [
    ...(aliasOf === undefined ? [] : [`alias of ${aliasOf}`]),
    ...(from === undefined ? [] : [`from ${from}`]),
    ...(files === undefined ? [] : [`from ${files.join(', ')}`]),
    ...(neededBy === undefined ? [] : [`needed by ${neededBy}`]),
    ...(insecure ? ['over plain http'] : []),
  ]
  return notes.length === 0 ? '' : ` (${notes.join(', ')})`
}
