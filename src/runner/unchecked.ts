/** What an update could not find out. Imported only where there is such a model. */
import type { Event } from '../apply/events.ts'
import { quoted } from '../artifact/text.ts'
import type { Diagnostic, ErrorCode } from '../errors.ts'
import type { Change, Target } from '../plan/plan.ts'

/**
 * Passes the events on; whoever asks for the newest is not done where nobody could tell which that is: each such model is told, and makes
 * the outcome `failed`.
 */
export async function* tellUnchecked(events: AsyncIterable<Event>, target: Target): AsyncGenerator<Event, void> {
  for await (const event of events) {
    if (event.type !== 'apply-finished' || event.outcome === 'interrupted') {
      yield event
      continue
    }
    for (const change of target.changes) {
      if (change.reason.code === 'not-checked') yield { type: 'diagnostic', diagnostic: problemOf(change, target) }
    }
    yield { ...event, outcome: 'failed' }
  }
}

/** The plan has asked, and knows why there was no answer. */
function problemOf({ reference }: Change, { diagnostics }: Target): Diagnostic {
  const [code, why, hint] = causeOf(reference, diagnostics)
  const message = `${quoted(reference)} was not updated: ${why}`
  return { severity: 'error', code, message, reference, ...(hint === undefined ? {} : { hint }) }
}

function causeOf(
  reference: string,
  diagnostics: readonly Diagnostic[],
): readonly [code: ErrorCode, why: string, hint: string | undefined] {
  const own = (code: string) => diagnostics.find((found) => found.reference === reference && found.code === code)
  const missing = own('not-in-registry')
  if (missing !== undefined) return ['model-not-found', 'the registry does not have its tag', missing.hint]
  const tooNew = own('server-too-old')
  if (tooNew !== undefined) return ['server-too-old', 'what its tag names needs a newer Ollama', tooNew.hint]
  // These are told once for all models that they hit.
  const others = diagnostics.filter(({ code }) => code === 'registry-unauthorized' || code === 'registry-unknown')
  const isRefused = others.every(({ code }) => code === 'registry-unauthorized') && others.length > 0
  const hint = others.length === 1 ? others[0]?.hint : undefined
  return [isRefused ? 'registry-unauthorized' : 'registry-error', 'the registry could not tell its version', hint]
}
