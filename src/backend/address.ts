/**
 * Which Ollama server, read as Ollama itself reads OLLAMA_HOST (envconfig.Host and ConnectableHost in v0.33), plus unix
 * sockets and user info. Pure.
 */
import { printable, quoted, settingOf, withoutEnd } from '../artifact/text.ts'
import { OllamaConfigError } from '../errors.ts'

export interface Address {
  /** Base of every request: scheme, host, port and path prefix, without trailing slash and user info. */
  readonly url: string
  /** Unix socket to connect to; the host in `url` is then only a placeholder. */
  readonly socketPath?: string
  /** The same address for people and plans: free of secrets. */
  readonly origin: string
  /** Request headers that follow from the address: user info as Basic authorization. Secret. */
  readonly headers: Readonly<Record<string, string>>
  /** True when it can only be this machine. */
  readonly loopback: boolean
  /** What was read otherwise than it was written. */
  readonly warning?: string
}

/** Of the server; `null` for a socket. */
export function portOf({ url, socketPath }: Pick<Address, 'url' | 'socketPath'>): number | null {
  if (socketPath !== undefined) return null
  const { port, protocol } = new URL(url)
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port)
}

export interface HostSelection {
  readonly address: Address
  /** Who said so. */
  readonly source: 'flag' | 'config' | 'environment' | 'default'
}

export interface HostCandidates {
  /** `--host`, or the `host` option of the API. */
  readonly flag?: string | undefined
  /** `host` in the config. */
  readonly config?: string | undefined
  /** The value of OLLAMA_HOST. */
  readonly env?: string | undefined
}

/**
 * The first that is given, in the order flag, config, environment, default. Blank text counts as not given, as an empty
 * OLLAMA_HOST does for Ollama.
 *
 * @throws {OllamaConfigError} `invalid-address`, saying where the value came from
 */
export function selectHost(candidates: HostCandidates): HostSelection {
  const sources = [
    { source: 'flag', text: candidates.flag, label: 'from --host' },
    { source: 'config', text: candidates.config, label: 'from "host" in the config' },
    { source: 'environment', text: candidates.env, label: 'from OLLAMA_HOST' },
  ] as const
  for (const { source, text, label } of sources) {
    if (text !== undefined && settingOf(text).trim() !== '') return { source, address: readAddress(text, ` ${label}`) }
  }
  return { source: 'default', address: parseAddress('') }
}

/**
 * Reads the address of a server. Empty text is `http://127.0.0.1:11434`.
 *
 * @throws {OllamaConfigError} `invalid-address`
 */
export function parseAddress(text: string): Address {
  return readAddress(text, '')
}

function readAddress(text: string, label: string): Address {
  const trimmed = settingOf(text).trim()
  const invalid = (problem: string, hint?: string) =>
    new OllamaConfigError('invalid-address', `Host ${quoted(redact(trimmed))}${label} is not valid: ${problem}`, {
      hint: hint ?? 'write it as in "http://127.0.0.1:11434"',
    })
  const socketPath = /^unix:(?:\/\/(?=\/)|(?!\/\/))(\/.*)$/is.exec(trimmed)?.[1]
  if (socketPath !== undefined) return socketAddress(socketPath)
  if (/^unix:/i.test(trimmed))
    throw invalid('the path of the socket is not absolute', 'write it as in "unix:///run/ollama.sock"')

  const { scheme, defaultPort, rest } = cutScheme(trimmed)
  if (scheme !== 'http' && scheme !== 'https') throw invalid('its scheme is not "http", "https" or "unix"')
  const slash = rest.indexOf('/')
  const authority = slash < 0 ? rest : rest.slice(0, slash)
  const path = slash < 0 ? '' : rest.slice(slash)
  const at = authority.lastIndexOf('@')
  const typo = scheme === 'http' && rest === trimmed ? /^(https?):?$/i.exec(authority.slice(at + 1))?.[1] : undefined
  if (typo !== undefined && path !== '')
    throw invalid('a ":" or "/" is missing after its scheme', `write "${typo.toLowerCase()}://…"`)
  // Most likely a password with one of these in it: behind a slash it would be sent, and printed, as a part of the path. Or a query has
  // an "@" in it, behind which is no host.
  const [early = ''] = /[/?#]/.exec(rest.slice(0, Math.max(0, rest.lastIndexOf('@')))) ?? []
  if (early !== '')
    throw invalid(
      `there is an "@" after the first "${early}"`,
      `write "${early}" as ${encodeURIComponent(early)} in a user name or password${early === '/' ? '' : '; an address ends before a query'}`,
    )
  const end = /[?#]/.exec(rest)?.[0]
  if (end !== undefined)
    throw invalid(
      `it has a ${end === '?' ? 'query' : 'fragment'}`,
      `leave out all from the "${end}" on; a token belongs into "headers" in the config`,
    )

  const { host, port, badPort } = splitHostPort(authority.slice(at + 1), defaultPort)
  // A URL takes a backslash for a slash and drops tabs and line ends, so these are refused first. The rest of what it cannot
  // hold (an IPv6 zone, a second colon) Ollama would only notice when connecting.
  const url = /[\s\\]/.test(host) ? undefined : parseUrl(`${scheme}://${host}:${port}${path}`)
  if (url === undefined) throw invalid('it is no host name or IP address, with a port or without')
  const hostname = connectable(url.hostname)
  const prefix = withoutEnd(url.pathname, '/')
  const origin = `${scheme}://${hostname}:${port}${prefix}`
  return {
    url: origin,
    origin,
    headers: at < 0 ? {} : { authorization: basicAuthorization(authority.slice(0, at)) },
    loopback: isLoopback(hostname),
    ...warningOf(host, badPort, defaultPort),
  }
}

function warningOf(host: string, badPort: true | undefined, defaultPort: number): Pick<Address, 'warning'> {
  if (badPort === true) {
    // Not quoted: it may be a password, as in `http://user:password`.
    return {
      warning: `The port of the host is not a number from 0 to 65535: ${defaultPort} is taken instead, as Ollama does`,
    }
  }
  if (!/^\d+$/.test(host)) return {}
  return { warning: `"${host}" is read as the name of a host, as Ollama does: a port is written ":${host}"` }
}

function cutScheme(text: string): { readonly scheme: string; readonly defaultPort: number; readonly rest: string } {
  // Ollama's one special case, for exactly this text.
  if (text === 'ollama.com') return { scheme: 'https', defaultPort: 443, rest: text }
  const end = text.indexOf('://')
  // Without a scheme the port is Ollama's; with one it is that of the scheme: `http://h` is port 80.
  if (end < 0) return { scheme: 'http', defaultPort: 11434, rest: text }
  const scheme = text.slice(0, end).toLowerCase()
  return { scheme, defaultPort: scheme === 'https' ? 443 : 80, rest: text.slice(end + 3) }
}

/** As Go's net.SplitHostPort, then net.ParseIP for what it refuses. An IPv6 host comes back in brackets. */
function splitHostPort(
  text: string,
  defaultPort: number,
): { readonly host: string; readonly port: number; readonly badPort?: true } {
  const bare = text.replace(/^\[|\]$/g, '')
  const bracketed = /^\[([^[\]]*)\]:(.*)$/s.exec(text)
  const plain = /^([^:[\]]*):([^:]*)$/s.exec(text)
  const [, host, port] = bracketed ?? plain ?? []
  if (host === undefined || port === undefined) {
    if (text === '') return { host: '127.0.0.1', port: defaultPort }
    return { host: bare.includes(':') ? `[${bare}]` : bare, port: defaultPort }
  }
  // Go dials an empty host as this machine.
  const named = host === '' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host
  const number = /^[+-]?\d+$/.test(port) ? Number(port) : Number.NaN
  if (number >= 0 && number <= 65_535) return { host: named, port: number }
  return { host: named, port: defaultPort, badPort: true }
}

function parseUrl(text: string): URL | undefined {
  try {
    return new URL(text)
  } catch {
    return undefined
  }
}

/** The unspecified address is for listening only: connecting to it fails on Windows. */
function connectable(hostname: string): string {
  if (hostname === '0.0.0.0') return '127.0.0.1'
  return hostname === '[::]' ? '[::1]' : hostname
}

function isLoopback(hostname: string): boolean {
  return (
    /^127\.\d+\.\d+\.\d+$/.test(hostname) ||
    hostname === '[::1]' ||
    hostname === 'localhost' ||
    hostname.endsWith('.localhost')
  )
}

function socketAddress(socketPath: string): Address {
  // The name `localhost` passes the server's check of the Host header.
  return { url: 'http://localhost', socketPath, origin: `unix://${printable(socketPath)}`, headers: {}, loopback: true }
}

function basicAuthorization(userInfo: string): string {
  const colon = userInfo.indexOf(':')
  const user = colon < 0 ? userInfo : userInfo.slice(0, colon)
  const password = colon < 0 ? '' : userInfo.slice(colon + 1)
  const bytes = new TextEncoder().encode(`${percentDecode(user)}:${percentDecode(password)}`)
  return `Basic ${btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))}`
}

function percentDecode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** What was written, without what may be a secret: all before the last "@", all from the first "?" or "#". */
function redact(text: string): string {
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(text)?.[0] ?? ''
  const rest = text.slice(scheme.length)
  const at = rest.lastIndexOf('@')
  // Of a query with an "@" in it what is behind that may be a secret too.
  if (/[?#]/.test(rest.slice(0, Math.max(at, 0)))) return `${scheme}***`
  const visible = at < 0 ? rest : `***${rest.slice(at)}`
  return scheme + visible.replace(/([?#]).*$/s, '$1***')
}
