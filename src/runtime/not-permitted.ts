/** Deno's own error for what it was not permitted: it says how to permit it. */
export function isNotPermitted(error: unknown): error is Error {
  return error instanceof Error && error.name === 'NotCapable'
}
