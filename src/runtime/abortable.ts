/** Lets go of work that cannot be stopped. */

/**
 * Settles as `work` does, or rejects with `signal.reason` as soon as the signal is up; the work goes on unseen.
 */
export function abortable<T>(work: T | Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal === undefined) return Promise.resolve(work)
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    // In any case: a failure that nobody listens to would end the process.
    Promise.resolve(work)
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', onAbort))
  })
}

/** A signal that is up as soon as one of these is. */
export function anySignal(...signals: readonly (AbortSignal | undefined)[]): AbortSignal {
  return AbortSignal.any(signals.filter((signal) => signal !== undefined))
}

/**
 * As {@link anySignal}, for many requests at once: Node takes more than ten listeners of one signal for
 * a leak, and says so to the user.
 */
export function sharedSignal(...signals: readonly (AbortSignal | undefined)[]): AbortSignal {
  const shared = anySignal(...signals)
  process.getBuiltinModule('node:events').setMaxListeners(0, shared)
  return shared
}
