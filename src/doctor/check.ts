/** All checks, in the order in which their findings are shown. Pure. */
import { checkConfig, checkLock, checkPlugins, checkRecord } from './config-checks.ts'
import { checkProxy, checkPruning } from './environment-checks.ts'
import type { Facts } from './facts.ts'
import type { Finding } from './finding.ts'
import { checkDisk, checkGpu, checkLoaded, checkMemory, checkModels } from './machine-checks.ts'
import { checkCloud, checkProgram, checkServer, checkVersion } from './server-checks.ts'

const checks: readonly ((facts: Facts) => readonly Finding[])[] = [
  checkProgram,
  checkServer,
  checkVersion,
  ifAnswers(checkModels),
  ifAnswers(checkDisk),
  ifAnswers(checkProxy),
  ifAnswers(checkPruning),
  checkCloud,
  checkMemory,
  checkGpu,
  checkLoaded,
  checkConfig,
  checkPlugins,
  checkLock,
  checkRecord,
]

/** What is found, in the order of the subjects. A subject of which there is nothing to say has none. */
export function checkAll(facts: Facts): readonly Finding[] {
  return checks.flatMap((check) => check(facts))
}

/** Of a server that does not run there is nothing more to say. */
function ifAnswers(check: (facts: Facts) => readonly Finding[]): (facts: Facts) => readonly Finding[] {
  return (facts) => {
    const told = facts.server.answers
    return told !== null && ('value' in told.version || 'value' in told.listing) ? check(facts) : []
  }
}
