/** The token flow: who gets a token, and what a token opens. */
import { randomBytes } from 'node:crypto'
import type { Access } from './options.ts'
import { isSigned, tokenText } from './ssh-key.ts'

const service = 'fixture'
const freshForSeconds = 300

/** Why a request for a token is refused; `odd` when no client should ever send such a request. */
export interface Refused {
  reason: string
  odd: boolean
}

export class Tokens {
  readonly #keys = new Set<string>()
  readonly #issued = new Map<string, string>()
  readonly #nonces = new Set<string>()

  constructor(authorizedKeys: readonly string[]) {
    for (const key of authorizedKeys) this.authorize(key)
  }

  authorize(publicKey: string): void {
    this.#keys.add(publicKey.trim().split(/\s+/)[1] ?? '')
  }

  challenge(origin: string, repository: string, { challenge, realm }: Access): string | undefined {
    if (challenge === false) return undefined
    return `Bearer realm="${realm ?? `${origin}/token`}",service="${service}",scope="${scopeOf(repository)}"`
  }

  /** Looks at everything before it issues: the form of the request, its age, the signature, and whose it is. */
  issue(origin: string, query: string, authorization: string | undefined): { token: string } | Refused {
    const odd = (reason: string): Refused => ({ reason, odd: true })
    const parameters = new URLSearchParams(query)
    const keys = query.split('&').map((pair) => pair.replace(/=.*$/, ''))
    if (keys.join() !== 'nonce,scope,service,ts') return odd(`query keys are ${keys.join()}`)
    if (parameters.get('service') !== service) return odd(`service is ${parameters.get('service')}`)
    const age = Math.abs(Date.now() / 1000 - Number(parameters.get('ts')))
    if (!/^\d+$/.test(parameters.get('ts') ?? '') || age > freshForSeconds) return odd('ts is not the time of now')
    const nonce = parameters.get('nonce') ?? ''
    if (!/^[\w-]{22}$/.test(nonce)) return odd('nonce is not 22 characters of base64url')
    if (this.#nonces.has(nonce)) return odd('nonce was used before')
    this.#nonces.add(nonce)
    if (authorization === undefined) return odd('no signature')
    if (!isSigned(authorization, tokenText(`${origin}/token?${query}`))) return odd('the signature does not hold')
    if (!this.#keys.has(authorization.split(':')[0] ?? '')) return { reason: 'unknown key', odd: false }
    const token = randomBytes(18).toString('base64url')
    this.#issued.set(token, parameters.get('scope') ?? '')
    return { token }
  }

  /** Whether the header opens this repository; or what is wrong with a token that opens another one. */
  opens(repository: string, authorization: string | undefined): 'yes' | 'no' | 'other repository' {
    const scope = this.#issued.get(/^Bearer (\S+)$/.exec(authorization ?? '')?.[1] ?? '')
    if (scope === undefined) return 'no'
    return scope === scopeOf(repository) ? 'yes' : 'other repository'
  }
}

export function scopeOf(repository: string): string {
  return `repository:${repository}:pull`
}

export function repositoryOfScope(scope: string | null): string | undefined {
  return /^repository:(.+):pull$/.exec(scope ?? '')?.[1]
}
