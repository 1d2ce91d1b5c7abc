/** Ollama's sign-in at a registry: a bearer token for a request that is signed with the server's key (server/auth.go in v0.33). */
import type { SigningKey } from './ssh-key.ts'

export interface Challenge {
  readonly realm: URL
  readonly service: string
  /** One or more, separated by spaces. */
  readonly scope: string
}

/** Reads `Bearer realm="…",service="…",scope="…"`; `undefined` for anything else. */
export function parseChallenge(header: string | undefined): Challenge | undefined {
  const parameters = /^\s*bearer\s+(.*)$/is.exec(header ?? '')?.[1]
  if (parameters === undefined) return undefined
  const values = new Map<string, string>()
  // From the beginning of a word only, and its end is not looked for anew: else the time is the square of the length.
  const pair = /(?<![a-z_])([a-z_]+)(?![a-z_])\s*=\s*(?:"([^"]*)"|([^\s,"]+))/gi
  for (const [, name = '', quoted, bare = ''] of parameters.matchAll(pair)) {
    values.set(name.toLowerCase(), quoted ?? bare)
  }
  try {
    return {
      realm: new URL(values.get('realm') ?? ''),
      service: values.get('service') ?? '',
      scope: values.get('scope') ?? '',
    }
  } catch {
    return undefined
  }
}

export interface TokenRequest {
  readonly url: URL
  /** Secret. */
  readonly authorization: string
}

/** SHA-256 of nothing, in hex, in base64: the body that is signed is always empty. */
const emptyBodyHash = btoa('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')

/** @param nonce 16 random bytes, base64url without padding. @param nowMs Epoch milliseconds. */
export function tokenRequest(
  { realm, service, scope }: Challenge,
  key: SigningKey,
  nonce: string,
  nowMs: number,
): TokenRequest {
  const url = new URL(realm)
  // Not those of the URL, which is printed anew with each that is added.
  const query = new URLSearchParams(url.search)
  query.append('nonce', nonce)
  for (const one of scope.split(' ').filter((text) => text !== '')) query.append('scope', one)
  query.append('service', service)
  query.append('ts', String(Math.floor(nowMs / 1000)))
  // Go writes query keys in alphabetical order, and the text that is signed holds the whole URL.
  query.sort()
  url.search = query.toString()
  return { url, authorization: `${key.publicKey}:${key.sign(`GET,${url.href},${emptyBodyHash}`)}` }
}

/** The token in `{"token": "…"}`. */
export function readToken(text: string): string | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  const token = typeof value === 'object' && value !== null && 'token' in value ? value.token : undefined
  // It becomes a header: nothing that could end one.
  return typeof token === 'string' && /^[\x21-\x7e]{1,16384}$/.test(token) ? token : undefined
}
