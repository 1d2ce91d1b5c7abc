/** What a failed request to a registry means, in the words of people. */
import { printable } from '../artifact/text.ts'
import { TransportError } from '../runtime/transport-error.ts'
import type { ManifestAnswer } from './registry.ts'

/** Where we fetch by ourselves: the key files of which the first that can be read signs. `undefined` where a server downloads. */
export type KeyFiles = readonly string[] | undefined

export function unauthorizedHint(keyFiles: KeyFiles): string {
  if (keyFiles === undefined)
    return "the server's own key decides (~/.ollama/id_ed25519.pub of its user must have access): the pull may work all the same"
  return `the key that signs is ${keyFiles.join(', else ')}: its public half, in the file with .pub behind the name, must have access; ${registerHint}`
}

const registerHint = 'for ollama.com it is registered at https://ollama.com/settings/keys'

/** A key file for a store that has none: what was looked for, and how one is made. */
export function noKeyHint([file]: readonly string[]): string {
  if (file === undefined) return 'set HOME: the key is looked for in its folder .ollama'
  return `make one with ssh-keygen -t ed25519 -N '' -f ${file} and give ${file}.pub access; ${registerHint}`
}

function networkHint(keyFiles: KeyFiles): string {
  return keyFiles === undefined
    ? 'check the network and HTTPS_PROXY of this machine; the server downloads by itself, so apply --offline may work all the same'
    : 'check the network and HTTPS_PROXY of this machine, and try again'
}

/** For a status that is neither 200 nor 404 nor 401. */
export function statusAnswer(status: number, body: string, host: string, keyFiles?: KeyFiles): ManifestAnswer {
  if (status === 412 || /requires a newer version of Ollama/i.test(body)) return { kind: 'too-new' }
  const said = printable(body, 200)
  const problem = `${host} answered with status ${status}${said === '' || said.startsWith('<') ? '' : `: ${said}`}`
  if (status === 403) return { kind: 'unauthorized', problem, hint: unauthorizedHint(keyFiles) }
  if (status === 429)
    return { kind: 'unknown', problem: `${host} limits requests (status 429)`, hint: 'wait and try again' }
  if (status >= 500) return { kind: 'unknown', problem, hint: 'the registry has a problem: try again later' }
  return { kind: 'unknown', problem, hint: 'check that the host in the name is a model registry' }
}

/** For whatever else was thrown, too: asking a registry never fails. */
export function failureAnswer(error: unknown, host: string, keyFiles?: KeyFiles): ManifestAnswer {
  const unknown = (problem: string, hint = networkHint(keyFiles)) => ({ kind: 'unknown', problem, hint }) as const
  if (!(error instanceof TransportError)) {
    const message = error instanceof Error ? error.message : String(error)
    return unknown(`${host} cannot be asked: ${printable(message, 150)}`)
  }
  const unreachable = (problem: string, hint?: string): ManifestAnswer => ({
    ...unknown(problem, hint),
    unreachable: true,
  })
  const { problem, code = '', message } = error
  if (problem === 'timeout') return unreachable(`${host} does not answer in time`)
  if (problem === 'too-large')
    return unknown(
      `The answer of ${host} is no manifest: it is too long`,
      'check that the host in the name is a model registry',
    )
  if (problem === 'proxy')
    return unreachable(
      `${host} cannot be reached: ${printable(message, 200)}`,
      'check HTTPS_PROXY and NO_PROXY, with user and password as in http://user:password@proxy',
    )
  if (problem === 'redirect')
    return unknown(
      `${host} cannot be asked: ${printable(message, 200)}`,
      'check that the host in the name is a model registry',
    )
  const reason = reasonOf(code, message)
  if (reason === plainHttp)
    return unreachable(
      `${host} cannot be reached: ${reason}`,
      'if that is intended, declare its models as { name, insecure: true }',
    )
  return unreachable(
    `${host} cannot be reached: ${reason}`,
    /CERT|SELF_SIGNED|UNABLE_TO/.test(code) ? certificateHint : networkHint(keyFiles),
  )
}

const plainHttp = 'it speaks plain http, not https'

const certificateHint = 'for a private authority set NODE_EXTRA_CA_CERTS to its certificate'

function reasonOf(code: string, message: string): string {
  if (code === 'ECONNREFUSED') return 'connection refused'
  if (/^(ENOTFOUND|EAI_AGAIN|EAI_NODATA)$/.test(code)) return 'its name cannot be resolved'
  if (/^(EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL)$/.test(code)) return 'there is no route to it'
  if (
    /WRONG[_ ]VERSION[_ ]NUMBER|PACKET[_ ]LENGTH[_ ]TOO[_ ]LONG|INVALIDCONTENTTYPE/.test(
      `${code} ${message.toUpperCase()}`,
    )
  )
    return plainHttp
  if (/CERT|SELF_SIGNED|UNABLE_TO/.test(code)) return `its certificate is not accepted (${printable(message, 150)})`
  if (/^(ECONNRESET|EPIPE|ECONNABORTED)$/.test(code)) return 'it closed the connection'
  return printable(message, 150)
}
