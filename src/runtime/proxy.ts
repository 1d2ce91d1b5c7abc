/** Proxies, chosen from the environment as Go's net/http does, and connections through them. */
import type { Agent } from 'node:http'
import type { Socket } from 'node:net'
import { hostOf, portOf } from './endpoint.ts'
import { hasCode, TransportError } from './transport-error.ts'

type Environment = Readonly<Record<string, string | undefined>>

export interface Route {
  /** The URL of the proxy; `undefined` for none. */
  readonly proxy: string | undefined
  /** For hints: the variable that decides this, or that names a proxy where none is named. */
  readonly variable: string
}

/** How requests to `url` go. This machine is never asked through a proxy. */
export function routeTo(url: URL, env: Environment): Route {
  // A CGI script takes HTTP_PROXY from the request: whoever asks would choose the proxy.
  const plain = env['REQUEST_METHOD'] ? ['http_proxy'] : ['HTTP_PROXY', 'http_proxy']
  const names = url.protocol === 'https:' ? ['HTTPS_PROXY', 'https_proxy'] : plain
  const variable = firstSet(names, env)
  const proxy = env[variable ?? '']?.trim()
  if (variable === undefined || !proxy) {
    // Go does not read it either, but others do, such as curl.
    const other = firstSet(['ALL_PROXY', 'all_proxy'], env)
    return { proxy: undefined, variable: `${names[0]}${other === undefined ? '' : ` (${other} is not read)`}` }
  }
  if (isLoopback(url.hostname)) return { proxy: undefined, variable }
  const exceptions = firstSet(['NO_PROXY', 'no_proxy'], env)
  if (exceptions !== undefined && isExcepted(url, env[exceptions] ?? ''))
    return { proxy: undefined, variable: exceptions }
  return { proxy: proxy.includes('://') ? proxy : `http://${proxy}`, variable }
}

/** The URL of the proxy for requests to `url`; `undefined` for none. */
export function proxyFor(url: URL, env: Environment): string | undefined {
  return routeTo(url, env).proxy
}

function firstSet(names: readonly string[], env: Environment): string | undefined {
  return names.find((name) => env[name])
}

function isLoopback(hostname: string): boolean {
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    hostname === '[::1]' ||
    /^127\.\d+\.\d+\.\d+$/.test(hostname)
  )
}

/** `*`, a name and all below it, `.name` for those below it only, each also with a port; an address, or a block of them. */
function isExcepted(url: URL, list: string): boolean {
  const name = hostOf(url).toLowerCase()
  return list.split(',').some((text) => {
    const item = text.trim().toLowerCase()
    if (item === '') return false
    if (item === '*') return true
    if (item.includes('/')) return isInBlock(name, item)
    const [, host = item, wantedPort] = /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(item) ?? []
    if (wantedPort !== undefined && wantedPort !== String(portOf(url))) return false
    const wanted = canonical(host.replace(/^\[|\]$/g, ''))
    const below = wanted.replace(/^\*?\./, '')
    return name.endsWith(`.${below}`) || (name === below && below === wanted)
  })
}

/** An IPv6 address as a URL spells it; anything else as it is. */
function canonical(host: string): string {
  if (!host.includes(':')) return host
  try {
    return new URL(`http://[${host}]`).hostname.slice(1, -1)
  } catch {
    return host
  }
}

function isInBlock(name: string, block: string): boolean {
  const [address = '', bits = ''] = block.split('/')
  const family = address.includes(':') ? 'ipv6' : 'ipv4'
  const { BlockList, isIP } = process.getBuiltinModule('node:net')
  if (isIP(name) === 0 || isIP(address) === 0 || !/^\d{1,3}$/.test(bits)) return false
  // For Go no IPv6 block holds an IPv4 address; for Node `::/0` holds all.
  if (family === 'ipv6' && isIP(name) === 4) return false
  try {
    const blocks = new BlockList()
    blocks.addSubnet(address, Number(bits), family)
    return blocks.check(name, name.includes(':') ? 'ipv6' : 'ipv4')
  } catch {
    return false
  }
}

/** Without user info: fit for a message. */
export function proxyName(proxy: string): string {
  try {
    return new URL(proxy).host
  } catch {
    return 'the proxy'
  }
}

/** What a proxy that wants credentials gets. Secret. */
export function proxyAuthorization(proxy: string): Readonly<Record<string, string>> {
  const { username, password } = parseProxy(proxy)
  if (username === '' && password === '') return {}
  const pair = `${decoded(username)}:${decoded(password)}`
  return { 'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}` }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // A lone percent sign.
    return text
  }
}

/**
 * An agent whose connections lead through the proxy: to a https target by a tunnel, to a http target by asking the proxy itself.
 *
 * @throws {TransportError} `proxy-refused` for a proxy of no use
 */
export function createProxyAgent(target: URL, proxy: string, options: object): Agent {
  const url = parseProxy(proxy)
  const secure = target.protocol === 'https:'
  const agent = new (process.getBuiltinModule(secure ? 'node:https' : 'node:http').Agent)(options)
  const connect = secure ? (done: Done) => tunnel(url, target, done) : (done: Done) => done(null, open(url))
  // Node calls this for each new connection; its types know it only from Node 24 on.
  Object.assign(agent, { createConnection: (_: unknown, done: Done) => void connect(done) })
  return agent
}

type Done = (error: Error | null, socket?: Socket) => void

function parseProxy(proxy: string): URL {
  let url: URL | undefined
  try {
    url = new URL(proxy)
  } catch {
    // Told below, without its text: it may hold a password.
  }
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(proxy)?.[1]
    throw new TransportError(
      'proxy-refused',
      scheme === undefined || /^https?$/i.test(scheme)
        ? 'its address is not valid'
        : `proxies of the kind "${scheme}" are not supported`,
    )
  }
  return url
}

function open(url: URL): Socket {
  const [host, port] = [hostOf(url), portOf(url)]
  return url.protocol === 'https:'
    ? process.getBuiltinModule('node:tls').connect({ port, ...tlsNames(host) })
    : process.getBuiltinModule('node:net').connect({ host, port })
}

/** An address is no server name (RFC 6066): then `host` is what the certificate must name; without it that would be "localhost". */
function tlsNames(host: string): { readonly host: string; readonly servername: string } {
  return { host, servername: process.getBuiltinModule('node:net').isIP(host) === 0 ? host : '' }
}

/** No proxy says more before a tunnel. */
const maxHeadLength = 65_536
const maxTunnelMs = 30_000

/** Asks the proxy for a tunnel, then speaks TLS with the target through it. */
function tunnel(proxy: URL, target: URL, done: Done): void {
  const host = `${target.hostname}:${portOf(target)}`
  const headers = { host, ...proxyAuthorization(proxy.href) }
  const lines = Object.entries(headers).map(([key, value]) => `${key}: ${value}\r\n`)
  const { connect } = process.getBuiltinModule('node:tls')
  const socket = open(proxy)
  // Whoever waits for the tunnel has a timer. When it gives up, nothing tells the tunnel, which must not hold up the exit.
  socket.unref().setTimeout(maxTunnelMs, () => fail(failed('it is silent')))
  let head = ''
  const fail = (error: TransportError) => {
    socket.off('data', onData).off('end', onEnd)
    socket.destroy()
    done(error)
  }
  const onEnd = () => fail(failed('it closed the connection'))
  const onError = (error: Error) => fail(failed(error.message, error))
  const onData = (chunk: Buffer) => {
    head += chunk.toString('latin1')
    if (!head.includes('\r\n\r\n') && head.length < maxHeadLength) return
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1]
    if (status === undefined) return fail(failed('it does not speak HTTP'))
    if (status !== '200') return fail(refusalOf(Number(status)))
    socket.off('data', onData).off('end', onEnd).off('error', onError).setTimeout(0).ref()
    done(null, connect({ socket, ...tlsNames(hostOf(target)) }))
  }
  socket.on('data', onData).on('end', onEnd).on('error', onError)
  socket.write(`CONNECT ${host} HTTP/1.1\r\n${lines.join('')}\r\n`)
}

function failed(problem: string, cause?: Error): TransportError {
  return new TransportError('proxy', problem, { cause, code: hasCode(cause) ? cause.code : undefined })
}

/** Of a proxy that answers for itself. */
export function refusalOf(status: number): TransportError {
  return new TransportError(
    status >= 500 || status === 429 ? 'proxy' : 'proxy-refused',
    status === 407 ? 'it wants credentials (status 407)' : `it answered with status ${status}`,
  )
}
