/** Checks of the config and of what goes with it: plugins, lock file, record. Pure. */

import { parseListedName, referenceKey } from '../artifact/reference.ts'
import { counted } from '../artifact/text.ts'
import { rewritesManifests } from '../plan/server-version.ts'
import { type Facts, installedIn, versionOf } from './facts.ts'
import { type Finding, findingsOf } from './finding.ts'

/** Whether there is a config, it loads and declares anything. */
export function checkConfig({ config }: Facts): readonly Finding[] {
  const { ok, warning, error } = findingsOf('config')
  const { file, error: problem, models } = config
  // One that is there and cannot be read is another matter: `init` would not write beside it.
  if (problem?.code === 'config-not-found' && file === null)
    return [warning('config-not-found', 'there is none here', '"ollama-config init"')]
  if (problem !== null) {
    const { diagnostics = [], message, code } = problem
    const first = diagnostics[0]?.message
    const text = first === undefined ? message : diagnostics.length === 1 ? first : `${message}, such as ${first}`
    return [error(code, text, diagnostics.length > 0 ? '"ollama-config plan --config-only"' : problem.hint)]
  }
  if (models.length === 0)
    return [warning('nothing-declared', `${file ?? ''}: declares no model`, 'add names to "models"')]
  return [ok('config', `${file ?? ''}: ${counted(models.length, 'model')}`)]
}

/** Which plugins a config has, and what is wrong with those of its `discover` folder. Nothing without a config. */
export function checkPlugins({ config }: Facts): readonly Finding[] {
  const { ok, error } = findingsOf('plugins')
  if (config.file === null || config.error !== null) return []
  const problems = config.pluginProblems.map(({ code, message, hint }) => error(code, message, hint))
  if (config.plugins.length === 0) return problems
  return [ok('plugins', config.plugins.join(', ')), ...problems]
}

/** Names of more than these fill the screen. */
const namesShown = 4

/** Whether the lock file has what is declared, and the host what is locked. Nothing without a config. */
export function checkLock(facts: Facts): readonly Finding[] {
  const { ok, warning, error } = findingsOf('lock')
  const { config, server } = facts
  const { models, error: problem } = config.lock
  if (config.file === null || config.error !== null) return []
  if (problem !== null) return [error(problem.code, problem.message, problem.hint)]
  if (models === null) return [ok('lock-none', 'there is no lock file')]
  const locked = new Map([...models].map(([name, digest]) => [keyOf(name), { name, digest }]))
  const wanted = config.models.filter(({ cloud, alias }) => !cloud && !alias)
  const declared = new Set(wanted.map(({ reference }) => keyOf(reference)))
  const missing = wanted.filter(({ reference }) => !locked.has(keyOf(reference))).map(({ reference }) => reference)
  const spare = [...locked.values()].filter(({ name }) => !declared.has(keyOf(name))).map(({ name }) => name)
  // Such a server lists digests of its own.
  const installed = rewritesManifests(versionOf(server)) ? [] : (installedIn(facts) ?? [])
  const others = installed.flatMap(({ name, digest }) => {
    const entry = locked.get(keyOf(name))
    return entry?.digest != null && entry.digest !== digest && declared.has(keyOf(name)) ? [name] : []
  })
  const found = [
    ...(missing.length === 0
      ? []
      : [warning('lock-lacks', `the lock file lacks ${listOf(missing)}`, `"ollama-config lock ${missing.join(' ')}"`)]),
    ...(spare.length === 0
      ? []
      : [warning('lock-spare', `the lock file has ${listOf(spare)}, not declared any more`, '"ollama-config lock"')]),
    ...(others.length === 0
      ? []
      : [warning('lock-differs', `not the locked version: ${listOf(others)}`, '"ollama-config plan"')]),
  ]
  if (found.length > 0) return found
  return [ok('lock', models.size === 1 ? '1 model is locked' : `${models.size} models are locked`)]
}

/** Whether what the last apply left is still so. Nothing without a config. */
export function checkRecord(facts: Facts): readonly Finding[] {
  const { ok, warning } = findingsOf('record')
  const { config } = facts
  const { models: recorded, error: problem } = config.record
  if (config.file === null || config.error !== null) return []
  if (problem !== null) return [warning(problem.code, problem.message, problem.hint)]
  if (recorded === null) return [ok('record-none', 'no apply of this config is recorded for this host')]
  // What is not declared any more may go: that is no drift.
  const declared = new Set(config.models.map(({ reference }) => keyOf(reference)))
  const models = new Map([...recorded].filter(([name]) => declared.has(keyOf(name))))
  const installed = new Map(installedIn(facts)?.map(({ name, digest }) => [keyOf(name), digest]))
  const changed = [...models].filter(
    ([name, digest]) => installed.has(keyOf(name)) && installed.get(keyOf(name)) !== digest,
  )
  const gone = installedIn(facts) === undefined ? [] : [...models].filter(([name]) => !installed.has(keyOf(name)))
  const drifted = [...changed, ...gone].map(([name]) => name)
  if (drifted.length === 0)
    return [ok('record', models.size === 1 ? '1 model, as it was left' : `${models.size} models, as they were left`)]
  const text = `changed or removed since the last apply: ${listOf(drifted)}`
  return [warning('record-differs', text, '"ollama-config plan"')]
}

function keyOf(name: string): string {
  return referenceKey(parseListedName(name))
}

function listOf(names: readonly string[]): string {
  const more = names.length > namesShown ? `, and ${names.length - namesShown} more` : ''
  return `${names.slice(0, namesShown).join(', ')}${more}`
}
