/**
 * Why a pull failed, from the text that the server gives: there is nothing else, the status is 200. The texts are those of
 * v0.33 and its recordings, of Go's standard library and of the operating system.
 */
import { printable } from '../artifact/text.ts'
import type { ErrorCode, OllamaConfigError } from '../errors.ts'
import { type CallContext, fail } from './errors.ts'

/** What a text of the server means for people. */
export interface Meaning {
  readonly code: ErrorCode
  readonly problem: string
  readonly hint: string
  /** The next pull may succeed. Default: false, as for everything that stays so until somebody changes something. */
  readonly retryable?: true
}

/** What the text of a failed pull means. */
export function pullError(text: string, context: CallContext): OllamaConfigError {
  const model = printable(context.model ?? '')
  const manifest = /^pull model manifest: (.*)$/s.exec(text)?.[1]
  // A registry's own words follow its status, so the status is judged and the words are only shown.
  const status = /^(\d{3}): (.*)$/s.exec(manifest ?? text)
  const meaning =
    status === null
      ? ((manifest === undefined ? undefined : manifestMeaning(manifest, context)) ?? transferMeaning(text, context))
      : statusMeaning(Number(status[1]), status[2] ?? '', context)
  const said = printable(text)
  const { code, problem, hint, retryable }: Meaning = meaning ?? {
    code: 'host-error',
    problem: said,
    hint: 'look at the log of the server',
  }
  return fail(code, `Model "${model}" cannot be pulled: ${problem}`, hint, context, undefined, {
    serverMessage: said,
    retryable,
  })
}

/** Errors of the server's own disk, which any request can meet. */
export function storeError(text: string, context: CallContext): OllamaConfigError | undefined {
  const meaning = storeMeaning(text)
  if (meaning === undefined) return undefined
  const subject = context.model === undefined ? '' : ` for "${printable(context.model)}"`
  return fail(
    meaning.code,
    `${context.origin} failed${subject}: ${meaning.problem}`,
    meaning.hint,
    context,
    undefined,
    { serverMessage: printable(text) },
  )
}

/** What happens before any layer is fetched. */
function manifestMeaning(text: string, context: CallContext): Meaning | undefined {
  const registry = registryOf(context)
  if (text === 'file does not exist') {
    return { code: 'model-not-found', problem: `${registry} has no such model or tag`, hint: lookUpHint(context) }
  }
  const realm = /^realm host "(.*?)" does not match original host "(.*?)"/s.exec(text)
  if (realm !== null) {
    // A registry that says 401 and does not say where to sign in, or sends the server to sign in elsewhere.
    const hint =
      realm[2] === 'hf.co'
        ? 'the repository may be missing, gated or private: check the name, or write huggingface.co instead of hf.co'
        : unauthorizedHint
    return { code: 'registry-unauthorized', problem: `${registry} refuses access (${printable(text, 200)})`, hint }
  }
  if (/^unauthorized/.test(text))
    return { code: 'registry-unauthorized', problem: `${registry} refuses access`, hint: unauthorizedHint }
  if (/id_ed25519/.test(text)) {
    return {
      code: 'registry-unauthorized',
      problem: `${registry} wants a sign-in, and the server has no readable key (${printable(text, 200)})`,
      hint: 'run "ollama signin" as the user of the server',
    }
  }
  if (/^(invalid character|unexpected end of JSON input|json: )/.test(text)) {
    return {
      code: 'registry-error',
      problem: `the answer of ${registry} is no manifest (${printable(text, 200)})`,
      hint: 'check that the host in the name is a model registry, and not a web page or a sign-in portal',
    }
  }
  return undefined
}

/** The registry's status, on the manifest or on a blob. */
function statusMeaning(status: number, body: string, context: CallContext): Meaning {
  const registry = registryOf(context)
  const said = printable(body, 300)
  const answered = `${registry} answered with status ${status}${said === '' ? '' : `: ${said}`}`
  if (status === 412 || /requires a newer version of Ollama/i.test(body)) {
    const { serverVersion } = context
    const has = serverVersion === null ? 'the server has' : `${printable(serverVersion, 40)}, which the server has`
    return {
      code: 'server-too-old',
      problem: `it needs a newer Ollama than ${has}`,
      hint: 'update Ollama on the server: https://ollama.com/download',
    }
  }
  if (status === 401 || status === 403)
    return { code: 'registry-unauthorized', problem: answered, hint: unauthorizedHint }
  if (status === 404) return { code: 'model-not-found', problem: answered, hint: lookUpHint(context) }
  if (status === 408) return retryable('registry-error', answered, 'try again')
  if (status === 429) return retryable('registry-error', answered, 'the registry limits requests: wait and try again')
  if (status >= 500) return retryable('registry-error', answered, 'the registry has a problem: try again later')
  return { code: 'registry-error', problem: answered, hint: lookUpHint(context) }
}

/** Everything that is told without a status: the disk, the network between server and registry, the bytes. */
function transferMeaning(text: string, context: CallContext): Meaning | undefined {
  const registry = registryOf(context)
  const said = printable(text)
  // What the network says of a connection is not about the disk: `dial tcp …: connect: permission denied`.
  const store = /dial (tcp|udp)/.test(text) ? undefined : storeMeaning(text)
  if (store !== undefined) return store
  if (/^digest mismatch/.test(text)) {
    return retryable(
      'digest-mismatch',
      'what was downloaded is damaged (digest mismatch)',
      'try again; if it stays so, a proxy or cache between the server and the registry changes the bytes',
    )
  }
  if (text === 'file does not exist') {
    return {
      code: 'registry-error',
      problem: `${registry} lacks a part of it`,
      hint: 'its upload is not complete: try again later, or another tag',
    }
  }
  if (/requires MLX support/.test(text)) {
    return {
      code: 'host-error',
      problem: 'it needs the MLX runtime, which the server does not have',
      hint: 'choose a tag in GGUF format for this server',
    }
  }
  if (/requires a newer version of Ollama/i.test(text)) return statusMeaning(412, text, context)
  if (/first record does not look like a TLS handshake|HTTP response to HTTPS client/.test(text)) {
    return {
      code: 'registry-unreachable',
      problem: `${registry} speaks plain http, not https`,
      hint: `if that is intended, declare it as { name: '${context.model}', insecure: true }`,
    }
  }
  if (/x509:|certificate/.test(text)) {
    return {
      code: 'registry-unreachable',
      problem: `the server does not accept the certificate of ${registry} (${said})`,
      hint: 'its authority must be trusted on the machine of the server; "insecure: true" means plain http',
    }
  }
  if (
    /dial (tcp|udp)|lookup |no such host|proxyconnect|i\/o timeout|TLS handshake|tls: |connection re(fused|set)|max retries exceeded|context deadline exceeded|\bEOF\b|no route to host|network is unreachable|Client\.Timeout|stream error|http2: |forcibly closed|timed out|broken pipe|timeout awaiting/.test(
      text,
    )
  ) {
    const problem = `the server does not reach ${registry} (${said})`
    const hint = networkHint(context)
    // A name that is not known is mostly a wrong one.
    return /no such host/.test(text)
      ? { code: 'registry-unreachable', problem, hint }
      : retryable('registry-unreachable', problem, hint)
  }
  if (/^(http: no Location header|unexpected status code)/.test(text)) {
    return {
      code: 'registry-error',
      problem: `${registry} serves blobs in a way that Ollama does not understand (${said})`,
      hint: 'check that the host in the name is a registry for Ollama models',
    }
  }
  return undefined
}

/** Errors of the server's own disk. */
export function storeMeaning(text: string): Meaning | undefined {
  const said = printable(text, 300)
  if (/no space left on device|not enough space on the disk|disk quota exceeded/i.test(text)) {
    return {
      code: 'disk-full',
      problem: 'the disk of the server is full',
      hint: 'free space where the server keeps its models (OLLAMA_MODELS), then try again',
    }
  }
  if (/permission denied|operation not permitted|read-only file system|access is denied/i.test(text)) {
    return {
      code: 'host-error',
      problem: `the server may not write its model folder (${said})`,
      hint: 'the folder must belong to the user that runs the server',
    }
  }
  if (/input\/output error/i.test(text)) {
    return {
      code: 'host-error',
      problem: `the disk of the server fails (${said})`,
      hint: 'look at the log of that machine: the disk may be broken, or not be there any more',
    }
  }
  // One dangling link or vanishing file among the manifests makes nearly every request fail, the listing until a restart.
  if (/^stat .*(no such file|cannot find)/is.test(text)) {
    return {
      code: 'host-error',
      problem: `its model folder holds an entry that leads nowhere (${said})`,
      hint: 'remove that entry on the server, then restart the server',
    }
  }
  return undefined
}

function retryable(code: ErrorCode, problem: string, hint: string): Meaning {
  return { code, problem, hint, retryable: true }
}

const unauthorizedHint =
  "the registry asks the server, not this tool: the server's key (~/.ollama/id_ed25519.pub of its user) must have access"

function networkHint({ insecure, loopback }: CallContext): string {
  const where = loopback ? 'the server process' : 'the remote server process'
  const scheme = insecure === true ? '; "insecure: true" means plain http' : ''
  return `the connection is made by ${where}: check its network, and set HTTPS_PROXY where it is started${scheme}`
}

function lookUpHint(context: CallContext): string {
  const registry = registryOf(context)
  if (registry !== defaultRegistry) return `check the name and the tag at ${registry}`
  const path = (context.model ?? '').replace(/:[^:/]*$/, '')
  return `check the name and the tag at https://ollama.com/${path.includes('/') ? '' : 'library/'}${printable(path)}`
}

const defaultRegistry = 'the registry (registry.ollama.ai)'

/** The short spelling of a model, which is what was sent, has its host in front only when it is another than the default. */
function registryOf({ model = '' }: CallContext): string {
  const parts = model.split('/')
  return parts.length === 3 ? printable(parts[0] ?? '') : defaultRegistry
}
