/** Signs in at a registry with a key: that of the server, or where we fetch by ourselves the user's. Never gives anything of it or a signature away. */
import { printable } from '../artifact/text.ts'
import { parseChallenge, readToken, tokenRequest } from './auth.ts'
import type { Got, Question } from './get.ts'
import { type KeyFiles, mayPass, noKeyHint, type Refusal, statusRefusal, unauthorizedHint } from './problems.ts'
import { KeyError, parsePrivateKey, type SigningKey } from './ssh-key.ts'

/** What a repository wants before it answers, or why there is none. */
export type SignIn = { readonly token: string } | { readonly refusal: Refusal }

export interface SignInOptions {
  /** Of the manifest that was asked for. */
  readonly url: URL
  /** As people know it. */
  readonly host: string
  /** The `WWW-Authenticate` header. */
  readonly challenge: string | undefined
  readonly key: () => Promise<SigningKey | KeyError | undefined>
  readonly keyFiles?: KeyFiles
  /** What it gives has no secrets in its text. */
  readonly ask: (question: () => Question) => Promise<Got>
  /** Told of what must not be shown. */
  readonly keepSecret: (text: string) => void
}

export async function signIn(options: SignInOptions): Promise<SignIn> {
  const { url, host, challenge: header, key, keyFiles, ask, keepSecret } = options
  const refused = (problem: string, hint?: string) => refusedFor(keyFiles, problem, hint)
  const keyWords = keyFiles === undefined ? 'the key of the server' : 'the key'
  const challenge = parseChallenge(header)
  if (challenge === undefined) return refused(`${host} refuses access, and does not say where to sign in`)
  const { realm } = challenge
  // The signature is worth something to whoever gets it.
  if (
    !/^https?:$/.test(realm.protocol) ||
    realm.host !== url.host ||
    (url.protocol === 'https:' && realm.protocol !== 'https:') ||
    realm.username !== '' ||
    realm.password !== ''
  ) {
    const hint =
      host.toLowerCase() === 'hf.co'
        ? 'the repository may be missing, gated or private: check the name, or write huggingface.co instead of hf.co'
        : undefined
    return refused(`${host} wants a sign-in at another place (${printable(realm.host, 100)})`, hint)
  }
  const signing = await key()
  if (signing === undefined && keyFiles !== undefined)
    return refused(
      `${host} wants a sign-in with a key, and there is none that can be read: ${keyFiles.join(', ') || 'there is no home folder'}`,
      noKeyHint(keyFiles),
    )
  if (signing === undefined)
    return refused(`${host} wants a sign-in with the key of the server, which is not to be had here`)
  if (signing instanceof KeyError)
    return refused(`${host} wants a sign-in, and ${keyWords} cannot be used: ${signing.message}`)
  const got = await ask(() => {
    const nonce = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString('base64url')
    const request = tokenRequest(challenge, signing, nonce, Date.now())
    for (const part of request.authorization.split(':')) keepSecret(part)
    return { url: request.url, headers: { authorization: request.authorization } }
  })
  // It says nothing of the key.
  if (mayPass(got.status)) return { refusal: statusRefusal(got.status, got.text, host, keyFiles) }
  if (got.status !== 200) return refused(`${host} does not accept ${keyWords} (status ${got.status})`)
  const token = readToken(new TextDecoder().decode(got.bytes))
  if (token === undefined) return refused(`${host} answered the sign-in with no token`)
  keepSecret(token)
  return { token }
}

/** Reads the key once. */
export async function readSigningKey(
  read: () => Promise<string | undefined>,
): Promise<SigningKey | KeyError | undefined> {
  try {
    const text = await read()
    return text === undefined ? undefined : parsePrivateKey(text)
  } catch (error) {
    return error instanceof KeyError ? error : new KeyError('it cannot be read')
  }
}

export function refusedFor(
  keyFiles: KeyFiles,
  problem: string,
  hint: string = unauthorizedHint(keyFiles),
): { readonly refusal: Refusal } {
  return { refusal: { kind: 'unauthorized', problem, hint } }
}
