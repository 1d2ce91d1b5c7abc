/** What the CLI shows while a plan is carried out: a consumer of events, never a part of the engine. */
import type { Event } from '../../apply/events.ts'

export interface ApplyView {
  /** Shows one event. Never throws: a broken terminal must not stop an apply. */
  handle(event: Event): void
  /**
   * Shows the final state of every change and gives the terminal back; also after an interruption, and also when some
   * changes never got their `change-finished`. Later events are ignored. Never rejects; a second call does nothing.
   */
  close(): Promise<void>
}
