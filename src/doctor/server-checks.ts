/** Checks of the server: is Ollama here, does it answer, what does its version lack, is its cloud on. Pure. */
import { counted, printable } from '../artifact/text.ts'
import { type Facts, versionOf } from './facts.ts'
import { type Finding, findingsOf } from './finding.ts'

/** Whether Ollama is installed here: an error only where a server of this machine is wanted and none answers. */
export function checkProgram({ program, server }: Facts): readonly Finding[] {
  const { ok, unknown, error } = findingsOf('program')
  if (program !== null) return [ok('program-found', printable(program, 200))]
  // Whoever works with another machine, or with a container, needs none.
  const isAsked =
    server.answers !== null && !('error' in server.answers.listing && server.answers.listing.error.code === 'usage')
  const needed = server.loopback && isAsked && !answers(server)
  if (needed) return [error('program-missing', 'Ollama is not installed here, or not on PATH', '"ollama-config setup"')]
  return [unknown('program-missing', 'ollama is not on PATH here')]
}

/** Whether the address is one, and a server answers there and lists its models. */
export function checkServer({ server, program, platform, environment }: Facts): readonly Finding[] {
  const { ok, warning, error } = findingsOf('server')
  const { address, source, error: invalid, answers: told, loopback } = server
  if (address === null || told === null)
    return [error(invalid?.code ?? 'internal', invalid?.message ?? 'not asked', invalid?.hint)]
  const misread = server.warning === null ? [] : [warning('address', server.warning, 'write it as HOST:PORT')]
  const place = `${address} (${source})`
  const { listing } = told
  if ('value' in listing) {
    const { models, unreadable } = listing.value
    const count = models.length + unreadable.length
    return [...misread, ok('server-answers', `${place} answers: ${counted(count, 'model')}`)]
  }
  const { code, message, hint } = listing.error
  if (answers(server)) {
    const log = !loopback || program === null ? hint : `look at its log: ${logCommand(platform, environment.manager)}`
    return [...misread, error(code, `${place} runs, but does not list its models: ${message}`, log)]
  }
  const start =
    // What a server can be started at.
    loopback && code === 'host-unreachable' && /^http:\/\/[^/]+$/.test(address ?? '')
      ? `"ollama-config setup${program === null ? '' : ' --run'}"`
      : hint
  return [...misread, error(code, `${message} (${source})`, start)]
}

/** Whether an Ollama server answered at all. */
function answers({ answers: told }: Facts['server']): boolean {
  return told !== null && ('value' in told.version || 'value' in told.listing)
}

function logCommand(platform: string, manager: string | null): string {
  if (manager === 'systemd') return 'journalctl -e -u ollama'
  if (platform === 'darwin') return 'tail ~/.ollama/logs/server.log'
  return platform === 'win32' ? '%LOCALAPPDATA%\\Ollama\\server.log' : 'what "ollama serve" printed'
}

/** What older servers lack that this program works with: the version that has it, and in words. */
const lacks: readonly (readonly [version: string, text: string])[] = [
  ['0.6.4', 'does not tell what a model can do'],
  ['0.17.6', 'runs cloud models only after a pull'],
  ['0.19.0', 'stores manifests otherwise than registries serve them'],
  ['0.21.0', 'removes at its start what an unfinished download has fetched'],
  ['0.30.0', 'does not list capabilities and context lengths'],
  ['0.32.7', 'builds models with a digest that cannot be foreseen'],
]

/** Below it plugins and pulls with validation cannot do what they are for. */
const oldest = '0.6.4'

/** What a server of that version lacks. Nothing where it does not say its version. */
export function checkVersion({ server, upgrade }: Facts): readonly Finding[] {
  const { ok, warning, error, unknown } = findingsOf('version')
  const version = versionOf(server)
  if (version === null) return []
  const numbers = /^v?(\d+\.\d+\.\d+)/.exec(version)?.[1]
  if (numbers === undefined)
    return [unknown('version-unknown', `the server does not say one that is known: ${version}`)]
  // A build without a version.
  if (numbers === '0.0.0') return [ok('version', `${version}, a development build`)]
  const lacking = lacks.filter(([since]) => isOlder(numbers, since)).map(([, text]) => text)
  if (lacking.length === 0) return [ok('version', version)]
  const make = isOlder(numbers, oldest) ? error : warning
  const command = server.loopback ? upgrade : 'update Ollama on that machine'
  return [make('version-lacks', `${version} is old: it ${lacking.join('; it ')}`, command)]
}

function isOlder(version: string, other: string): boolean {
  const [a = [], b = []] = [version, other].map((text) => text.split('.').map(Number))
  const index = a.findIndex((number, at) => number !== b[at])
  return index >= 0 && (a[index] ?? 0) < (b[index] ?? 0)
}

/** Whether declared cloud models can be used. Nothing where the server does not answer. */
export function checkCloud({ server: { answers: told }, config }: Facts): readonly Finding[] {
  const { ok, error, unknown } = findingsOf('cloud')
  if (told === null || 'error' in told.listing) return []
  if ('error' in told.cloud) return [unknown('cloud-unknown', 'the server does not tell whether it is on')]
  const { enabled, source } = told.cloud.value
  if (enabled) return [ok('cloud-on', 'on: cloud models can be used')]
  const by = { env: ' by OLLAMA_NO_CLOUD', config: ' in server.json', both: ' by OLLAMA_NO_CLOUD and in server.json' }
  const where = Object.entries(by).find(([name]) => name === source)?.[1] ?? ''
  const declared = config.models.filter(({ cloud }) => cloud).map(({ reference }) => reference)
  if (declared.length === 0) return [ok('cloud-off', `off${where}`)]
  return [
    error(
      'cloud-needed',
      `off${where}, but the config declares ${declared.join(', ')}`,
      [
        ...(source === 'config' ? [] : ['unset OLLAMA_NO_CLOUD for the server']),
        ...(source === 'env' ? [] : ['set "disable_ollama_cloud" to false in its ~/.ollama/server.json']),
        'restart it',
      ].join(', '),
    ),
  ]
}
