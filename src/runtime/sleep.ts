/** Waiting that can be called off. */

/** Longer timers fire at once. */
export const maxTimerMs = 2 ** 31 - 1

/**
 * Resolves after `ms` milliseconds.
 *
 * @throws `signal.reason` as soon as the signal is up
 */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const onAbort = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
