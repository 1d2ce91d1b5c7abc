/** What a failed request to an Ollama server means for the people who see it. */
import { printable } from '../artifact/text.ts'
import { type ErrorCode, explainPermission, isOllamaConfigError, OllamaConfigError } from '../errors.ts'
import { TransportError } from '../runtime/transport-error.ts'

/** What was being done; everything in it may be shown. */
export interface CallContext {
  /** Address of the server, redacted. */
  readonly origin: string
  readonly loopback: boolean
  readonly socket: boolean
  readonly method: string
  /** Path of the API, such as `/api/tags`. */
  readonly path: string
  /** The model it is about, as it was sent. */
  readonly model?: string
  /** For a pull: whether plain http was asked for. */
  readonly insecure?: boolean
  /** `null` when not known. */
  readonly serverVersion: string | null
}

/** Turns what a transport threw into a typed error; errors of ours pass. An abort is for the caller to handle before. */
export function toHostError(error: unknown, context: CallContext): OllamaConfigError {
  const known = explainPermission(error instanceof TransportError ? error.cause : error)
  if (isOllamaConfigError(known)) return known
  if (!(error instanceof TransportError)) {
    return fail(
      'invalid-response',
      `The answer of ${context.origin} to ${callOf(context)} cannot be read`,
      undefined,
      context,
      error,
    )
  }
  switch (error.problem) {
    case 'timeout':
      return fail(
        'host-timeout',
        `${context.origin} does not answer ${callOf(context)} in time: ${printable(error.message, 200)}`,
        'the server may be busy or hang: look at its log, or restart it',
        context,
        error,
        { retryable: true },
      )
    case 'too-large':
      return fail(
        'invalid-response',
        `The answer of ${context.origin} to ${callOf(context)} is too long`,
        notOllamaHint,
        context,
        error,
      )
    case 'interrupted':
      return brokenOff(context, error)
    default:
      return networkError(error, context)
  }
}

export const notOllamaHint = 'check the address and the port: something else may be listening there'

function networkError(error: TransportError, context: CallContext): OllamaConfigError {
  const { origin } = context
  const code = error.code ?? ''
  const unreachable = (problem: string, hint: string, kind: ErrorCode = 'host-unreachable') =>
    fail(kind, `Ollama cannot be reached at ${origin}: ${problem}`, hint, context, error, {
      // A server that restarts, and a network that comes back. A name that is not known stays so.
      retryable: /^(ECONNREFUSED|ENOENT|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH)$/.test(code),
    })

  switch (code) {
    case 'ECONNREFUSED':
      return unreachable('connection refused', startHint(context))
    case 'ENOENT':
      return unreachable('there is no such socket', startHint(context))
    case 'EACCES':
    case 'EPERM':
      return unreachable(
        'permission denied',
        context.socket
          ? 'this user may not use the socket: check its owner and mode'
          : 'check the firewall of this machine',
      )
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EAI_NODATA':
      return unreachable(
        'the host name cannot be resolved',
        'check its spelling and the name service (DNS) of this machine',
      )
    case 'ETIMEDOUT':
      return unreachable('the connection timed out', 'check the address, and firewalls on the way', 'host-timeout')
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
      return unreachable('there is no route to it', 'check the address and the network of this machine')
    case 'ECONNRESET':
    case 'ECONNABORTED':
    case 'EPIPE':
      return brokenOff(context, error)
    case 'ERR_INVALID_CHAR':
    case 'ERR_INVALID_HTTP_TOKEN':
      return fail(
        'usage',
        `A header for ${origin} cannot be sent: its name or value holds characters that HTTP does not allow`,
        'check "headers" in the config and the environment variables it names',
        context,
        error,
      )
  }
  // What speaks another protocol than HTTP fails in Node's parser (HPE_INVALID_CONSTANT and the like).
  if (code.startsWith('HPE_')) {
    return fail(
      'host-not-ollama',
      `What answers at ${origin} does not speak HTTP`,
      `${notOllamaHint}, or it wants "https://"`,
      context,
      error,
    )
  }
  if (
    /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|UNKNOWN_PROTOCOL|EPROTO/.test(`${code} ${error.message.toUpperCase()}`)
  ) {
    return unreachable('the TLS handshake failed', 'it may speak plain http: write "http://" and the port')
  }
  if (/CERT|ERR_TLS|UNABLE_TO|SELF_SIGNED/i.test(code)) {
    return unreachable(
      `its certificate is not accepted (${printable(error.message, 200)})`,
      'for a private authority set NODE_EXTRA_CA_CERTS to its certificate; the name in the address must be one of the certificate',
    )
  }
  return unreachable(printable(error.message, 200), startHint(context))
}

/** The connection ended early. A pull or a build had begun then; everything else can simply be asked again. */
function brokenOff(context: CallContext, error: unknown): OllamaConfigError {
  if (context.path === '/api/pull' || context.path === '/api/create') return streamEnded(context, error)
  return fail(
    'host-unreachable',
    `The connection to ${context.origin} broke off during ${callOf(context)}`,
    'look at the log of the server: it may have stopped or restarted',
    context,
    error,
    { retryable: true },
  )
}

/** A pull or a build whose stream ended without the server saying that it is done. */
export function streamEnded(context: CallContext, cause?: unknown): OllamaConfigError {
  const isBuild = context.path === '/api/create'
  const what = isBuild ? 'The build' : 'The pull'
  const message = `${what} of "${context.model ?? ''}" broke off: ${context.origin} ended the answer before it was complete`
  const kept = isBuild ? 'look at its log, and try again' : 'what it has downloaded is kept, so try again'
  return fail('stream-ended', message, `the server may have stopped or restarted; ${kept}`, context, cause, {
    retryable: true,
  })
}

function startHint({ loopback, socket }: CallContext): string {
  if (socket) return 'start what listens on the socket, or check its path'
  return loopback
    ? '"ollama-config setup" tells how to install and start it, "ollama-config doctor" what is wrong; --store works on its models without a server'
    : 'check that it runs there and that OLLAMA_HOST, --host or "host" in the config is right; a server that others reach is started with OLLAMA_HOST=0.0.0.0'
}

export function callOf({ method, path }: CallContext): string {
  return `${method} ${path}`
}

export function fail(
  code: ErrorCode,
  message: string,
  hint: string | undefined,
  context: CallContext,
  cause?: unknown,
  { retryable, ...more }: MoreFacts = {},
): OllamaConfigError {
  const { origin, method, path, model } = context
  const details = { host: origin, method, path, ...(model === undefined ? {} : { model }), ...more }
  return new OllamaConfigError(code, message, { hint, details, retryable, cause })
}

/** Further details, and what becomes `OllamaConfigError.retryable`. */
type MoreFacts = { readonly retryable?: boolean | undefined } & Readonly<Record<string, unknown>>
