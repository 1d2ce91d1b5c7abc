/** Key pairs in the files and formats of Ollama, and its signatures. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const algorithm = 'ssh-ed25519'
/** What comes before the 32 bytes of a key in the formats that node:crypto reads. */
const privateHead = Buffer.from('302e020100300506032b657004220420', 'hex')
const publicHead = Buffer.from('302a300506032b6570032100', 'hex')

export interface OllamaKey {
  /** One line, as in the `.pub` file, without its line break. */
  publicKey: string
  /** Path of `id_ed25519`. */
  file: string
}

/** Writes `id_ed25519` and `id_ed25519.pub` as a first start of Ollama does. */
export async function makeOllamaKey(folder: string): Promise<OllamaKey> {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const seed = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32)
  const point = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)
  const line = `${algorithm} ${publicBlob(point).toString('base64')}`
  const file = join(folder, 'id_ed25519')
  await mkdir(folder, { recursive: true })
  await writeFile(file, printPrivateKey(seed, point), { mode: 0o600 })
  await writeFile(`${file}.pub`, `${line}\n`)
  return { publicKey: line, file }
}

/** The value of the `Authorization` header for this text, signed with the key of a file. */
export async function signature(file: string, text: string): Promise<string> {
  const { key, blob } = readPrivateKey(await readFile(file, 'utf8'))
  return `${blob.toString('base64')}:${sign(null, Buffer.from(text), key).toString('base64')}`
}

/** True when the signature in the header, which has the form `key:signature`, is of this text and this key. */
export function isSigned(header: string, text: string): boolean {
  const found = /^([A-Za-z0-9+/]+=*):([A-Za-z0-9+/]+=*)$/.exec(header)
  if (found === null) return false
  const [name, point] = readStrings(Buffer.from(found[1] ?? '', 'base64'))
  if (name?.toString() !== algorithm || point?.length !== 32) return false
  const key = createPublicKey({ key: Buffer.concat([publicHead, point]), format: 'der', type: 'spki' })
  return verify(null, Buffer.from(text), key, Buffer.from(found[2] ?? '', 'base64'))
}

/** What is signed to get a token: there is no body, so the hash is always that of nothing. */
export function tokenText(url: string): string {
  const hash = createHash('sha256').digest('hex')
  return `GET,${url},${Buffer.from(hash).toString('base64')}`
}

function publicBlob(point: Uint8Array): Buffer {
  return Buffer.concat([string(algorithm), string(point)])
}

function printPrivateKey(seed: Uint8Array, point: Uint8Array): string {
  const check = randomBytes(4)
  const secret = [check, check, string(algorithm), string(point), string(Buffer.concat([seed, point])), string('')]
  const missing = (8 - (Buffer.concat(secret).length % 8)) % 8
  const padding = Buffer.from(Array.from({ length: missing }, (_, index) => index + 1))
  const file = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    ...['none', 'none', ''].map(string),
    Buffer.from([0, 0, 0, 1]),
    string(publicBlob(point)),
    string(Buffer.concat([...secret, padding])),
  ])
  const lines = file.toString('base64').match(/.{1,64}/g) ?? []
  return ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join('\n')
}

function readPrivateKey(text: string): { key: KeyObject; blob: Buffer } {
  const file = Buffer.from(text.replace(/-----[A-Z ]+-----|\s/g, ''), 'base64')
  const rest = file.subarray('openssh-key-v1\0'.length)
  const head = readStrings(rest, 3)
  // Three strings with their lengths, and the number of keys.
  const keysAt = head.reduce((sum, part) => sum + 4 + part.length, 0) + 4
  const [blob = Buffer.alloc(0), secret = Buffer.alloc(0)] = readStrings(rest.subarray(keysAt), 2)
  const [, , pair = Buffer.alloc(0)] = readStrings(secret.subarray(8), 3)
  const der = Buffer.concat([privateHead, pair.subarray(0, 32)])
  return { key: createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }), blob }
}

function string(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

function readStrings(bytes: Buffer, most = Number.POSITIVE_INFINITY): Buffer[] {
  const found: Buffer[] = []
  for (let at = 0; at + 4 <= bytes.length && found.length < most; ) {
    const length = bytes.readUInt32BE(at)
    found.push(bytes.subarray(at + 4, at + 4 + length))
    at += 4 + length
  }
  return found
}
