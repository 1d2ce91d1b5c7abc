/** The guard against DNS rebinding: a server on loopback answers only names and addresses that are near. */
import { hostname } from 'node:os'

const ownName = hostname().toLowerCase()

export function isHostAllowed(header: string | undefined): boolean {
  const host = (header ?? '')
    .replace(/:\d*$/, '')
    .replace(/^\[|\]$/g, '')
    .toLowerCase()
  if (host === '' || host === 'localhost' || host === ownName) return true
  if (/\.(localhost|local|internal)$/.test(host)) return true
  const octets = /^(\d{1,3})\.(\d{1,3})\.\d{1,3}\.\d{1,3}$/.exec(host)
  if (octets === null) return host === '::1' || host === '::' || /^f[cd][0-9a-f]{2}:/.test(host)
  const [first, second] = [Number(octets[1]), Number(octets[2])]
  if (first === 127 || first === 10 || host === '0.0.0.0') return true
  return (first === 192 && second === 168) || (first === 172 && second >= 16 && second <= 31)
}
