/**
 * The task tree of a terminal: one listr2 task per change. The engine decides what runs and when; a task here only waits
 * for the end of its change, so that listr2 holds the list, its states and its errors.
 *
 * listr2's default renderer is not used. It draws all tasks at each update (200 tasks: minutes for seconds of work),
 * measures stdout though it may write elsewhere, holds back everybody else's output, and brings signal handlers along.
 */
import process from 'node:process'
import { clearInterval, setInterval } from 'node:timers'
import { Listr, type ListrEventManager, ListrEventType, type ListrRenderer, type ListrTask } from 'listr2'
import type { ChangeFinished, Event } from '../../apply/events.ts'
import type { Change } from '../../plan/plan.ts'
import type { ApplyView } from './apply-view.ts'
import { composeFrame } from './frame.ts'
import { foldProgress, noProgress } from './progress.ts'
import { createScreen, type ScreenStream } from './screen.ts'
import type { Style } from './style.ts'
import { loadingText, waitingText } from './words.ts'

export interface TaskTreeOptions {
  /** stderr, a terminal. */
  readonly stream: ScreenStream
  readonly style: Style
  /** Else ASCII. */
  readonly unicode: boolean
  /** Milliseconds, of any clock. */
  readonly now: () => number
  /** Calls back again and again until the returned function is called. Default: an interval that keeps no process alive. */
  readonly every?: (ms: number, callback: () => void) => () => void
}

/** Ten frames a second. */
const frameMs = 100

/** How a change ended; `null` when the view was closed before it did. */
type End = ChangeFinished | null

export function createTaskTree({ stream, style, unicode, now, every = everyInterval }: TaskTreeOptions): ApplyView {
  const screen = createScreen(stream)
  const ends = new Map<string, (end: End) => void>()
  const runs: Promise<unknown>[] = []
  let progress = noProgress
  let stop: (() => void) | undefined
  let dirty = false
  let settled = false
  let closing: Promise<void> | undefined

  const compose = (final: boolean) =>
    composeFrame(progress, screen.rows(), { columns: screen.columns(), style, unicode, nowMs: now(), final })

  const paint = () => {
    // A change being worked on has a spinner and a time left, which move without events.
    if (!dirty && !progress.changes.some(({ phase }) => phase === 'active')) return
    dirty = false
    screen.paint(compose(false))
  }

  /** Not a signal handler: the second Ctrl-C exits without closing anything, and must not leave the cursor hidden. */
  const onExit = () => quietly(() => screen.release())

  const halt = () => {
    stop?.()
    stop = undefined
    process.removeListener('exit', onExit)
  }

  const open = () => {
    if (stop !== undefined || settled || closing !== undefined) return
    process.once('exit', onExit)
    stop = every(frameMs, () => {
      // A terminal that is gone stays gone.
      if (!quietly(paint)) halt()
    })
    dirty = true
    quietly(paint)
  }

  class FrameRenderer implements ListrRenderer {
    // listr2 asks whether stdout is a terminal; we write to stderr, and the CLI has asked already.
    static nonTTY = true
    static rendererOptions = {}
    static rendererTaskOptions = {}
    readonly #events: ListrEventManager | undefined

    constructor(_tasks: unknown, _options: unknown, events?: ListrEventManager) {
      this.#events = events
    }

    render = () => {
      open()
      this.#events?.on(ListrEventType.SHOULD_REFRESH_RENDER, () => {
        dirty = true
      })
    }

    // The last frame is drawn by `close`: listr2 does not call this in every case.
    end = () => {
      dirty = true
    }
  }

  const start = (changes: readonly Change[]) => {
    const tasks = changes.filter(({ id }) => !ends.has(id)).map((change) => taskFor(change, ends))
    if (tasks.length === 0) return
    const listr = new Listr(tasks, {
      concurrent: true,
      exitOnError: false,
      collectErrors: 'minimal',
      registerSignalListeners: false,
      renderer: FrameRenderer,
    })
    runs.push(listr.run().catch(() => undefined))
  }

  const handle = (event: Event) => {
    progress = foldProgress(progress, event, now())
    dirty = true
    // It comes before there is a frame, above which it stays.
    if (event.type === 'waiting') stream.write(`${waitingText(event)}\n`)
    if (event.type === 'apply-started') start(event.changes)
    if (event.type === 'change-finished') ends.get(event.id)?.(event)
    // Every change has ended, and the frame stays where it is.
    if (event.type === 'model-loading' || event.type === 'model-loaded') {
      settle()
      stream.write(`${loadingText(event)}\n`)
    }
  }

  const settle = () => {
    halt()
    if (!settled && progress.changes.length > 0) quietly(() => screen.finish(compose(true)))
    settled = true
  }

  const close = async () => {
    for (const end of ends.values()) end(null)
    await Promise.all(runs)
    settle()
    quietly(() => screen.release())
  }

  return {
    handle: (event) => {
      if (closing === undefined) quietly(() => handle(event))
    },
    close: () => {
      closing ??= close()
      return closing
    },
  }
}

/** A task that ends as its change does. */
function taskFor({ id, reference }: Change, ends: Map<string, (end: End) => void>): ListrTask {
  const ended = new Promise<End>((resolve) => ends.set(id, resolve))
  return {
    title: reference,
    task: async (_context, task) => {
      const end = await ended
      if (end?.outcome === 'failed') throw new Error(`${reference}: ${end.error?.message ?? 'failed'}`)
      if (end?.outcome !== 'done') task.skip(`${reference}: ${end?.outcome ?? 'not finished'}`)
    },
  }
}

function everyInterval(ms: number, callback: () => void): () => void {
  const timer = setInterval(callback, ms)
  timer.unref()
  return () => clearInterval(timer)
}

/** A view must never stop an apply. False when something was thrown. */
function quietly(action: () => void): boolean {
  try {
    action()
    return true
  } catch {
    return false
  }
}
