/** Who may approve what: deletions never ride on "yes". */
import type { Approval } from '../apply/apply.ts'
import { OllamaConfigError } from '../errors.ts'
import type { Change, DeleteChange, Plan } from '../plan/plan.ts'
import type { ApplyFlags } from './command-table.ts'

/** What the rules look at besides the flags. */
export interface Circumstances {
  /** A person can be asked: stdin and stderr are terminals and stdout is not wanted for JSON. */
  readonly interactive: boolean
  /** The `prune` key of the config; `undefined` when it is not written. */
  readonly configuredPrune: 'undeclared' | 'managed' | false | undefined
  readonly hostSource: 'flag' | 'config' | 'environment' | 'default'
  readonly loopback: boolean
}

/** @throws {OllamaConfigError} `usage` */
export function assertConsistent(flags: ApprovalFlags): void {
  if (flags.prune && flags['no-prune'])
    throw new OllamaConfigError('usage', '--prune and --no-prune contradict each other')
}

/**
 * Refuses a question that nobody could answer. Called once it is known that there is one: names are right, and something is to be done.
 *
 * @param deletes Whether the command may delete, too
 */
export function assertApprovable(
  flags: ApprovalFlags & Pick<ApplyFlags, 'json'>,
  interactive: boolean,
  deletes = false,
): void {
  if (!interactive && !flags.yes) {
    throw new OllamaConfigError(
      'approval-required',
      `Nobody can be asked here, since ${flags.json ? '--json was given' : 'this is no terminal'}, and --yes was not`,
      {
        hint: `add --yes to go ahead without a question${deletes ? '; deletions need --prune too' : ''}`,
      },
    )
  }
}

/** Refuses a `--prune` that the place does not allow; one against `prune: false` is refused by `createPlan`. */
export function assertPrunable(
  flags: Pick<ApplyFlags, 'prune'>,
  { interactive, configuredPrune, hostSource, loopback }: Circumstances,
): void {
  if (!flags.prune || interactive) return
  if (configuredPrune === undefined) {
    throw pruneRefused(
      'Without a terminal --prune deletes only when the config has a "prune" key',
      'write prune: "undeclared" in the config, or drop --prune',
    )
  }
  if (hostSource === 'environment' && !loopback) {
    throw pruneRefused(
      'Without a terminal --prune does not delete on a host that came from OLLAMA_HOST and is not this machine',
      'name the host with --host or in the config, or drop --prune',
    )
  }
}

type ApprovalFlags = Pick<ApplyFlags, 'yes' | 'prune' | 'no-prune'>

/** The questions that are left to ask, given the flags. An empty list is no question. */
export interface Questions {
  /** Everything but deletions and, with `--prune`, the deletions it approves. */
  readonly changes: readonly Change[]
  /** The deletions that no flag approves. */
  readonly deletions: readonly DeleteChange[]
}

export interface Answers {
  readonly changes?: boolean
  readonly deletions?: boolean
}

/** What the flags have answered already, and what a person has to be asked. */
export function openQuestions(plan: Plan, flags: ApprovalFlags, interactive: boolean): Questions {
  const changes = plan.targets.flatMap((target) => target.changes)
  const deletions = changes.filter((change) => change.action === 'delete')
  const byFlag = flags.prune ? deletions.filter(({ irreplaceable }) => !irreplaceable) : []
  const others = changes.filter(({ action }) => action !== 'no-op' && action !== 'delete')
  return {
    changes: flags.yes ? [] : [...others, ...byFlag],
    deletions: !interactive || flags['no-prune'] ? [] : deletions.filter((change) => !byFlag.includes(change)),
  }
}

/** Flags and answers together. What was not asked has no answer. */
export function approvalOf(flags: ApprovalFlags, { changes, deletions }: Answers): Approval {
  const approved = flags.yes === true || changes === true
  return {
    changes: approved,
    deletions: (flags.prune === true && approved) || deletions === true,
    // Only a person who saw their names approves these: no flag does.
    irreplaceable: deletions === true,
  }
}

function pruneRefused(message: string, hint: string): OllamaConfigError {
  return new OllamaConfigError('prune-refused', message, { hint })
}
