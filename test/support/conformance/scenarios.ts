/** For each recording, the server as its `setup` says; and what is not replayed, with the reason. */
import type { DeriveFields, OllamaServer, RegistryModel } from '../ollama-server.ts'
import { loopbackRegistry, movedTag, recorded } from './recorded-registry.ts'

export interface Scenario {
  /** Installed from the recorded registry, in this order. */
  installed?: string[]
  setup?: (server: OllamaServer) => void
  /** Changes to registry models: errors and speed. */
  registry?: Record<string, Partial<RegistryModel>>
  noPrune?: boolean
  quantizer?: 'missing'
  /** What happened to the server between two exchanges, by the number of the later one. */
  before?: Record<number, (server: OllamaServer) => void | Promise<void>>
  /** Exchanges left out, by number, with the reason. */
  skip?: Record<number, string>
  /** What the recording does that our client must never do. */
  problems?: RegExp
}

const local = (name: string) => `${loopbackRegistry}/library/${name}`
const denied = (code: string, message: string) => JSON.stringify({ errors: [{ code, message }] })
/** About twelve progress lines for the 300 MB layer, at a pace that lets a client leave or join on the way. */
const slow = { bytesPerTick: 25_000_000, tickMs: 10 }
const terse: DeriveFields = { system: 'You are terse.', parameters: { temperature: 0.2 } }

export const scenarios: Record<string, Scenario> = {
  version: {},
  'tags-empty': {},
  'ps-empty': {},
  'tags-many': {
    installed: ['small', 'team-a/notes:q8_0', local('chatty:8b')],
    setup: (server) => {
      server.derive('derived:v1', 'small', terse)
      server.install({ ...recorded('small'), name: 'small-alias' })
      server.install({
        name: 'cloud-stub',
        remoteHost: 'https://ollama.com:11434',
        remoteModel: 'gpt-oss:120b',
        // Built by the recorded server from `info`, which the test server does not do.
        digest: 'd289c7a27cdacfc3a7c3456657023a05a8e7b72cdace9a36135b31f305155203',
        size: 318,
        details: {
          family: 'gptoss',
          families: ['gptoss'],
          parameter_size: '116.8B',
          quantization_level: 'MXFP4',
          context_length: 131072,
          embedding_length: 2880,
        },
        capabilities: ['completion', 'tools', 'thinking'],
      })
    },
  },
  'tags-timezone': { installed: [local('small'), local('embedder')] },
  'bad-json': { problems: /without a body|push/ },
  'wrong-method': { problems: /no such method/ },
  'unknown-path': { problems: /no such path|instead of/ },
  'host-guard': {},
  'blobs-head': { problems: /no such method/ },
  'case-rewrite': { problems: /create from MINE:latest, which is not installed/ },
  'copy-missing': { installed: ['small'] },
  'copy-success': {
    installed: ['small'],
    setup: (server) => server.derive('terse', 'small', { system: 'You are terse.' }),
  },
  'delete-success': { installed: ['small', local('chatty:8b')] },
  'delete-missing': { installed: ['small'], problems: /without a body|no such method/ },
  'delete-shared-layers': {
    installed: ['small'],
    setup: (server) => {
      server.derive('terse', 'small', terse)
      server.install({ ...recorded('small'), name: 'alias' })
    },
  },
  'show-pulled': { installed: [local('chatty:8b'), local('small'), local('embedder'), local('bare')] },
  'show-derived': {
    installed: ['small'],
    setup: (server) => {
      server.derive('derived:v1', 'small', {
        system: 'You are <b>terse</b> & kind.\nAlways.',
        template: '{{ .System }}\n{{ .Prompt }}',
        license: ['License A\nsecond line', 'License B'],
        parameters: {
          temperature: 0.25,
          num_ctx: 16384,
          top_k: 40,
          top_p: 1,
          seed: 123456789012,
          min_p: 1e-7,
          repeat_penalty: 1.1,
          use_mmap: false,
          num_predict: -1,
          stop: ['<|stop|>', 'say "hi"', 'tab\there'],
          not_a_known_parameter: 'kept',
        },
        messages: [
          { role: 'USER', content: 'hi' },
          { role: 'assistant', content: 'hello <&> you\nline two' },
        ],
      })
      // The parser brings the tools capability with it, which the test server does not know.
      server.install({ ...recorded('small'), capabilities: ['completion', 'tools'] })
      server.derive('coder', 'small', { renderer: 'qwen3-coder', parser: 'qwen3-coder', requires: '0.14.0' })
      server.install(recorded('small'))
      server.derive('grandchild', 'derived:v1', { system: 'Second generation.' })
    },
  },
  'show-missing': {
    installed: [local('small')],
    // The template blob is removed by hand.
    before: {
      15: (server) => server.loseBlob('sha256:1c4aa5e4a9c4d5a7aee912c81e3a23127f404dfcecf7e842177716e27aa27eb6'),
    },
    skip: { 17: 'the test server is never started again on the same store' },
  },
  'pull-success-small': { registry: { [local('chatty:8b')]: { waitTicks: 3 } } },
  'pull-default-registry': {},
  'pull-success-large': { registry: { [local('large')]: slow } },
  'pull-up-to-date': { installed: [local('small')] },
  'pull-update': { installed: [local('moving')], before: { 1: (server) => server.publish(movedTag()) } },
  'pull-update-noprune': {
    installed: [local('moving')],
    noPrune: true,
    before: { 0: (server) => server.publish(movedTag()) },
  },
  'pull-missing-tag': {},
  'pull-missing-blob': { registry: { [local('missingblob')]: { error: 'missing-blob' } } },
  'pull-registry-500': {
    registry: {
      [local('err500')]: { error: { status: 500, body: denied('UNKNOWN', 'internal server error') } },
      [local('busy')]: { error: { status: 503, body: 'upstream busy\n' } },
      [local('ratelimit')]: { error: { status: 429, body: denied('TOOMANYREQUESTS', 'rate limit') } },
      [local('forbidden')]: { error: { status: 403, body: denied('DENIED', 'denied') } },
    },
  },
  'pull-registry-blob-500': { registry: { [local('blob500')]: { error: 'blob-500' } } },
  'pull-registry-401': {
    registry: {
      [`${loopbackRegistry}/private/denied`]: { error: 'unauthorized' },
      [`${loopbackRegistry}/private/foreign`]: { error: 'foreign-realm' },
      [`${loopbackRegistry}/private/nochallenge`]: { error: 'no-challenge' },
    },
  },
  'pull-registry-401-no-key': { registry: { [`${loopbackRegistry}/private/ok`]: { error: 'no-key' } } },
  'pull-registry-412': { registry: { [local('toonew')]: { error: 'too-new' } } },
  'pull-digest-mismatch': {},
  'pull-cdn-error': { registry: { [local('cdnerror')]: { error: 'cdn-error', waitTicks: 2 } } },
  'pull-registry-odd': {
    registry: {
      [local('plain200')]: { error: 'plain-200' },
      [local('badjson')]: { manifest: '{"schemaVersion":2,' },
      [local('html')]: { manifest: '<html>not a registry</html>' },
      [local('ociindex')]: {
        manifest: '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}',
      },
      [local('tensors')]: { layers: [{ mediaType: 'application/vnd.ollama.image.tensor', size: 256 }] },
    },
  },
  'pull-invalid-name': {},
  'pull-stream-false': { registry: { [local('missingblob')]: { error: 'missing-blob' } } },
  'pull-http-without-insecure': {},
  'pull-registry-unreachable': { registry: { '127.0.0.1:9/library/small': { error: 'unreachable' } } },
  'pull-abort-and-resume': { registry: { [local('large')]: slow } },
  'pull-shared-layer': { installed: [local('large')] },
  'pull-same-blob-twice': {
    registry: {
      [local('large')]: slow,
      [local('twin-a')]: { waitTicks: 30, tickMs: 10 },
      [local('twin-b')]: { waitTicks: 30, tickMs: 10 },
    },
    problems: /pulls of .* at once, which share/,
  },
  'disk-full': {
    registry: { [local('large')]: { ...slow, error: 'disk-full' }, [local('small')]: { error: 'disk-full' } },
  },
  'create-from': { installed: ['small'] },
  'create-from-identical-again': {
    installed: ['small'],
    setup: (server) => server.derive('terse', 'small', terse),
  },
  'create-from-changed': {
    installed: ['small'],
    setup: (server) => server.derive('terse', 'small', terse),
  },
  'create-missing-base': {
    problems: /which is not installed: the server pulls it by itself/,
  },
  'create-invalid-name': {
    installed: ['small'],
  },
  'create-gguf-file': {},
  'create-gguf-file-refused': {
    quantizer: 'missing',
    problems: /which is not installed: the server pulls it by itself/,
  },
}

/** Recordings that are not replayed; a new one has to be added here or above. */
export const notReplayed: Record<string, string> = {
  'bytes-derived': 'holds bytes, not exchanges; conformance-bytes.test.ts builds them',
  'bytes-pulled': 'holds bytes, not exchanges',
  'registry-content': 'holds bytes, not exchanges; it is what the test server serves',
  'store-listings': 'holds directory listings, not exchanges',
  'create-bad-template': 'the test server does not parse Go templates',
  'create-remote-stub': 'the test server builds no remote stubs; they are installed ready-made',
  'generate-without-runner': 'the test server does not run models; faults of kind "body" script answers',
  'ps-loaded': 'the test server does not run models',
  'pull-server-killed-and-resume': 'the test server does not start again; the fault "reset" stands for the kill',
  'push-small': 'nothing of ours pushes',
  'store-foreign-changes': 'the test server has no files to change by hand',
  'store-read-only': 'the test server has no files and no permissions',
}
