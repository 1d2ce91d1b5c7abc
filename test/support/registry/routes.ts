/** Paths and what they answer: manifests, blobs, the storage behind them, tokens. */
import type { Mutable } from '../ollama-server/exchange.ts'
import { type Reply, textReply } from './answer.ts'
import { type ByteRange, keptBytes, readRange } from './blob-bytes.ts'
import { manifestType, one, versionOf } from './headers.ts'
import type { RegistryRequest } from './options.ts'
import type { Held, Repository, Shelf } from './shelf.ts'
import { repositoryOfScope, type Tokens } from './tokens.ts'

export interface RouteContext {
  shelf: Shelf
  tokens: Tokens
  byDigest: boolean
  problems: string[]
  /** Repositories that have answered 401. */
  challenged: Set<string>
  /** `http://127.0.0.1:PORT`, and the same port under the name that stands for another host. */
  origin: string
  storage: string
}

const tooNew =
  '\n\nThe model you are attempting to pull requires a newer version of Ollama.\n\nPlease download the latest version at:\n\n\thttps://ollama.com/download\n\n'

type Subject = Pick<RegistryRequest, 'kind' | 'repository' | 'reference' | 'digest'>

/** What a request is about, by its path alone. */
export function readPath(path: string, query: string): Subject {
  const nothing = { repository: undefined, reference: undefined, digest: undefined }
  if (path === '/token') {
    return { ...nothing, kind: 'token', repository: repositoryOfScope(new URLSearchParams(query).get('scope')) }
  }
  const stored = /^\/cdn\/(sha256:[0-9a-f]{64})$/.exec(path)
  if (stored !== null) return { ...nothing, kind: 'cdn', digest: stored[1] }
  const found =
    /^\/v2\/([\w-]+\/[\w.-]+)\/(?:manifests\/([\w.-]+|sha256:[0-9a-f]{64})|blobs\/(sha256:[0-9a-f]{64}))$/.exec(path)
  if (found === null) return { ...nothing, kind: 'other' }
  const [, repository, reference, digest] = found
  return { kind: reference === undefined ? 'blob' : 'manifest', repository, reference, digest }
}

export function route(request: Mutable<RegistryRequest>, context: RouteContext): Reply {
  if (request.method !== 'GET' && request.method !== 'HEAD') return errorReply(405, 'UNSUPPORTED', 'unsupported')
  switch (request.kind) {
    case 'token':
      return token(request, context)
    case 'cdn':
      return fromStorage(request, context)
    case 'other':
      return textReply(404, '404 page not found', 'text/plain; charset=utf-8')
    default: {
      const repository = context.shelf.repository(request.repository)
      const refusal = repository === undefined ? undefined : authorize(request, repository, context)
      return refusal ?? (request.kind === 'blob' ? blob : manifest)(request, repository, context)
    }
  }
}

function authorize(request: RegistryRequest, { access }: Repository, context: RouteContext): Reply | undefined {
  if (access === undefined) return undefined
  const { tokens, problems, challenged, origin } = context
  const name = request.repository ?? ''
  const opened = tokens.opens(name, one(request.headers['authorization']))
  if (opened === 'other repository')
    problems.push(`${request.method} ${request.path} with a token for another repository`)
  if (opened === 'yes' && access.refused !== true) return undefined
  challenged.add(name)
  const challenge = tokens.challenge(origin, name, access)
  const headers = challenge === undefined ? {} : { 'WWW-Authenticate': challenge }
  return errorReply(401, 'UNAUTHORIZED', 'authentication required', headers)
}

function manifest(request: RegistryRequest, repository: Repository | undefined, { byDigest }: RouteContext): Reply {
  const reference = request.reference ?? ''
  const isDigest = reference.startsWith('sha256:')
  const held = isDigest
    ? byDigest
      ? repository?.manifests.get(reference)
      : undefined
    : repository?.tags.get(reference)
  if (held === undefined) return errorReply(404, 'MANIFEST_UNKNOWN', 'manifest unknown')
  if (isTooNew(held, one(request.headers['user-agent']))) return textReply(412, tooNew, 'text/plain; charset=utf-8')
  const { content, spec } = held
  const pushed =
    spec.pushedAt === undefined
      ? {}
      : { 'ollama-content-digest': content.digest, 'ollama-push-time': String(spec.pushedAt) }
  return {
    status: 200,
    headers: { 'Docker-Content-Digest': `sha256:${content.digest}`, 'Content-Type': manifestType, ...pushed },
    body: keptBytes(Buffer.from(content.manifest)),
  }
}

/** A development build says 0.0.0 and may have everything. */
function isTooNew({ spec }: Held, userAgent: string | undefined): boolean {
  const version = versionOf(userAgent)
  if (spec.requires === undefined || version === undefined || version.every((part) => part === 0)) return false
  const required = spec.requires.split('.').map((part) => Number.parseInt(part, 10))
  const differing = required.findIndex((part, index) => part !== version[index])
  return differing >= 0 && (version[differing] ?? 0) < (required[differing] ?? 0)
}

function blob(
  request: RegistryRequest,
  repository: Repository | undefined,
  { shelf, origin, storage }: RouteContext,
): Reply {
  const digest = request.digest ?? ''
  const bytes = repository?.blobs.has(digest) === true ? shelf.bytes(digest) : undefined
  if (bytes === undefined) return errorReply(404, 'BLOB_UNKNOWN', 'blob unknown to registry')
  const type = { 'Content-Type': 'application/octet-stream' }
  if (request.method === 'HEAD') {
    return { status: 200, headers: { 'Docker-Content-Digest': digest, ...type }, body: bytes }
  }
  if (repository?.delivery === undefined || repository.delivery === 'redirect') {
    return textReply(307, '', 'application/json', { Location: `${storage}/cdn/${digest}` })
  }
  const location = repository.delivery === 'plain' ? {} : { Location: `${origin}${request.path}` }
  return inParts(request, { status: 200, headers: { ...location, ...type }, body: bytes })
}

function fromStorage(request: RegistryRequest, { shelf }: RouteContext): Reply {
  const body = shelf.bytes(request.digest ?? '')
  if (body === undefined) {
    return textReply(404, '<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>', 'application/xml')
  }
  return inParts(request, { status: 200, headers: { 'Content-Type': 'application/octet-stream' }, body })
}

function inParts(request: RegistryRequest, { status, headers, body }: Reply): Reply {
  const asked = one(request.headers['range'])
  const range: ByteRange | undefined = readRange(asked, body.size)
  if (range === undefined) return textReply(416, '', 'text/plain', { 'Content-Range': `bytes */${body.size}` })
  const all = { 'Accept-Ranges': 'bytes', ...headers }
  if (asked === undefined) return { status, headers: all, body }
  const place = { 'Content-Range': `bytes ${range.from}-${range.to - 1}/${body.size}` }
  return { status: 206, headers: { ...place, ...all }, body, range }
}

function token(request: RegistryRequest, { tokens, origin, shelf, problems }: RouteContext): Reply {
  const issued = tokens.issue(origin, request.query, one(request.headers['authorization']))
  if ('reason' in issued) {
    if (issued.odd) problems.push(`GET /token: ${issued.reason}`)
    return errorReply(401, 'UNAUTHORIZED', issued.reason)
  }
  const answer = shelf.repository(request.repository)?.access?.token
  if (answer === 'no-json') return textReply(200, '<html>sign in</html>', 'text/html; charset=utf-8')
  return textReply(200, answer === 'missing' ? '{}' : `{"token": "${issued.token}"}`, 'application/json')
}

function errorReply(status: number, code: string, message: string, headers: Record<string, string> = {}): Reply {
  return textReply(status, JSON.stringify({ errors: [{ code, message }] }), 'application/json', headers)
}
