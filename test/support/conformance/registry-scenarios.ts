/** For each recording of what a registry was asked, the registry and the server as they were then. */
import type { OllamaServer } from '../ollama-server.ts'
import type { ServedModel, TestRegistry } from '../registry.ts'
import { loopbackRegistry, recorded, servedModels } from './recorded-registry.ts'

export interface RegistryScenario {
  setup?: (registry: TestRegistry, server: OllamaServer) => void
  /** Published besides the recorded content; the manifest is the recorded one unless given. */
  models?: Omit<ServedModel, 'manifest'>[]
  hasKey?: boolean
}

const json = (code: string, message: string) => ({
  body: JSON.stringify({ errors: [{ code, message }] }),
  headers: { 'Content-Type': 'application/json' },
})
const busy = { body: 'upstream busy\n', headers: { 'Retry-After': '3' } }
const limited = json('TOOMANYREQUESTS', 'rate limit')
const lateLimit = { ...limited, headers: { ...limited.headers, 'Retry-After': '3' } }
const accessDenied = {
  body: '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
  headers: { 'Content-Type': 'application/xml' },
}
const installed = (name: string) => (_: TestRegistry, server: OllamaServer) =>
  server.install(recorded(`${loopbackRegistry}/library/${name}`))

export const registryScenarios: Record<string, RegistryScenario> = {
  'pull-success-small': {},
  'pull-success-large': {},
  'pull-up-to-date': { setup: installed('small') },
  'pull-update': {
    setup: (registry, server) => {
      installed('moving')(registry, server)
      for (const model of servedModels('v2')) registry.publish(model)
    },
  },
  'pull-shared-layer': { setup: installed('large') },
  'pull-default-registry': {},
  'pull-missing-tag': {},
  'pull-missing-blob': {},
  'pull-digest-mismatch': {
    setup: (registry) => {
      const weights = registry.content('corrupt').layers[0]?.digest ?? ''
      registry.fail({ kind: 'cdn', digest: weights }, { kind: 'lie' })
    },
  },
  'pull-cdn-error': {
    setup: (registry) => registry.fail({ kind: 'cdn' }, { kind: 'status', status: 403, ...accessDenied }),
  },
  'pull-registry-401': {
    models: [
      { name: 'private/ok', private: true },
      { name: 'private/denied', private: { refused: true } },
      { name: 'private/foreign', private: { realm: 'http://auth.example.com/token' } },
      { name: 'private/nochallenge', private: { challenge: false } },
    ],
    hasKey: true,
  },
  'pull-registry-401-no-key': { models: [{ name: 'private/ok', private: true }] },
  // The version that asks is masked in the comparison: a real development build, 0.0.0, is let through.
  'pull-registry-412': { models: [{ name: 'library/toonew', requires: '0.34.0' }] },
  'pull-registry-500': {
    setup: (registry) => {
      registry.fail({ name: 'err500' }, { kind: 'status', status: 500, ...json('UNKNOWN', 'internal server error') })
      registry.fail({ name: 'busy' }, { kind: 'status', status: 503, ...busy })
      registry.fail({ name: 'ratelimit' }, { kind: 'status', status: 429, ...lateLimit })
      registry.fail({ name: 'forbidden' }, { kind: 'status', status: 403, ...json('DENIED', 'denied') })
    },
  },
  'pull-registry-blob-500': {
    setup: (registry) =>
      registry.fail({ kind: 'blob' }, { kind: 'status', status: 500, ...json('UNKNOWN', 'internal server error') }),
  },
  'pull-registry-odd': {
    models: [
      { name: 'library/plain200', blobs: 'plain' },
      { name: 'library/plain200loc', blobs: 'plain-with-location' },
      { name: 'library/badjson' },
      { name: 'library/html' },
      { name: 'library/ociindex' },
      { name: 'library/tensors' },
    ],
  },
}
