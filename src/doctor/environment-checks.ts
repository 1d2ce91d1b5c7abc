/** Checks of what the server was started with: proxies, which are set in a shell and forgotten for it, and OLLAMA_NOPRUNE. Pure. */
import { settingOf } from '../artifact/text.ts'
import type { Facts } from './facts.ts'
import { type Finding, findingsOf } from './finding.ts'
import { proxiesOf } from './proxies.ts'

/** Whether the server, which does the downloads, has the proxy that is set here. */
export function checkProxy(facts: Facts): readonly Finding[] {
  const { ok, warning, error, unknown } = findingsOf('proxy')
  const { environment, proxies, server } = facts
  const here = proxies.https
  const { values, complete, source, reason } = environment
  if (source === 'unknown' || (!complete && proxiesOf(values).https === null)) {
    if (here === null) return [unknown('proxy-unknown', `none set here; of the server it is not known: ${reason}`)]
    const message = `${here} is set here; whether the server has it is not known: ${reason}`
    if (!server.loopback) return [unknown('proxy-unknown', message)]
    return [warning('proxy-unknown', message, setCommand(facts, 'HTTPS_PROXY', here))]
  }
  const there = proxiesOf(values).https
  if (here === there) return [ok('proxy-same', here === null ? 'none' : `${here}, here and on the server`)]
  if (here === null) return [ok('proxy-server', `${there} on the server`)]
  if (there === null)
    return [
      error(
        'proxy-not-on-server',
        `${here} is set here, but not on the server, which does the downloads`,
        setCommand(facts, 'HTTPS_PROXY', here),
      ),
    ]
  return [warning('proxy-other', `${here} here, ${there} on the server`, setCommand(facts, 'HTTPS_PROXY', here))]
}

/** Whether the server may remove what nothing needs. */
export function checkPruning(facts: Facts): readonly Finding[] {
  const { ok, warning, unknown } = findingsOf('pruning')
  const { values, complete, reason } = facts.environment
  const set = values['OLLAMA_NOPRUNE']
  if (set !== undefined && isOn(set))
    return [
      warning(
        'noprune-on',
        'OLLAMA_NOPRUNE is set: the server keeps what updates replaced, and what nothing needs',
        unsetCommand(facts, 'OLLAMA_NOPRUNE'),
      ),
    ]
  if (set === undefined && !complete)
    return [unknown('noprune-unknown', `whether OLLAMA_NOPRUNE is set is not known: ${reason}`)]
  return [ok('noprune-off', 'OLLAMA_NOPRUNE is not set')]
}

/** As Ollama reads it: what it does not understand is on. */
function isOn(value: string): boolean {
  const text = settingOf(value)
  return text !== '' && !/^(?:0|f|F|false|FALSE|False)$/.test(text)
}

/** The password of a proxy is not shown: whoever sets it knows it. */
function setCommand({ environment, platform }: Facts, name: string, value: string): string {
  if (environment.manager === 'systemd')
    return `sudo systemctl edit ollama: add [Service] and Environment="${name}=${value}"; then sudo systemctl restart ollama`
  if (platform === 'darwin') return `launchctl setenv ${name} ${value}, then quit Ollama and start it again`
  if (platform === 'win32') return `setx ${name} ${value}, then quit Ollama and start it again`
  if (environment.own === true) return `stop the server, and start it from this shell: ollama serve`
  return `set ${name} where the server is started: with Docker, docker run -e ${name}=${value} …`
}

function unsetCommand({ environment, platform }: Facts, name: string): string {
  if (environment.manager === 'systemd')
    return `sudo systemctl edit ollama: remove ${name}, or add [Service] and UnsetEnvironment=${name}; then sudo systemctl restart ollama`
  if (platform === 'darwin') return `launchctl unsetenv ${name}, then quit Ollama and start it again`
  return `stop the server, and start it without ${name}: env -u ${name} ollama serve`
}
