/** The proxy that downloads would go through, as it may be shown. Pure. */
import { printable } from '../artifact/text.ts'
import { proxyFor } from '../runtime/proxy.ts'
import type { Proxies } from './facts.ts'

/** The registry that names without a host mean. */
const registry = new URL('https://registry.ollama.ai/')

/** Of an environment, without user and password. */
export function proxiesOf(env: Readonly<Record<string, string | undefined>>): Proxies {
  const proxy = proxyFor(registry, env)
  return { https: proxy === undefined ? null : withoutUserInfo(proxy) }
}

function withoutUserInfo(proxy: string): string {
  try {
    const { protocol, host, username, password } = new URL(proxy)
    if (host === '') return 'a proxy'
    return `${protocol}//${username === '' && password === '' ? '' : '…@'}${printable(host, 100)}`
  } catch {
    // Whatever it is, it may have a password in it.
    return 'a proxy'
  }
}
