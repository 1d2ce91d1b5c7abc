/** Ollama's key pair: an ed25519 key in OpenSSH's own format, as `ollama serve` writes it. */

export interface SigningKey {
  /** The public key as SSH writes it on the wire, base64. */
  readonly publicKey: string
  sign(text: string): string
}

/** Why a key cannot be used; never holds any of it. */
export class KeyError extends Error {}

/** @throws {KeyError} */
export function parsePrivateKey(pem: string): SigningKey {
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([A-Za-z0-9+/=\s]*)-----END OPENSSH PRIVATE KEY-----/.exec(pem)?.[1]
  if (body === undefined) throw new KeyError('it is no OpenSSH private key')
  const outer = new Reader(Buffer.from(body, 'base64'))
  if (outer.raw(15).toString('latin1') !== 'openssh-key-v1\0') throw new KeyError('it is no OpenSSH private key')
  const cipher = outer.text()
  outer.bytes() // key derivation
  outer.bytes() // and its options
  const count = outer.number()
  if (cipher !== 'none') throw new KeyError('it is encrypted')
  if (count !== 1) throw new KeyError('it holds more than one key')
  const publicKey = outer.bytes()
  const inner = new Reader(outer.bytes())
  const check = inner.number()
  if (inner.number() !== check) throw new KeyError('it is damaged')
  if (inner.text() !== 'ssh-ed25519') throw new KeyError('it is no ed25519 key')
  inner.bytes()
  const pair = inner.bytes()
  if (pair.length !== 64) throw new KeyError('it is damaged')
  return { publicKey: publicKey.toString('base64'), sign: signer(pair.subarray(0, 32)) }
}

/** What PKCS #8 puts before the 32 bytes of an ed25519 key (RFC 8410). */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex')

function signer(seed: Buffer): (text: string) => string {
  const { createPrivateKey, sign } = process.getBuiltinModule('node:crypto')
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' })
  return (text) => sign(null, Buffer.from(text), key).toString('base64')
}

/** SSH's wire format (RFC 4251): numbers of four bytes, texts with their length before them. */
class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  raw(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new KeyError('it is damaged')
    const part = this.#bytes.subarray(this.#at, this.#at + length)
    this.#at += length
    return part
  }

  number(): number {
    return this.raw(4).readUInt32BE(0)
  }

  bytes(): Buffer {
    return this.raw(this.number())
  }

  text(): string {
    return this.bytes().toString('latin1')
  }
}
