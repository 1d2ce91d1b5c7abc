/** The commands and their flags: one table, which parsing, help, "did you mean" and the completions of shells read. */

export interface Flag {
  readonly type: 'boolean' | 'string'
  /** It may stand alone; a value then comes as `--flag=VALUE`, or as the next word where that looks like a path. */
  readonly optional?: true
  readonly short?: string
  /** Shown in help after the flag, as in `--host ADDRESS`. A `FILE` or a `DIR` is completed as one. */
  readonly value?: string
  /** All that the value can be, where these are few. */
  readonly values?: readonly string[]
  readonly summary: string
}

export type Flags = Readonly<Record<string, Flag>>

export interface CommandInfo {
  readonly summary: string
  readonly flags: Flags
  /** What may follow besides flags. Default: nothing. */
  readonly words?: Words
  readonly examples: readonly (readonly [command: string, meaning: string])[]
  /** Shown below the examples. */
  readonly notes?: string
}

export interface Words {
  /** Shown in help, such as `MODEL`; that, and a `PLANFILE`, is completed as one. */
  readonly name: string
  /** All that it can be, where these are few. */
  readonly values?: readonly string[]
  readonly least: number
  readonly most: number
  /** They are somebody else's, and come last. */
  readonly foreign?: true
}

const configFlags = {
  config: { type: 'string', short: 'c', value: 'FILE', summary: 'use this config instead of searching for one' },
  cwd: { type: 'string', value: 'DIR', summary: 'work as if started in this folder' },
} as const satisfies Flags

const hostFlags = {
  host: {
    type: 'string',
    value: 'ADDRESS',
    summary: 'Ollama server; default: host in the config, OLLAMA_HOST, 127.0.0.1:11434',
  },
  store: {
    type: 'string',
    optional: true,
    value: '[=DIR]',
    summary: 'work on this model directory instead of a server; default: OLLAMA_MODELS, ~/.ollama/models',
  },
  owner: { type: 'string', value: 'UID:GID', summary: 'who shall own what is written into the store' },
  connections: {
    type: 'string',
    value: 'N',
    summary: 'at most N connections for all downloads into the store; default 4',
  },
  wait: {
    type: 'string',
    value: 'TIME',
    summary: 'wait that long for the server to answer, such as 60s, 2m; a bare number is seconds',
  },
} as const satisfies Flags

const outputFlags = {
  json: { type: 'boolean', summary: 'write JSON to stdout' },
  verbose: { type: 'boolean', summary: 'tell every request on stderr' },
  'log-file': {
    type: 'string',
    value: 'FILE',
    summary: 'append every request to this file, as JSON lines without secrets',
  },
  'no-color': { type: 'boolean', summary: 'no colours, like NO_COLOR=1' },
  plain: {
    type: 'boolean',
    summary: 'for screen readers: words instead of signs, no colours, nothing drawn over, ASCII only',
  },
  debug: { type: 'boolean', summary: 'show stack traces of errors' },
  help: { type: 'boolean', short: 'h', summary: 'show this text' },
} as const satisfies Flags

const commonFlags = { ...configFlags, ...hostFlags, ...outputFlags } as const

const pruneFlag = {
  type: 'boolean',
  summary: 'also delete installed models that are not in the config',
} as const satisfies Flag

const countFlag = {
  type: 'boolean',
  summary: 'count installed models that are not in the config as to be deleted; deletes nothing',
} as const satisfies Flag

const versionFlags = {
  frozen: { type: 'boolean', summary: 'refuse models that the lock file lacks, and never write it' },
  offline: { type: 'boolean', summary: 'ask no registry; with --store, fetch nothing either' },
} as const satisfies Flags

const yesFlag = {
  type: 'boolean',
  short: 'y',
  summary: 'approve pulls and builds without a question; on deletions a terminal is asked, but for --no-prune',
} as const satisfies Flag

const keepPreviousFlag = {
  type: 'boolean',
  summary: 'copy each version aside before it is replaced, for rollback',
} as const satisfies Flag

const concurrencyFlag = {
  type: 'string',
  value: 'N',
  summary: 'fetch up to N models at once; default 1, into a store 4; never two that share a missing part',
} as const satisfies Flag

const stallFlag = {
  type: 'string',
  value: 'TIME',
  summary: 'begin a pull anew when no byte came for so long; default 2m',
} as const satisfies Flag

const planFlags = {
  ...configFlags,
  ...hostFlags,
  prune: countFlag,
  ...versionFlags,
  'keep-previous': keepPreviousFlag,
  out: { type: 'string', short: 'o', value: 'FILE', summary: 'also save the plan, for "apply FILE"' },
  all: { type: 'boolean', summary: 'also list the models that are fine' },
  'config-only': { type: 'boolean', summary: 'only check the config and list what it declares; asks no server' },
  'detailed-exitcode': { type: 'boolean', summary: 'exit with 2 when changes are pending' },
  ...outputFlags,
} as const satisfies Flags

const applyFlags = {
  ...configFlags,
  ...hostFlags,
  yes: yesFlag,
  prune: pruneFlag,
  'no-prune': { type: 'boolean', summary: 'delete nothing, and do not ask' },
  ...versionFlags,
  'keep-previous': keepPreviousFlag,
  concurrency: concurrencyFlag,
  'stall-timeout': stallFlag,
  preload: { type: 'boolean', summary: 'then load models into memory: those with keepAlive in the config, else all' },
  ...outputFlags,
} as const satisfies Flags

const checkFlags = {
  ...configFlags,
  ...hostFlags,
  prune: countFlag,
  frozen: versionFlags.frozen,
  ...outputFlags,
} as const satisfies Flags

const { json: _, ...humanFlags } = outputFlags

const execFlags = {
  ...configFlags,
  ...hostFlags,
  check: { type: 'boolean', summary: 'change nothing: when something is missing, say so and do not run the command' },
  ...versionFlags,
  concurrency: concurrencyFlag,
  'stall-timeout': stallFlag,
  ...humanFlags,
} as const satisfies Flags

const updateFlags = {
  ...configFlags,
  ...hostFlags,
  yes: yesFlag,
  'keep-previous': keepPreviousFlag,
  'lock-only': { type: 'boolean', summary: 'only write the new versions into the lock file; changes no host' },
  concurrency: concurrencyFlag,
  'stall-timeout': stallFlag,
  ...outputFlags,
} as const satisfies Flags

const rollbackFlags = { ...configFlags, ...hostFlags, yes: yesFlag, ...outputFlags } as const satisfies Flags

const verifyFlags = {
  ...configFlags,
  ...hostFlags,
  all: { type: 'boolean', summary: 'also models that are not in the config; needs no config' },
  repair: { type: 'boolean', summary: 'fetch again what is damaged' },
  ...outputFlags,
} as const satisfies Flags

const collectFlags = {
  ...configFlags,
  ...hostFlags,
  yes: { type: 'boolean', short: 'y', summary: 'remove them without a question' },
  ...outputFlags,
} as const satisfies Flags

const initFlags = {
  cwd: configFlags.cwd,
  'from-installed': { type: 'boolean', summary: 'declare what the server or the store has' },
  from: {
    type: 'string',
    value: 'FILE',
    summary: 'declare the models of this list; default: Ollamafile or ollama-models.txt, where there is one',
  },
  scripts: {
    type: 'boolean',
    summary: 'also add models:plan, models:apply and models:check to package.json or deno.json',
  },
  offline: { type: 'boolean', summary: 'ask no registry whether it has what is installed' },
  host: { ...hostFlags.host, summary: 'Ollama server; default: OLLAMA_HOST, 127.0.0.1:11434' },
  store: hostFlags.store,
  wait: hostFlags.wait,
  ...humanFlags,
} as const satisfies Flags

const doctorFlags = { ...configFlags, host: hostFlags.host, ...outputFlags } as const satisfies Flags

const setupFlags = {
  ...configFlags,
  host: hostFlags.host,
  run: { type: 'boolean', summary: 'do it; without, it is only told how' },
  with: {
    type: 'string',
    value: 'NAME',
    values: ['brew', 'docker', 'pacman', 'script', 'winget'],
    summary: 'install with brew, docker, pacman, script or winget',
  },
  timeout: {
    type: 'string',
    value: 'TIME',
    summary: 'wait that long for the server to answer, such as 30s, 2m; default 60s',
  },
  ...humanFlags,
} as const satisfies Flags

export const shells = ['bash', 'zsh', 'fish'] as const

export type Shell = (typeof shells)[number]

export const commands = {
  init: {
    summary: 'write ollama.config.ts: an example, a list of models, or what is installed; replaces nothing',
    flags: initFlags,
    examples: [
      ['ollama-config init', 'a small config to go on from'],
      ['ollama-config init --from-installed', 'the models of this machine, so that plan has nothing to do'],
      ['ollama-config init --from models.txt --scripts', 'one name a line; and npm scripts for plan, apply, check'],
    ],
  },
  plan: {
    summary: 'show what apply would do, and change nothing',
    flags: planFlags,
    examples: [
      ['ollama-config plan', 'what is missing, and what is not in the config'],
      ['ollama-config plan --prune --detailed-exitcode', 'exit with 2 when apply --prune would do anything'],
      ['ollama-config plan --out plan.json', 'save it, so that apply plan.json does exactly this'],
      ['ollama-config plan --json --host gpu-box', 'the plan as JSON, for another server'],
      ['ollama-config plan --store=./models', 'for a model directory, without a server'],
    ],
  },
  apply: {
    summary: 'pull and build what is missing or changed and, when approved, delete what is not in the config',
    flags: applyFlags,
    words: { name: 'PLANFILE', least: 0, most: 1 },
    examples: [
      ['ollama-config apply', 'plan, ask, apply'],
      ['ollama-config apply plan.json', 'carry out a saved plan without asking'],
      ['ollama-config apply --yes --wait 60s', 'for scripts: pull without asking, once the server answers'],
      ['ollama-config apply --yes --preload', 'and have the models in memory for the first request'],
      ['ollama-config apply --yes --prune', 'for scripts: also delete; needs a "prune" key in the config'],
      ['ollama-config apply --yes --store /srv/models', 'fill a model directory, as for an image; needs no server'],
    ],
  },
  check: {
    summary: 'exit with 0 when the host has what the config declares, else with 1',
    flags: checkFlags,
    examples: [['ollama-config check || ollama-config apply', 'apply only when something is missing']],
  },
  exec: {
    summary: 'pull and build what is missing, then run a command with OLLAMA_HOST set',
    flags: execFlags,
    words: { name: 'COMMAND', least: 0, most: 0, foreign: true },
    examples: [
      ['ollama-config exec -- npm run dev', 'for an npm script "dev:ai"; says nothing when all is there'],
      ['ollama-config exec --check -- node app.js', 'download nothing: exit with 1 when a model is missing'],
      ['ollama-config exec --wait 60s -- pytest', 'once the server answers, as after "docker compose up -d"'],
      ['ollama-config exec --store=./models -- ollama serve', 'fill a model directory; OLLAMA_MODELS is set to it'],
    ],
  },
  outdated: {
    summary: 'show which declared models have a newer version, and what changed in it',
    flags: commonFlags,
    examples: [['ollama-config outdated --json', 'for programs']],
  },
  update: {
    summary: 'bring models to what their tags name now, and lock that',
    flags: updateFlags,
    words: { name: 'MODEL', least: 0, most: Number.POSITIVE_INFINITY },
    examples: [
      ['ollama-config update', 'all declared models; shows the plan and asks'],
      ['ollama-config update qwen3:8b --keep-previous', 'one model, with a way back'],
      ['ollama-config update --lock-only', 'for a pull request: only the lock file'],
    ],
  },
  lock: {
    summary: 'write the lock file: pin what is installed, else what the registry serves',
    flags: commonFlags,
    words: { name: 'MODEL', least: 0, most: Number.POSITIVE_INFINITY },
    examples: [
      ['ollama-config lock', 'pin every declared model'],
      ['ollama-config lock qwen3:8b', 'pin one anew, leave the others'],
    ],
  },
  rollback: {
    summary: 'go back to the version that update --keep-previous kept',
    flags: rollbackFlags,
    words: { name: 'MODEL', least: 1, most: 1 },
    examples: [['ollama-config rollback qwen3:8b', 'shows what it does and asks']],
  },
  verify: {
    summary: 'read every byte of the models, and tell what is damaged',
    flags: verifyFlags,
    words: { name: 'MODEL', least: 0, most: Number.POSITIVE_INFINITY },
    examples: [
      ['ollama-config verify', 'the declared models of a server on this machine'],
      ['ollama-config verify --store --repair', 'of a model directory, and fetch again what is damaged'],
    ],
  },
  collect: {
    summary: 'remove blobs that no model needs, and unfinished downloads, once they are an hour old',
    flags: collectFlags,
    examples: [
      ['ollama-config collect', 'of a server on this machine; lists them and asks'],
      ['ollama-config collect --store=/srv/models --yes', 'for scripts; needs no config'],
    ],
  },
  plugins: {
    summary: 'list the plugins of the config, and those in its "discover" folder',
    flags: commonFlags,
    examples: [['ollama-config plugins --json', 'for programs']],
  },
  setup: {
    summary: 'tell how Ollama is installed and started here, and with --run do it; never calls sudo',
    flags: setupFlags,
    examples: [
      ['ollama-config setup', 'which command installs it on this machine; runs nothing'],
      ['ollama-config setup --run', 'install what is missing, start the server, wait until it answers'],
      ['ollama-config setup --run --with docker --timeout 5m', 'in a container'],
      ['ollama-config setup --run && ollama-config apply --yes', 'for scripts'],
    ],
  },
  doctor: {
    summary: 'tell on one screen what is right and what is wrong, and what to do about it',
    flags: doctorFlags,
    examples: [
      [
        'ollama-config doctor',
        'the server, its settings, this machine and the config; exits with 1 when something is wrong',
      ],
      ['sudo ollama-config doctor', 'also the environment of a server that belongs to another user'],
      ['ollama-config doctor --json', 'for programs'],
    ],
  },
  demo: {
    summary: 'show plan and apply in a few seconds, offline, with models made up on the spot',
    flags: { 'no-color': outputFlags['no-color'], plain: outputFlags.plain, help: outputFlags.help },
    examples: [['ollama-config demo', 'touches nothing but a temporary folder']],
  },
  completion: {
    summary: 'print the script that lets a shell complete commands, flags and names of models',
    flags: { help: outputFlags.help },
    words: { name: 'SHELL', least: 1, most: 1, values: shells },
    examples: [
      [
        'eval "$(ollama-config completion bash)"',
        'bash 4 or later: this line into ~/.bashrc, where ollama-config is on PATH, as after npm install --global',
      ],
      ['eval "$(ollama-config completion zsh)"', 'zsh: this line into ~/.zshrc, after compinit'],
      [
        'ollama-config completion fish > ~/.config/fish/completions/ollama-config.fish',
        'fish: once, and again after an update',
      ],
    ],
    notes:
      'It completes the word ollama-config, and not what comes after npx. Names of models come from the text of the config, from the lock file, and from the server or store that flags or OLLAMA_HOST name. The config is not run, and a host that only the config names is not asked: pressing Tab in a folder of somebody else does nothing there.',
  },
} as const satisfies Record<string, CommandInfo>

export type CommandName = keyof typeof commands

/** What a command was called with. */
export type Values<F extends Flags> = {
  readonly [Name in keyof F]?: F[Name] extends { readonly optional: true }
    ? string | true
    : F[Name]['type'] extends 'boolean'
      ? boolean
      : string
}

export type PlanFlags = Values<typeof planFlags>
export type ApplyFlags = Values<typeof applyFlags>
export type CheckFlags = Values<typeof checkFlags>
export type ExecFlags = Values<typeof execFlags>
export type UpdateFlags = Values<typeof updateFlags>
export type RollbackFlags = Values<typeof rollbackFlags>
export type VerifyFlags = Values<typeof verifyFlags>
export type CollectFlags = Values<typeof collectFlags>
export type InitFlags = Values<typeof initFlags>
export type SetupFlags = Values<typeof setupFlags>
export type DoctorFlags = Values<typeof doctorFlags>
export type DemoFlags = Values<typeof commands.demo.flags>
/** The flags that every command has. */
export type CommonFlags = Values<typeof commonFlags>
