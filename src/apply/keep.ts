/** Copies what is about to be replaced. */
import { OllamaConfigError } from '../errors.ts'
import type { InstalledModel } from '../plan/state.ts'
import type { Event } from './events.ts'
import { findInstalled, type Host, stalePlan, verifyInstalled } from './host.ts'

/** Told before it is done: who keeps the record then knows of the copy also when this process dies in between. */
export async function* keepPrevious(
  { id, keepAs: copy }: { readonly id: string; readonly keepAs: string | null },
  present: InstalledModel | undefined,
  host: Host,
): AsyncGenerator<Event, void> {
  if (copy === null || present === undefined) return
  const { name, digest } = present
  const [existing] = findInstalled(host.state, copy)
  if (existing !== undefined && existing.digest !== digest) {
    throw new OllamaConfigError(
      'stale-plan',
      `"${name}" was not replaced: "${copy}", to which its copy would go, is another model`,
      {
        hint: `copy "${copy}" to another name if you need it, delete it, and apply again`,
      },
    )
  }
  yield { type: 'keeping-previous', id, copy, digest }
  if (existing === undefined) await host.backend.copy(name, copy)
  const kept = await verifyInstalled(copy, host)
  if (kept.digest !== digest) throw stalePlan(`"${name}" was not replaced: it was replaced while it was copied aside`)
}
