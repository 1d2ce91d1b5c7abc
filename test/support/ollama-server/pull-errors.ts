/** What a pull ends with when the manifest cannot be had. Texts from the recordings. */
import { type Name, showName } from './names.ts'
import type { RegistryModel } from './options.ts'

/** Ends a pull with an error line, or with a 500 when it is not streamed. */
export class PullFailure extends Error {}

const tooNew =
  '\n\nThe model you are attempting to pull requires a newer version of Ollama.\n\nPlease download the latest version at:\n\n\thttps://ollama.com/download\n\n'

export const noKey = 'open $HOME/.ollama/id_ed25519: no such file or directory'
export const unauthorized = 'unauthorized: access denied'

export function foreignRealm(found: string, { host }: Name): string {
  return `realm host "${found}" does not match original host "${host}"`
}

export function manifestUrl({ host, namespace, model, tag }: Name, insecure: boolean): string {
  return `${insecure ? 'http' : 'https'}://${host}/v2/${namespace}/${model}/manifests/${tag}`
}

export function notTls(name: Name): string {
  return `Get "${manifestUrl(name, false)}": tls: first record does not look like a TLS handshake`
}

/** The end of the text, behind the method and the URL. */
export function connectionRefused({ host }: Name, insecure: boolean): string {
  const address = /:\d+$/.test(host) ? host : `${host}:${insecure ? 80 : 443}`
  return `dial tcp ${address}: connect: connection refused`
}

export function manifestError(
  name: Name,
  insecure: boolean,
  model: RegistryModel | undefined,
  manifest: string | undefined,
): string | undefined {
  const failed = (text: string) => `pull model manifest: ${text}`
  if (model === undefined) return failed('file does not exist')
  if (model.plainHttp === true && !insecure) return failed(notTls(name))
  const { error } = model
  switch (error) {
    case 'missing':
      return failed('file does not exist')
    case 'unreachable':
      return failed(`Get "${manifestUrl(name, insecure)}": ${connectionRefused(name, insecure)}`)
    case 'unauthorized':
      return failed(unauthorized)
    case 'foreign-realm':
      return failed(foreignRealm('auth.example.com', name))
    case 'no-challenge':
      return failed(foreignRealm('', name))
    case 'no-key':
      return failed(noKey)
    case 'too-new':
      return failed(`412: ${tooNew}`)
  }
  if (typeof error === 'object') return 'text' in error ? error.text : failed(`${error.status}: ${error.body}`)
  return unreadable(manifest ?? '', name)
}

/** What is wrong with the text of a manifest. */
export function unreadable(manifest: string, name: Name): string | undefined {
  try {
    const { layers } = JSON.parse(manifest) as { layers?: { mediaType: string }[] }
    const isTensors = layers?.some((layer) => layer.mediaType.endsWith('.image.tensor'))
    return isTensors ? 'this model requires MLX support, but the MLX runtime is not available' : undefined
  } catch {
    return `pull model manifest: ${notJson(manifest, showName(name))}`
  }
}

export function notJson(text: string, where: string): string {
  const first = text.trimStart()[0]
  if (first === '{' || first === undefined) return 'unexpected end of JSON input'
  if ('"[0123456789-tfn'.includes(first)) throw new Error(`test server: no recording of such JSON: ${where}`)
  return `invalid character '${first}' looking for beginning of value`
}
