/** What several places read in the headers of a request. */

export const manifestType = 'application/vnd.docker.distribution.manifest.v2+json'

/** The three numbers of the Ollama version that a request claims to come from. */
export function versionOf(userAgent: string | undefined): number[] | undefined {
  const found = /^ollama\/(\d+)\.(\d+)\.(\d+)[\w.+-]* \([^()]+\)( \S+)*$/.exec(userAgent ?? '')
  return found?.slice(1, 4).map(Number)
}

export function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header
}
