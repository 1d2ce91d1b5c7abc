/** Keeps secrets that a server echoes out of messages: a proxy that refuses a token may quote it. */
import { printable, wellFormed } from '../artifact/text.ts'
import { OllamaConfigError } from '../errors.ts'

type Headers = Readonly<Record<string, string>>

/** Shorter text protects nothing, and is found by accident in messages. */
const minLength = 6

/** They hold no secret, but words of our own messages, such as `localhost` and `ollama`. */
const harmless: ReadonlySet<string> = new Set(['host', 'user-agent', 'accept'])

/** What must not be shown of the headers that are sent, the longest first. */
export function secretsOf(...all: readonly (Headers | undefined)[]): readonly string[] {
  const secrets = all
    .flatMap((headers) => Object.entries(headers ?? {}))
    .filter(([name]) => !harmless.has(name.toLowerCase()))
    .flatMap(([, value]) => [value, ...credentialsOf(value)])
    // What is echoed has mostly been made printable before, or stands in a URL.
    .flatMap((value) => [value, printable(value, value.length), encodeURIComponent(wellFormed(value))])
    .filter(({ length }) => length >= minLength)
  return [...new Set(secrets)].sort((a, b) => b.length - a.length)
}

/** The part after the scheme; of Basic also the password in it, or the user when that is all there is. */
function credentialsOf(value: string): readonly string[] {
  const [, scheme = '', credentials] = /^\s*(bearer|basic)\s+(\S.*)$/is.exec(value) ?? []
  if (credentials === undefined) return []
  const pair = scheme.toLowerCase() === 'basic' ? decodeBase64(credentials) : ''
  const colon = pair.indexOf(':')
  return [credentials, pair, pair.slice(colon + 1) || pair.slice(0, colon)]
}

function decodeBase64(text: string): string {
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)))
  } catch {
    return ''
  }
}

/** With `***` in the place of each. */
export function hideSecrets(text: string, secrets: readonly string[]): string {
  return secrets.reduce(hideOne, text)
}

/** The same error when it holds none of the secrets, otherwise one with `***` in their place. */
export function withoutSecrets(error: OllamaConfigError, secrets: readonly string[]): OllamaConfigError {
  const { code, message, hint, details = {}, retryable, cause } = error
  const hide = (text: string) => hideSecrets(text, secrets)
  const hidden = {
    message: hide(message),
    hint: hint === undefined ? undefined : hide(hint),
    details: Object.fromEntries(
      Object.entries(details).map(([name, value]) => [name, typeof value === 'string' ? hide(value) : value]),
    ),
  }
  const same =
    hidden.message === message &&
    hidden.hint === hint &&
    Object.entries(details).every(([name, value]) => hidden.details[name] === value)
  return same
    ? error
    : new OllamaConfigError(code, hidden.message, { hint: hidden.hint, details: hidden.details, retryable, cause })
}

function hideOne(text: string, secret: string): string {
  let shown = text.replaceAll(secret, '***')
  // Text that was cut may end within it.
  for (let length = secret.length - 1; length >= minLength && shown.includes('…'); length--)
    shown = shown.replaceAll(`${secret.slice(0, length)}…`, '***…')
  return shown
}
