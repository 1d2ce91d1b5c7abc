/** Requests to a registry as the recorded server makes them: its headers, redirects, tokens and error texts. */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { signature, tokenText } from '../registry/ssh-key.ts'
import type { Name } from './names.ts'
import { connectionRefused, foreignRealm, noKey, notJson, PullFailure, unauthorized } from './pull-errors.ts'

export interface SessionOptions {
  /** Where the registry really is. */
  base: string
  name: Name
  insecure: boolean
  version: string
  /** Path of the private key; without it the server has none. */
  keyFile: string | undefined
}

interface Asked {
  accept?: string
  /** A redirect to another host is an answer then, and not followed. */
  onlySameHost?: boolean
  signal: AbortSignal
}

const mostRedirects = 10

export class RegistrySession {
  readonly #options: SessionOptions
  #token: string | undefined

  constructor(options: SessionOptions) {
    this.#options = options
  }

  /** With one new token where the answer is 401; @throws PullFailure where it is an error. */
  async ask(method: 'GET' | 'HEAD', path: string, asked: Asked): Promise<IncomingMessage> {
    for (let attempt = 0; attempt < 2; attempt++) {
      const response = await this.#follow(method, `${this.#options.base}${path}`, asked)
      const status = response.statusCode ?? 0
      if (status < 400) return response
      const text = await readText(response)
      if (status === 404) throw new PullFailure('file does not exist')
      if (status !== 401) throw new PullFailure(`${status}: ${text}`)
      this.#token = await this.#newToken(response.headers['www-authenticate'] ?? '', asked.signal)
    }
    throw new PullFailure(unauthorized)
  }

  async #follow(
    method: 'GET' | 'HEAD',
    start: string,
    { accept, onlySameHost, signal }: Asked,
  ): Promise<IncomingMessage> {
    let url = start
    for (let hops = 0; hops <= mostRedirects; hops++) {
      const isHome = new URL(url).hostname === new URL(start).hostname
      const headers = {
        ...this.#headers(method),
        ...(accept === undefined ? {} : { Accept: accept }),
        ...(this.#token === undefined || !isHome ? {} : { Authorization: `Bearer ${this.#token}` }),
      }
      const response = await this.#send(method, url, headers, signal)
      const { location } = response.headers
      if (![301, 302, 303, 307, 308].includes(response.statusCode ?? 0) || location === undefined) return response
      const next = new URL(location, url)
      if (onlySameHost === true && next.hostname !== new URL(start).hostname) return response
      response.destroy()
      url = next.href
    }
    throw new PullFailure(`${goVerb(method)} "${this.#shown(url)}": stopped after ${mostRedirects} redirects`)
  }

  #headers(method: string): Record<string, string> {
    return {
      'User-Agent': `ollama/${this.#options.version} (amd64 linux) Go/go1.26.0`,
      ...(method === 'GET' ? { 'Accept-Encoding': 'gzip' } : {}),
    }
  }

  async #newToken(challenge: string, signal: AbortSignal): Promise<string | undefined> {
    const { base, name, keyFile } = this.#options
    const value = (key: string) => new RegExp(`${key}="([^"]*)"`).exec(challenge)?.[1] ?? ''
    const realm = URL.canParse(value('realm')) ? new URL(value('realm')) : undefined
    if (realm?.host !== new URL(base).host) throw new PullFailure(foreignRealm(realm?.host ?? '', name))
    const parameters = new URLSearchParams(realm.search)
    parameters.append('service', value('service'))
    for (const scope of value('scope').split(' ')) parameters.append('scope', scope)
    parameters.append('ts', String(Math.floor(Date.now() / 1000)))
    parameters.append('nonce', randomBytes(16).toString('base64url'))
    parameters.sort()
    realm.search = parameters.toString()
    if (keyFile === undefined) throw new PullFailure(noKey)
    if (!existsSync(keyFile)) throw new PullFailure(`open ${keyFile}: no such file or directory`)
    const signed = { Authorization: await signature(keyFile, tokenText(realm.href)) }
    const response = await this.#send('GET', realm.href, { ...this.#headers('GET'), ...signed }, signal)
    const text = await readText(response)
    if ((response.statusCode ?? 0) >= 400) throw new PullFailure(`${response.statusCode}: ${text}`)
    try {
      return (JSON.parse(text) as { token?: string }).token
    } catch {
      throw new PullFailure(notJson(text, 'a token'))
    }
  }

  async #send(
    method: string,
    url: string,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    try {
      return await send(method, url, headers, signal)
    } catch (error) {
      if (signal.aborted) throw error
      const { name, insecure } = this.#options
      const isRefused = (error as NodeJS.ErrnoException).code === 'ECONNREFUSED'
      const reason = isRefused ? connectionRefused(name, insecure) : 'EOF'
      throw new PullFailure(`${goVerb(method)} "${this.#shown(url)}": ${reason}`)
    }
  }

  /** As the server sees it, which knows nothing of the address a test mapped the host to. */
  #shown(url: string): string {
    const { base, name, insecure } = this.#options
    return url.startsWith(base) ? `${insecure ? 'http' : 'https'}://${name.host}${url.slice(base.length)}` : url
  }
}

export function send(
  method: string,
  url: string,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(url, { method, headers, signal, agent: false })
    outgoing.on('response', (response) => {
      // Later errors come out of reading the body.
      response.on('error', () => {})
      resolve(response)
    })
    outgoing.on('error', reject)
    outgoing.end()
  })
}

export async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = []
  try {
    for await (const chunk of response as AsyncIterable<Uint8Array>) chunks.push(chunk)
  } catch {
    throw new PullFailure('unexpected EOF')
  }
  return Buffer.concat(chunks).toString()
}

function goVerb(method: string): string {
  return method === 'HEAD' ? 'Head' : 'Get'
}
