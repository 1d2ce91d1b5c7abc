/** A model of a registry over HTTP, as the recorded server pulls it. Retries come at once here, without its pauses. */
import { connect } from 'node:net'
import { type Blob, type Content, describeModel, type ManifestLayer, sha256 } from './content.ts'
import type { Download, Source } from './download.ts'
import { AnswerOver } from './exchange.ts'
import { RegistrySession, readText, type SessionOptions, send } from './http-session.ts'
import { showName } from './names.ts'
import { connectionRefused, manifestUrl, notTls, PullFailure, unreadable } from './pull-errors.ts'

const manifestType = 'application/vnd.docker.distribution.manifest.v2+json'
const partSize = 100_000_000
const mostTries = 6
const mostLookups = 4
/** Blobs larger than this are hashed and then forgotten: nothing reads them. */
const keptSize = 1024 * 1024

interface Part {
  offset: number
  size: number
  completed: number
}

/** An unfinished download, which the next pull goes on with. */
interface Partial {
  bytes: Buffer
  parts: Part[]
}

export class HttpPartials extends Map<string, Partial> {
  completed(): Record<string, number> {
    return Object.fromEntries([...this].map(([digest, partial]) => [digest, completedOf(partial)]))
  }
}

export class HttpSource implements Source {
  readonly content: Content
  readonly extras = {}
  readonly #session: RegistrySession
  readonly #repository: string
  readonly #partials: HttpPartials
  readonly #bytesPerLine: number | undefined

  private constructor(content: Content, session: RegistrySession, repository: string, pace: Pace) {
    this.content = content
    this.#session = session
    this.#repository = repository
    this.#partials = pace.partials
    this.#bytesPerLine = pace.bytesPerLine
  }

  /** Gets the manifest; @throws PullFailure */
  static async open(options: SessionOptions, pace: Pace, signal: AbortSignal): Promise<HttpSource> {
    const { name, insecure } = options
    const repository = `/v2/${name.namespace}/${name.model}`
    const session = new RegistrySession(options)
    const failed = (text: string) => new PullFailure(`pull model manifest: ${text}`)
    if (isLoopback(name.host) && !insecure) {
      const listens = await isListening(options.base)
      throw failed(listens ? notTls(name) : `Get "${manifestUrl(name, false)}": ${connectionRefused(name, false)}`)
    }
    let manifest: string
    try {
      const asked = { accept: manifestType, signal }
      manifest = await readText(await session.ask('GET', `${repository}/manifests/${name.tag}`, asked))
    } catch (error) {
      if (signal.aborted) throw new AnswerOver()
      throw error instanceof PullFailure ? failed(error.message) : error
    }
    const failure = unreadable(manifest, name)
    if (failure !== undefined) throw new PullFailure(failure)
    return new HttpSource(describeModel({ name: showName(name), manifest }), session, repository, pace)
  }

  async fetch({ digest }: ManifestLayer, download: Download): Promise<Blob> {
    const path = `${this.#repository}/blobs/${digest}`
    const partial = this.#partials.get(digest) ?? (await this.#prepare(path, download.signal))
    this.#partials.set(digest, partial)
    const { bytes } = partial
    download.size = bytes.length
    download.completed = completedOf(partial)
    download.sizeKnown = true
    const location = await this.#locate(path, download.signal)
    await this.#fetchParts(location, partial, download)
    this.#partials.delete(digest)
    const real = `sha256:${sha256(bytes)}`
    const kept = bytes.length <= keptSize ? { bytes } : { bytes: undefined }
    return { size: bytes.length, ...kept, served: real === digest ? undefined : real }
  }

  async #prepare(path: string, signal: AbortSignal): Promise<Partial> {
    const response = await this.#session.ask('HEAD', path, { signal })
    response.resume()
    const size = Number(response.headers['content-length'] ?? 0)
    const parts: Part[] = []
    for (let offset = 0; offset < size; offset += partSize) {
      parts.push({ offset, size: Math.min(partSize, size - offset), completed: 0 })
    }
    return { bytes: Buffer.allocUnsafe(size), parts }
  }

  /** The address of the bytes; the server tries for half a minute, this one a few times. */
  async #locate(path: string, signal: AbortSignal): Promise<string> {
    for (let attempt = 0; attempt < mostLookups; attempt++) {
      let response: Awaited<ReturnType<RegistrySession['ask']>>
      try {
        response = await this.#session.ask('GET', path, { onlySameHost: true, signal })
      } catch (error) {
        if (!(error instanceof PullFailure)) throw error
        continue
      }
      const { statusCode, headers } = response
      response.destroy()
      if (statusCode !== 307 && statusCode !== 200) throw new PullFailure(`unexpected status code ${statusCode}`)
      if (headers.location === undefined) throw new PullFailure('http: no Location header in response')
      return headers.location
    }
    throw new PullFailure('context deadline exceeded')
  }

  /** All at once; the first that fails for good ends the others. */
  async #fetchParts(location: string, { bytes, parts }: Partial, download: Download): Promise<void> {
    const failed = new AbortController()
    const signal = AbortSignal.any([download.signal, failed.signal])
    const unfinished = parts.filter(({ size, completed }) => completed < size)
    let failure: unknown
    const fetches = unfinished.map((part) =>
      this.#fetchPart(location, bytes, part, download, signal).catch((error: unknown) => {
        failure ??= error
        failed.abort()
      }),
    )
    await Promise.all(fetches)
    if (failure !== undefined) throw failure
  }

  async #fetchPart(
    location: string,
    bytes: Buffer,
    part: Part,
    download: Download,
    signal: AbortSignal,
  ): Promise<void> {
    let reason = ''
    for (let attempt = 0; attempt < mostTries; attempt++) {
      const before = part.completed
      try {
        await this.#readPart(location, bytes, part, download, signal)
        if (part.completed === part.size) return
        // A body that is too short, and says so itself, counts for nothing.
        download.completed -= part.completed - before
        part.completed = before
        reason = 'EOF'
      } catch (error) {
        if (signal.aborted) throw error
        // What came before the connection broke is kept.
        reason = 'unexpected EOF'
      }
    }
    throw new PullFailure(`max retries exceeded: ${reason}`)
  }

  /** Whatever the status: the server takes an error page for bytes, and finds out by their hash. */
  async #readPart(location: string, bytes: Buffer, part: Part, download: Download, signal: AbortSignal): Promise<void> {
    const range = `bytes=${part.offset + part.completed}-${part.offset + part.size - 1}`
    const response = await send('GET', location, { 'User-Agent': 'Go-http-client/1.1', Range: range }, signal)
    for await (const chunk of response as AsyncIterable<Uint8Array>) {
      let rest = chunk.subarray(0, part.size - part.completed)
      while (rest.length > 0) {
        const piece = rest.subarray(0, this.#untilLine(download))
        bytes.set(piece, part.offset + part.completed)
        part.completed += piece.length
        download.completed += piece.length
        rest = rest.subarray(piece.length)
        if (this.#isLine(download)) await download.tell()
      }
      if (part.completed === part.size) break
    }
  }

  #untilLine({ completed }: Download): number {
    return this.#bytesPerLine === undefined
      ? Number.POSITIVE_INFINITY
      : this.#bytesPerLine - (completed % this.#bytesPerLine)
  }

  #isLine({ completed, size }: Download): boolean {
    return this.#bytesPerLine !== undefined && completed % this.#bytesPerLine === 0 && completed < size
  }
}

/** What pulls have in common: unfinished downloads, and how many bytes bring one progress line. */
export interface Pace {
  partials: HttpPartials
  bytesPerLine: number | undefined
}

export function isLoopback(host: string): boolean {
  return /^(127\.\d+\.\d+\.\d+|localhost):\d+$/i.test(host)
}

function completedOf({ parts }: Partial): number {
  return parts.reduce((sum, { completed }) => sum + completed, 0)
}

function isListening(base: string): Promise<boolean> {
  const { hostname, port } = new URL(base)
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname)
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}
