/** Proxies, chosen from the environment as Go's net/http does, and connections through them. */
import type { Agent } from 'node:http'
import type { Socket } from 'node:net'
import { TransportError } from './transport-error.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** The URL of the proxy for requests to `url`; `undefined` for none. This machine is never asked through a proxy. */
export function proxyFor(url: URL, env: Environment): string | undefined {
  const { protocol, hostname } = url
  const secure = protocol === 'https:'
  // A CGI script takes HTTP_PROXY from the request: whoever asks would choose the proxy.
  const plain = env['REQUEST_METHOD'] ? env['http_proxy'] : env['HTTP_PROXY'] || env['http_proxy']
  const proxy = (secure ? env['HTTPS_PROXY'] || env['https_proxy'] : plain)?.trim()
  if (!proxy || isLoopback(hostname)) return undefined
  const port = url.port === '' ? (secure ? '443' : '80') : url.port
  if (isExcepted(hostname, port, env['NO_PROXY'] || env['no_proxy'] || '')) return undefined
  return proxy.includes('://') ? proxy : `http://${proxy}`
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
function isExcepted(hostname: string, port: string, list: string): boolean {
  const name = hostname.replace(/^\[|\]$/g, '').toLowerCase()
  return list.split(',').some((text) => {
    const item = text.trim().toLowerCase()
    if (item === '') return false
    if (item === '*') return true
    if (item.includes('/')) return isInBlock(name, item)
    const [, host = item, wantedPort] = /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(item) ?? []
    if (wantedPort !== undefined && wantedPort !== port) return false
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
  const { username, password } = new URL(proxy)
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
 * @throws {TransportError} `proxy`
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
      'proxy',
      scheme === undefined || /^https?$/i.test(scheme)
        ? 'its address is not valid'
        : `proxies of the kind "${scheme}" are not supported`,
    )
  }
  return url
}

function open({ protocol, hostname, port }: URL): Socket {
  const host = hostname.replace(/^\[|\]$/g, '')
  const number = port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port)
  return protocol === 'https:'
    ? process.getBuiltinModule('node:tls').connect({ host, port: number, servername: host })
    : process.getBuiltinModule('node:net').connect({ host, port: number })
}

/** No proxy says more before a tunnel. */
const maxHeadLength = 65_536
const maxTunnelMs = 30_000

/** Asks the proxy for a tunnel, then speaks TLS with the target through it. */
function tunnel(proxy: URL, target: URL, done: Done): void {
  const name = target.hostname.replace(/^\[|\]$/g, '')
  const host = `${target.hostname}:${target.port === '' ? 443 : target.port}`
  const headers = { host, ...proxyAuthorization(proxy.href) }
  const lines = Object.entries(headers).map(([key, value]) => `${key}: ${value}\r\n`)
  const { isIP } = process.getBuiltinModule('node:net')
  const { connect } = process.getBuiltinModule('node:tls')
  const socket = open(proxy)
  // Whoever waits for the tunnel has a timer. When it gives up, nothing tells the tunnel, which must not hold up the exit.
  socket.unref().setTimeout(maxTunnelMs, () => fail('it is silent'))
  let head = ''
  const fail = (problem: string, cause?: Error) => {
    socket.off('data', onData).off('end', onEnd)
    socket.destroy()
    done(new TransportError('proxy', problem, { cause }))
  }
  const onEnd = () => fail('it closed the connection')
  const onError = (error: Error) => fail(error.message, error)
  const onData = (chunk: Buffer) => {
    head += chunk.toString('latin1')
    if (!head.includes('\r\n\r\n') && head.length < maxHeadLength) return
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1]
    if (status === undefined) return fail('it does not speak HTTP')
    if (status !== '200') return fail(refusalOf(status))
    socket.off('data', onData).off('end', onEnd).off('error', onError).setTimeout(0).ref()
    // `host` is what the certificate must name where there is no server name, as for an address; else it would be "localhost".
    done(null, connect({ socket, host: name, servername: isIP(name) === 0 ? name : '' }))
  }
  socket.on('data', onData).on('end', onEnd).on('error', onError)
  socket.write(`CONNECT ${host} HTTP/1.1\r\n${lines.join('')}\r\n`)
}

/** Of a proxy that answers for itself. */
export function refusalOf(status: number | string): string {
  return String(status) === '407' ? 'it wants credentials (status 407)' : `it answered with status ${status}`
}
