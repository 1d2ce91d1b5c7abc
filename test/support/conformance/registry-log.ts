/** What a registry was asked and what it answered, recorded and replayed, in terms that can be compared. */
import type { RegistryRequest } from '../registry.ts'

export interface RecordedRequest {
  request: { method: string; path: string; headers: Record<string, string> }
  response: { status: number; headers: Record<string, string>; body_text?: string; body_bytes_sent?: number }
}

export interface RegistryRecording {
  requests: RecordedRequest[]
}

export interface Entry {
  asked: string
  headers: Record<string, string>
  status: number
  answered: Record<string, string>
}

export function recordedEntry({ request, response }: RecordedRequest): Entry {
  return entry(request.method, request.path, request.headers, response.status, response.headers)
}

export function replayedEntry(request: RegistryRequest): Entry {
  const headers = Object.fromEntries(Object.entries(request.headers).map(([key, value]) => [key, String(value)]))
  const target = request.query === '' ? request.path : `${request.path}?${request.query}`
  return entry(request.method, target, headers, request.status, request.responseHeaders)
}

/** The parts of one blob are asked for in any order. */
export function inOrder(entries: Entry[]): Entry[] {
  const range = ({ headers }: Entry) => Number(/bytes=(\d+)/.exec(headers['range'] ?? '')?.[1] ?? 0)
  const runs: Entry[][] = []
  for (const next of entries) {
    const run = runs.at(-1)
    if (run?.[0]?.asked === next.asked && 'range' in next.headers) run.push(next)
    else runs.push([next])
  }
  return runs.flatMap((run) => run.sort((a, b) => range(a) - range(b)))
}

function entry(
  method: string,
  target: string,
  headers: Record<string, string>,
  status: number,
  answered: Record<string, string>,
): Entry {
  const { connection, ...sent } = masked(headers)
  const isToken = target.startsWith('/token')
  const { 'content-length': length, ...others } = masked(answered)
  return {
    asked: `${method} ${maskText(target)}`,
    headers: sent,
    status,
    // Tokens differ in length.
    answered: isToken || length === undefined ? others : { ...others, 'content-length': length },
  }
}

function masked(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([key, value]) => [key.toLowerCase(), maskText(value)]))
}

/** The recorded registry had a fixed port, or a public name with a storage of its own, and odd paths for odd bytes. */
function maskText(text: string): string {
  return text
    .replace(/^https?:\/\/registry\.ollama\.ai|^registry\.ollama\.ai$/, '127.0.0.1:PORT')
    .replace(
      /(https:\/\/)?cdn\.registry\.test/,
      (_, scheme) => `${scheme === undefined ? '' : 'http://'}localhost:PORT`,
    )
    .replace(/(127\.0\.0\.1|localhost):\d+/, '$1:PORT')
    .replace(/\/(corrupt|cdnerror)\/sha256:/, '/cdn/sha256:')
    .replace(/^ollama\/[\d.]+ \(amd64 linux\) Go\/go1\.26\.\d+$/, 'ollama/VERSION (amd64 linux) Go/VERSION')
    .replace(/^Bearer [\w-]+$/, 'Bearer TOKEN')
    .replace(/^(\$SSH_PUBLIC_KEY_BLOB_BASE64:\$ED25519_SIGNATURE_BASE64|AAAA[\w+/]{64}:[\w+/]{86}==)$/, 'KEY:SIGNATURE')
    .replace(/nonce=[\w-]{22}&/, 'nonce=NONCE&')
    .replace(/&ts=\d{10}$/, '&ts=NOW')
}
