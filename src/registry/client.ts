/** Asks registries for manifests, as the Ollama server that is to pull would ask. */
import { isDigest, manifestMediaType, parseManifest } from '../artifact/manifest.ts'
import { printable } from '../artifact/text.ts'
import { isOllamaConfigError, OllamaConfigError } from '../errors.ts'
import { readBeginning } from '../runtime/body.ts'
import type { HttpResponse } from '../runtime/http.ts'
import type { Logger } from '../runtime/logger.ts'
import { routeTo } from '../runtime/proxy.ts'
import { sha256 } from '../runtime/sha256.ts'
import { Connections } from './connections.ts'
import { type Got, get, type Question } from './get.ts'
import {
  codeOf,
  failureAnswer,
  type Refusal,
  type Surroundings,
  statusAnswer,
  statusRefusal,
  storageRefusal,
} from './problems.ts'
import type { BlobBytesRequest, BlobRequest, DownloadClient, ManifestAnswer, ManifestRequest } from './registry.ts'
import { Shared } from './shared.ts'
import { readSigningKey, refusedFor, type SignIn, signIn } from './sign-in.ts'
import type { KeyError, SigningKey } from './ssh-key.ts'

export interface RegistryClientOptions {
  /** Of the server on whose behalf is asked: registries refuse what a version cannot run. `null`: not known. */
  readonly serverVersion: string | null
  /** For the proxies in it. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Gives the text of the private key that signs. Called after a 401 only; left out where the server's key is not on this machine. */
  readonly readKey?: (() => Promise<string | undefined>) | undefined
  /** Where we fetch by ourselves, and no server does: the files that `readKey` looks for, for people. */
  readonly keyFiles?: readonly string[] | undefined
  readonly logger?: Logger | undefined
  /** Default: `https://HOST`, or `http://HOST` when insecure. */
  readonly baseUrl?: ((host: string, insecure: boolean) => string) | undefined
  /** Longest time for one request, in milliseconds. Default: 10 000. */
  readonly timeoutMs?: number | undefined
  /** How often a request that was reset, or answered with a status that may pass, is repeated. Default: 2. */
  readonly retries?: number | undefined
  /** Longest pause before the first repetition, in milliseconds; it doubles. Default: 250. */
  readonly pauseMs?: number | undefined
}

export function createRegistryClient(options: RegistryClientOptions): DownloadClient {
  return new Client(options)
}

/** Real manifests have some kilobytes. */
const maxManifestBytes = 4 * 1024 * 1024
const maxTokenBytes = 64 * 1024

class Client implements DownloadClient {
  readonly #options: RegistryClientOptions
  readonly #connections: Connections
  /** For large bodies, by the longest silence that is borne. */
  readonly #downloads = new Map<number, Connections>()
  /** Where the bytes of a blob were found. Signed, and so secret. */
  readonly #direct = new Map<string, URL>()
  readonly #userAgent: string
  /** By registry and repository, as each is signed for once. Secret. */
  readonly #tokens = new Map<string, string>()
  readonly #signIns = new Shared<SignIn>()
  /** Whatever a registry may repeat: tokens and signatures. */
  readonly #secrets = new Set<string>()
  #key: Promise<SigningKey | KeyError | undefined> | undefined

  constructor(options: RegistryClientOptions) {
    this.#options = options
    const { serverVersion, env, logger, timeoutMs = 10_000 } = options
    this.#connections = new Connections({ env, logger, timeoutMs, hide: (text) => this.#hide(text) })
    const version = /^[0-9a-z.+-]{1,40}$/i.test(serverVersion ?? '') ? serverVersion : '0.0.0'
    // Which machine the server runs on is not known; Linux is what nearly all of them say.
    this.#userAgent = `ollama/${version} (amd64 linux) Go/go1.26.0`
  }

  async manifest(request: ManifestRequest): Promise<ManifestAnswer> {
    const { reference, signal } = request
    signal?.throwIfAborted()
    let answer: ManifestAnswer
    try {
      answer = await this.#ask(request)
    } catch (error) {
      if (signal?.aborted) throw signal.reason
      answer = failureAnswer(error, reference.host, this.surroundings(request))
    }
    return 'problem' in answer ? { ...answer, problem: this.#hide(answer.problem) } : answer
  }

  close(): void {
    this.#connections.close()
    for (const connections of this.#downloads.values()) connections.close()
  }

  async openBlob({ reference, insecure, digest, range, silenceMs, signal }: BlobBytesRequest): Promise<HttpResponse> {
    signal?.throwIfAborted()
    const { env, logger } = this.#options
    const connections =
      this.#downloads.get(silenceMs) ??
      new Connections({ env, logger, silenceMs, unlimited: true, hide: (text) => this.#hide(text) })
    this.#downloads.set(silenceMs, connections)
    const headers = {
      'accept-encoding': 'identity',
      'user-agent': this.#userAgent,
      ...(range === undefined ? {} : { range: `bytes=${range.from}-${range.to - 1}` }),
    }
    const key = `${reference.host}/${reference.namespace}/${reference.model} ${digest}`
    const direct = this.#direct.get(key)
    if (direct !== undefined) {
      // The registry may lead elsewhere by the next try.
      const forget = () => {
        if (this.#direct.get(key) === direct) this.#direct.delete(key)
      }
      const { response, url } = await connections.get(direct, headers, signal).catch((error: unknown) => {
        if (!signal?.aborted) forget()
        throw error
      })
      if (!isRefusal(response.status)) {
        if (response.status >= 500) forget()
        return this.#discreet(response, url)
      }
      await readBeginning(response, maxTokenBytes)
      forget()
    }
    const asked = await this.#signed(
      { reference, insecure, signal },
      `blobs/${digest}`,
      async (url, authorization) => {
        const answer = await connections.get(url, { ...headers, ...authorization }, signal)
        return {
          ...answer,
          asked: url,
          status: answer.response.status,
          header: (name: string) => answer.response.header(name),
        }
      },
      ({ response }) => readBeginning(response, maxTokenBytes),
    )
    // Who signs us in may only be busy.
    if ('refusal' in asked) throw toError(asked.refusal, asked.refusal.kind === 'unknown')
    const { response, url, asked: first } = asked.got
    if (url.href !== first.href && !isRefusal(response.status) && response.status < 500) this.#direct.set(key, url)
    const answer = await this.#discreet(response, url)
    if (response.status !== 401 && response.status !== 403) return answer
    const said = await readBeginning(answer, maxTokenBytes)
    throw toError(
      url.host === first.host
        ? statusRefusal(response.status, said, reference.host, this.#options.keyFiles)
        : storageRefusal(response.status, said, reference.host, url.host),
    )
  }

  surroundings({ reference, insecure }: Pick<ManifestRequest, 'reference' | 'insecure'>): Surroundings {
    const { env, keyFiles } = this.#options
    try {
      return { keyFiles, proxyVariable: routeTo(new URL(this.#baseOf(reference.host, insecure)), env).variable }
    } catch {
      // The host is no address, which is what is told.
      return { keyFiles }
    }
  }

  #baseOf(host: string, insecure: boolean): string {
    return this.#options.baseUrl?.(host, insecure) ?? `${insecure ? 'http' : 'https'}://${host}`
  }

  /** An answer that is only shown may repeat a token, or that by which an address is signed. */
  async #discreet(response: HttpResponse, { search }: URL): Promise<HttpResponse> {
    const { status } = response
    if (status === 200 || status === 206) return response
    const said = this.#hide(await readBeginning(response, maxTokenBytes))
    const signed = [search.slice(1), ...new URLSearchParams(search).values()].filter((text) => text.length >= 8)
    const text = signed.reduce((shown, secret) => shown.replaceAll(secret, '***'), said)
    return {
      status,
      header: (name) => response.header(name),
      body: piecesOf(text),
      consume: async (take) => take(new TextEncoder().encode(text)),
      cancel: () => {},
    }
  }

  async blob({ reference, insecure, digest, maxBytes, signal }: BlobRequest): Promise<string | null> {
    signal?.throwIfAborted()
    try {
      const asked = await this.#signed({ reference, insecure, signal }, `blobs/${digest}`, (url, authorization) =>
        this.#get(() => ({ url, headers: authorization }), maxBytes, signal),
      )
      if ('refusal' in asked || asked.got.status !== 200) return null
      const { bytes } = asked.got
      if (`sha256:${sha256(bytes)}` !== digest) return null
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    } catch {
      if (signal?.aborted) throw signal.reason
      return null
    }
  }

  async #ask(request: ManifestRequest): Promise<ManifestAnswer> {
    const { reference, digest } = request
    const asked = await this.#signed(request, `manifests/${digest ?? reference.tag}`, (url, authorization) =>
      this.#get(
        () => ({ url, headers: { accept: manifestMediaType, ...authorization } }),
        maxManifestBytes,
        request.signal,
      ),
    )
    if ('refusal' in asked) return asked.refusal
    const { got } = asked
    if (got.status === 401) {
      const { keyFiles } = this.#options
      const keyWords = keyFiles === undefined ? 'the key of the server' : 'the key'
      return refusedFor(keyFiles, `${reference.host} refuses access, also with ${keyWords}`).refusal
    }
    return this.#read(got, reference.host, digest)
  }

  /** Asks with the token that is known and, where that is refused, once more with a new one. */
  async #signed<T extends Pick<Got, 'status' | 'header'>>(
    { reference, insecure, signal }: Pick<ManifestRequest, 'reference' | 'insecure' | 'signal'>,
    path: string,
    ask: (url: URL, authorization: Question['headers']) => Promise<T>,
    /** Reads an answer that nobody wants. */
    drop: (got: T) => Promise<unknown> = async () => {},
  ): Promise<{ readonly got: T } | { readonly refusal: Refusal }> {
    const { host, namespace, model } = reference
    const repository = `${this.#baseOf(host, insecure)}/v2/${namespace}/${model}`
    const url = new URL(`${repository}/${path}`)
    const askWith = (token: string | undefined) =>
      ask(url, token === undefined ? {} : { authorization: `Bearer ${token}` })
    const known = this.#tokens.get(repository)
    const got = await askWith(known)
    if (got.status !== 401) return { got }
    await drop(got)
    // It may have grown too old; another request may have a new one already.
    if (known !== undefined && this.#tokens.get(repository) === known) this.#tokens.delete(repository)
    const token = this.#tokens.get(repository)
    const signed =
      token === undefined
        ? await this.#signIn(repository, url, host, got.header('www-authenticate'), signal)
        : { token }
    return 'refusal' in signed ? signed : { got: await askWith(signed.token) }
  }

  async #signIn(
    repository: string,
    url: URL,
    host: string,
    challenge: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<SignIn> {
    const signed = await this.#signIns.join(repository, signal, (shared) =>
      signIn({
        url,
        host,
        challenge,
        key: () => this.#signingKey(),
        keyFiles: this.#options.keyFiles,
        ask: async (question) => {
          const got = await this.#get(question, maxTokenBytes, shared)
          return { ...got, text: this.#hide(got.text) }
        },
        keepSecret: (text) => this.#secrets.add(text),
      }),
    )
    if ('token' in signed) this.#tokens.set(repository, signed.token)
    return signed
  }

  #signingKey(): Promise<SigningKey | KeyError | undefined> {
    const { readKey } = this.#options
    this.#key ??= readKey === undefined ? Promise.resolve(undefined) : readSigningKey(readKey)
    return this.#key
  }

  #get(question: () => Question, maxBytes: number, signal: AbortSignal | undefined): Promise<Got> {
    const { retries = 2, pauseMs = 250 } = this.#options
    const asked = () => {
      const { url, headers } = question()
      return { url, headers: { ...headers, 'user-agent': this.#userAgent } }
    }
    return get(this.#connections, asked, { maxBytes, retries, pauseMs, signal })
  }

  #read({ status, header, bytes, text: said }: Got, host: string, digest: string | undefined): ManifestAnswer {
    if (status === 404) return { kind: 'missing' }
    // Hidden before it is cut: the rest of a token would not be found.
    if (status !== 200) return statusAnswer(status, this.#hide(said), host, this.#options.keyFiles)
    const found = `sha256:${sha256(bytes)}`
    if (digest !== undefined && isDigest(digest) && found !== digest) {
      return noManifest(host, 'it is not what was asked for by its digest')
    }
    try {
      const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
      const pushedAt = pushTime(header('ollama-push-time'))
      return { kind: 'found', served: { digest: found, text, manifest: parseManifest(text), pushedAt } }
    } catch (error) {
      return noManifest(host, isOllamaConfigError(error) ? error.message.replace(/^.*?: /, '') : 'it is no text')
    }
  }

  #hide(text: string): string {
    return [...this.#secrets].reduce(
      (shown, secret) => shown.replaceAll(secret, '***').replaceAll(encodeURIComponent(secret), '***'),
      text,
    )
  }
}

async function* piecesOf(text: string): AsyncGenerator<Uint8Array, undefined> {
  yield new TextEncoder().encode(text)
}

/** What a storage says when a signed URL has grown old; some say that there is no such thing. */
function isRefusal(status: number): boolean {
  return status === 400 || status === 401 || status === 403 || status === 404 || status === 410
}

function toError(refusal: Refusal, retryable = false): OllamaConfigError {
  return new OllamaConfigError(codeOf(refusal), refusal.problem, { hint: refusal.hint, retryable })
}

function noManifest(host: string, problem: string): ManifestAnswer {
  return {
    kind: 'unknown',
    problem: `The answer of ${host} is no manifest: ${printable(problem, 200)}`,
    hint: 'check that the host in the name is a model registry, and not a web page or a sign-in portal',
  }
}

/** Unix seconds. */
function pushTime(header: string | undefined): string | null {
  const seconds = /^\d{9,11}$/.test(header ?? '') ? Number(header) : Number.NaN
  return Number.isNaN(seconds) ? null : new Date(seconds * 1000).toISOString()
}
