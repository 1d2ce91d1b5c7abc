/** Which fault, if any, a request meets: first registered, first used, each as often as was asked for. */
import { nameKey, readName, readSource } from './names.ts'
import type { Fault, ListingDefect, RequestMatch, ServerRequest } from './options.ts'

/** The test registry uses it too, with requests, matches and faults of its own. */
export class Faults<Match = RequestMatch, Planned = Fault, Request = ServerRequest> {
  #planned: { match: Match; fault: Planned; left: number }[] = []
  readonly #matches: (request: Request, match: Match) => boolean
  readonly #holds = new Set<() => void>()

  constructor(matches: (request: Request, match: Match) => boolean) {
    this.#matches = matches
  }

  add(match: Match, fault: Planned, times: number): void {
    this.#planned.push({ match, fault, left: times })
  }

  clear(): void {
    this.#planned = []
  }

  take(request: Request): Planned | undefined {
    const found = this.#planned.find(({ match, left }) => left > 0 && this.#matches(request, match))
    if (found === undefined) return undefined
    found.left--
    return found.fault
  }

  /** Waits for `release()`, or for the client to leave. */
  async hold(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#holds.add(resolve)
      whenAborted(signal, resolve)
    })
  }

  release(): void {
    for (const resume of this.#holds) resume()
    this.#holds.clear()
  }
}

export function whenAborted(signal: AbortSignal, then: () => void): void {
  if (signal.aborted) then()
  else signal.addEventListener('abort', () => then(), { once: true })
}

export function matchesRequest(request: ServerRequest, match: RequestMatch): boolean {
  return (
    (match.method === undefined || match.method === request.method) &&
    (match.path === undefined || isAt(request.path, match.path)) &&
    (match.model === undefined || modelsOf(request).includes(keyOf(match.model))) &&
    (match.aborted === undefined || match.aborted === request.aborted) &&
    (match.finished === undefined || match.finished === request.finished)
  )
}

function isAt(path: string, wanted: string): boolean {
  return path === wanted || (wanted.endsWith('/') && wanted !== '/' && path.startsWith(wanted))
}

function modelsOf({ body }: ServerRequest): string[] {
  if (typeof body !== 'object' || body === null) return []
  const { model, name, source, destination } = body as Record<string, unknown>
  return [model, name, source, destination].filter((value) => typeof value === 'string').map(keyOf)
}

function keyOf(text: string): string {
  const source = readSource(text.trim())
  const name = source.kind === 'conflict' ? undefined : readName(source.name)
  return name === undefined ? text : nameKey(name)
}

/** The listing with one thing wrong; it needs at least one model for most of them. */
export function spoilListing(listing: unknown, defect: ListingDefect): unknown {
  const { models } = listing as { models: Record<string, unknown>[] }
  const [first = {}, ...others] = models
  const change = (entry: unknown) => ({ models: [entry, ...others] })
  const without = (key: string) => {
    const { [key]: dropped, ...rest } = first
    return change(rest)
  }
  const spoiled: Record<ListingDefect, () => unknown> = {
    'models-missing': () => ({}),
    'models-null': () => ({ models: null }),
    'entry-null': () => change(null),
    'name-missing': () => {
      const { name, model, ...rest } = first
      return change(rest)
    },
    'name-number': () => change({ ...first, name: 7, model: 7 }),
    'name-invalid': () => change({ ...first, name: 'not a name', model: 'not a name' }),
    'digest-missing': () => without('digest'),
    'digest-short': () => change({ ...first, digest: 'abc' }),
    'digest-prefixed': () => change({ ...first, digest: `sha256:${first['digest']}` }),
    'size-missing': () => without('size'),
    'size-text': () => change({ ...first, size: 'big' }),
    'details-missing': () => without('details'),
    'duplicate-entry': () => ({ models: [first, ...models] }),
  }
  return spoiled[defect]()
}
