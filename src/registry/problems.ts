/** What a failed request to a registry means, in the words of people. */
import { printable } from '../artifact/text.ts'
import { type ErrorCode, isNotPermitted } from '../errors.ts'
import { isCertificateCode, isReset, TransportError } from '../runtime/transport-error.ts'
import type { ManifestAnswer } from './registry.ts'

/** An answer with a reason in words. */
export type Refusal = Extract<ManifestAnswer, { readonly problem: string }>

export function codeOf(refusal: Refusal): ErrorCode {
  if (refusal.kind === 'unauthorized') return 'registry-unauthorized'
  return refusal.unreachable ? 'registry-unreachable' : 'registry-error'
}

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

/** What hints speak of. */
export interface Surroundings {
  readonly keyFiles?: KeyFiles
  /** Of the environment: what decides about the proxy. Default: `HTTPS_PROXY`. */
  readonly proxyVariable?: string
}

function networkHint({ keyFiles, proxyVariable = 'HTTPS_PROXY' }: Surroundings): string {
  const check = `check the network and ${proxyVariable} of this machine`
  return keyFiles === undefined
    ? `${check}; the server downloads by itself, so apply --offline may work all the same`
    : `${check}, and try again`
}

/** Whether the same question may be answered in a moment. */
export function mayPass(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500
}

/** How something is set up has to be changed first: to ask again is of no use. */
export function isLasting(error: TransportError): boolean {
  const { problem, code } = error
  return problem === 'redirect' || problem === 'proxy-refused' || isCertificateCode(code) || speaksPlainHttp(error)
}

/** For a status that is neither 200 nor 404. */
export function statusAnswer(status: number, body: string, host: string, keyFiles?: KeyFiles): ManifestAnswer {
  if (status === 412 || /requires a newer version of Ollama/i.test(body)) return { kind: 'too-new' }
  return statusRefusal(status, body, host, keyFiles)
}

/** As {@link statusAnswer}, where no version is asked about. */
export function statusRefusal(status: number, body: string, host: string, keyFiles?: KeyFiles): Refusal {
  const problem = `${host} answered with ${statusAndWords(status, body)}`
  if (status === 401 || status === 403) return { kind: 'unauthorized', problem, hint: unauthorizedHint(keyFiles) }
  if (status === 429)
    return { kind: 'unknown', problem: `${host} limits requests (status 429)`, hint: 'wait and try again' }
  if (mayPass(status)) return { kind: 'unknown', problem, hint: 'the registry has a problem: try again later' }
  return { kind: 'unknown', problem, hint: 'check that the host in the name is a model registry' }
}

/** Of where a registry leads for the bytes of a blob, at an address that it has just given. Keys of ours have no part in that. */
export function storageRefusal(status: number, body: string, host: string, storage: string): Refusal {
  return {
    kind: 'unknown',
    problem: `${host} has its files at ${printable(storage, 100)}, which refuses them with ${statusAndWords(status, body)}`,
    hint: `a firewall or a proxy may be what refuses: check that this machine may fetch from ${printable(storage, 100)}`,
  }
}

/** What was said, where it is no page for people. */
export function statusAndWords(status: number, body: string): string {
  const said = printable(body, 200)
  return `status ${status}${said === '' || said.startsWith('<') ? '' : `: ${said}`}`
}

/** For whatever else was thrown, too: asking a registry never fails. */
export function failureAnswer(error: unknown, host: string, surroundings: Surroundings = {}): Refusal {
  const unknown = (problem: string, hint = networkHint(surroundings)) => ({ kind: 'unknown', problem, hint }) as const
  if (!(error instanceof TransportError)) {
    const message = error instanceof Error ? error.message : String(error)
    return unknown(`${host} cannot be asked: ${printable(message, 150)}`)
  }
  const unreachable = (problem: string, hint?: string): Refusal => ({
    ...unknown(problem, hint),
    unreachable: true,
  })
  const { problem, code = '', message } = error
  if (isNotPermitted(error.cause))
    return unreachable(`${host} cannot be asked: ${printable(message, 200)}`, 'run with --allow-net')
  if (problem === 'timeout') return unreachable(`${host} does not answer in time`)
  if (problem === 'too-large')
    return unknown(
      `The answer of ${host} is no manifest: it is too long`,
      'check that the host in the name is a model registry',
    )
  if (problem === 'proxy' || problem === 'proxy-refused')
    return unreachable(
      `${host} cannot be reached: ${printable(message, 200)}`,
      isCertificateCode(code)
        ? certificateHint
        : 'check that variable, with user and password as in http://user:password@proxy, and NO_PROXY',
    )
  if (problem === 'redirect')
    return unknown(
      `${host} cannot be asked: ${printable(message, 200)}`,
      'check that the host in the name is a model registry',
    )
  if (speaksPlainHttp(error))
    return unreachable(
      `${host} cannot be reached: it speaks plain http, not https`,
      'if that is intended, declare its models as { name, insecure: true }',
    )
  return unreachable(
    `${host} cannot be reached: ${reasonOf(error)}`,
    isCertificateCode(code) ? certificateHint : undefined,
  )
}

function speaksPlainHttp({ code = '', message }: TransportError): boolean {
  return /WRONG[_ ]VERSION[_ ]NUMBER|PACKET[_ ]LENGTH[_ ]TOO[_ ]LONG|INVALIDCONTENTTYPE/.test(
    `${code} ${message.toUpperCase()}`,
  )
}

const certificateHint = 'for a private authority set NODE_EXTRA_CA_CERTS to its certificate'

function reasonOf(error: TransportError): string {
  const { code = '', message } = error
  if (code === 'ECONNREFUSED') return 'connection refused'
  if (/^(ENOTFOUND|EAI_AGAIN|EAI_NODATA)$/.test(code)) return 'its name cannot be resolved'
  if (/^(EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL)$/.test(code)) return 'there is no route to it'
  if (isCertificateCode(code)) return `its certificate is not accepted (${printable(message, 150)})`
  if (isReset(error)) return 'it closed the connection'
  return printable(message, 150)
}
