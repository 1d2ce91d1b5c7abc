/** SHA-256 of a text or bytes, as 64 hex digits. `node:crypto` is loaded when it is needed: that takes milliseconds. */
export function sha256(data: string | Uint8Array): string {
  return process.getBuiltinModule('node:crypto').createHash('sha256').update(data).digest('hex')
}
