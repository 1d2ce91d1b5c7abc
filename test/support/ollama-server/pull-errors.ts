/** What a pull ends with when the manifest cannot be had. Texts from the recordings. */
import { type Name, showName } from './names.ts'
import type { RegistryModel } from './options.ts'

/** Ends a pull with an error line, or with a 500 when it is not streamed. */
export class PullFailure extends Error {}

const tooNew =
  '\n\nThe model you are attempting to pull requires a newer version of Ollama.\n\nPlease download the latest version at:\n\n\thttps://ollama.com/download\n\n'

export function manifestError(
  name: Name,
  insecure: boolean,
  model: RegistryModel | undefined,
  manifest: string | undefined,
): string | undefined {
  const { host, namespace, model: repository, tag } = name
  const url = `${insecure ? 'http' : 'https'}://${host}/v2/${namespace}/${repository}/manifests/${tag}`
  const failed = (text: string) => `pull model manifest: ${text}`
  if (model === undefined) return failed('file does not exist')
  if (model.plainHttp === true && !insecure) {
    return failed(`Get "${url}": tls: first record does not look like a TLS handshake`)
  }
  const realm = (found: string) => failed(`realm host "${found}" does not match original host "${host}"`)
  const { error } = model
  switch (error) {
    case 'missing':
      return failed('file does not exist')
    case 'unreachable': {
      const address = /:\d+$/.test(host) ? host : `${host}:${insecure ? 80 : 443}`
      return failed(`Get "${url}": dial tcp ${address}: connect: connection refused`)
    }
    case 'unauthorized':
      return failed('unauthorized: access denied')
    case 'foreign-realm':
      return realm('auth.example.com')
    case 'no-challenge':
      return realm('')
    case 'no-key':
      return failed('open $HOME/.ollama/id_ed25519: no such file or directory')
    case 'too-new':
      return failed(`412: ${tooNew}`)
  }
  if (typeof error === 'object') return 'text' in error ? error.text : failed(`${error.status}: ${error.body}`)
  return unreadable(manifest ?? '', showName(name))
}

function unreadable(manifest: string, shown: string): string | undefined {
  try {
    const { layers } = JSON.parse(manifest) as { layers?: { mediaType: string }[] }
    const isTensors = layers?.some((layer) => layer.mediaType.endsWith('.image.tensor'))
    return isTensors ? 'this model requires MLX support, but the MLX runtime is not available' : undefined
  } catch {
    const first = manifest.trimStart()[0]
    if (first === '{' || first === undefined) return 'pull model manifest: unexpected end of JSON input'
    if ('"[0123456789-tfn'.includes(first)) throw new Error(`test server: no recording of such a manifest: ${shown}`)
    return `pull model manifest: invalid character '${first}' looking for beginning of value`
  }
}
