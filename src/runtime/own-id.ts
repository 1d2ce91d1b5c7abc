/** Number of the user who runs this process; `undefined` where there are none, and where Deno was not permitted to tell. */
export function ownId(): number | undefined {
  try {
    return process.getuid?.()
  } catch {
    return undefined
  }
}
