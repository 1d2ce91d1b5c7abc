/** Versions of the Ollama server, as far as plans depend on them. */

/**
 * Servers before 0.19 printed a pulled manifest anew, so that the digest they list is not the registry's for the same content.
 * A development build calls itself 0.0.0; what says nothing is taken to be new.
 */
export function rewritesManifests(version: string | null): boolean {
  const [, major, minor] = /^v?(\d+)\.(\d+)\./.exec(version ?? '') ?? []
  return major === '0' && Number(minor) > 0 && Number(minor) < 19
}

/** Servers before 0.32.7 wrote a config of another form for what they built, so that its digest cannot be foreseen. */
export function buildsOtherwise(version: string | null): boolean {
  const [, major, minor, patch] = /^v?(\d+)\.(\d+)\.(\d+)/.exec(version ?? '') ?? []
  if (major !== '0' || Number(minor) === 0) return false
  return Number(minor) < 32 || (Number(minor) === 32 && Number(patch) < 7)
}
