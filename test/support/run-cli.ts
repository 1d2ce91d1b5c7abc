/** Runs the CLI in this process with captured streams, or as a process of its own with a scrubbed environment. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, openSync, realpathSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { PassThrough } from 'node:stream'
import type { TestContext } from 'node:test'
import { run } from '../../src/cli/run.ts'
import { commandWords } from './built.ts'
import {
  type OllamaServer,
  type OllamaServerOptions,
  type RegistryModel,
  type ServerModel,
  startOllamaServer,
} from './ollama-server.ts'
import { startRegistry, type TestRegistry } from './registry.ts'

/** Of Windows only some terminals have the characters that others have. */
const unicode = { WT_SESSION: '1' }

/** A folder of its own for one test, removed afterwards. `files` maps names to contents; objects become JSON. */
export function tempFolder(t: TestContext, files: Readonly<Record<string, string | object>> = {}): string {
  const folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'ollama-config-test-')))
  // On Windows a file that was just given up may be open for a moment.
  t.after(() => rm(folder, { recursive: true, force: true, maxRetries: 10 }))
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(path.join(folder, name), typeof content === 'string' ? content : JSON.stringify(content))
  }
  return folder
}

export interface TestServer extends OllamaServer {
  /** Serves what the server has installed and what it can pull: our own look at registries goes there. */
  readonly remote: TestRegistry
}

/** A server for one test, with a registry that fits to it; closed afterwards. */
export async function startServer(t: TestContext, options: OllamaServerOptions = {}): Promise<TestServer> {
  const server = await startOllamaServer(options)
  t.after(() => server.close())
  const remote = await openRegistry(t)
  for (const model of [...(options.models ?? []), ...(options.registry ?? [])]) mirror(model, remote)
  const publish = (model: string | RegistryModel) => {
    server.publish(model)
    mirror(model, remote)
  }
  const unpublish = (name: string) => {
    server.unpublish(name)
    remote.unpublish(name)
  }
  return { ...server, publish, unpublish, remote }
}

/** A registry for one test, closed afterwards. From then on every registry that is asked, by whatever name, is this one. */
export async function openRegistry(
  t: TestContext,
  options?: Parameters<typeof startRegistry>[0],
): Promise<TestRegistry> {
  const remote = await startRegistry(options)
  current = remote
  t.after(() => {
    if (current === remote) current = undefined
    return remote.close()
  })
  return remote
}

// Without one, nobody answers: no test leaves this machine.
let current: TestRegistry | undefined
const nobody = 'http://127.0.0.1:9'

/** For `registryUrl`, in tests that do not go through the CLI. */
export function testRegistryUrl(): string {
  return current?.url ?? nobody
}

function mirror(model: string | RegistryModel | ServerModel, remote: TestRegistry): void {
  const spec = typeof model === 'string' ? { name: model } : model
  const made = 'parentModel' in spec || 'remoteHost' in spec || ('error' in spec && spec.error === 'missing')
  if (!made) remote.publish({ fill: { repeat: new Uint8Array([7]) }, ...spec })
}

export interface CliOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  /** Lines a person types. Given, stdin and stderr are terminals. */
  readonly answers?: readonly string[]
  readonly signal?: AbortSignal
  readonly now?: () => number
}

export interface CliResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** In this process. An answer is typed only once a question waits for it. */
export async function runCli(
  words: readonly string[],
  { cwd, env = {}, answers, signal = new AbortController().signal, now }: CliOptions,
): Promise<CliResult> {
  const written = { stdout: '', stderr: '' }
  const stdin = new PassThrough()
  const open = [...(answers ?? [])]
  const terminal = answers !== undefined
  if (!terminal) stdin.end()
  const state = stateFor(cwd)
  const code = await run(words, {
    stdout: {
      write: (text: string) => {
        written.stdout += text
      },
    },
    stderr: {
      // 0 columns: a terminal that can be asked, but shows plain lines.
      isTTY: terminal,
      columns: 0,
      write: (text: string) => {
        written.stderr += text
        if (terminal && text.endsWith('[y/N] ')) stdin.write(`${open.shift() ?? ''}\n`)
      },
    },
    stdin: Object.assign(stdin, { isTTY: terminal }),
    env: { XDG_STATE_HOME: state, HOME: state, ...unicode, ...env },
    cwd,
    platform: process.platform,
    signal,
    ...(now === undefined ? {} : { now }),
    registryUrl: testRegistryUrl,
    retryPauseMs: 0,
  })
  return { code, ...written }
}

/** The home of a test: the record that applies keep lies there, beside the folder that it is run in. */
function stateFor(cwd: string): string {
  return path.join(cwd, '.home')
}

export interface SpawnOptions extends Pick<CliOptions, 'cwd' | 'env'> {
  /** Default: all. */
  readonly denoPermissions?: readonly string[]
  /** Where stdout goes. Default: it is captured. */
  readonly stdoutFile?: string
  /** Given to it, and then stdin ends. Default: there is no stdin. */
  readonly input?: string
  /** Without the terminal that the tests may run in, so that signals of a terminal are not expected. */
  readonly detached?: boolean
}

export interface SpawnedCli {
  readonly child: ChildProcess
  kill(signal: NodeJS.Signals): void
  readonly done: Promise<CliResult & { readonly exitSignal: NodeJS.Signals | null }>
}

/** As a process of its own, on the runtime that runs the tests. */
export function spawnCli(
  words: readonly string[],
  { cwd, env = {}, denoPermissions = ['--allow-all'], stdoutFile, input, detached = false }: SpawnOptions,
): SpawnedCli {
  const child = spawn(process.execPath, [...commandWords(denoPermissions), ...words], {
    cwd,
    // The proxy is nobody: a process of its own cannot be given a registry, and must not find the real one.
    env: {
      PATH: process.env['PATH'],
      HOME: stateFor(cwd),
      XDG_STATE_HOME: stateFor(cwd),
      HTTPS_PROXY: nobody,
      ...unicode,
      ...env,
    },
    stdio: [
      input === undefined ? 'ignore' : 'pipe',
      stdoutFile === undefined ? 'pipe' : openSync(stdoutFile, 'w'),
      'pipe',
    ],
    detached,
  })
  child.stdin?.end(input)
  const written = { stdout: '', stderr: '' }
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    written.stdout += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    written.stderr += text
  })
  const done = new Promise<CliResult & { exitSignal: NodeJS.Signals | null }>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, exitSignal) => resolve({ code: code ?? -1, exitSignal, ...written }))
  })
  // Not child.kill(): after that Deno reports the signal as the child's end, whatever its exit code was.
  const kill = (signal: NodeJS.Signals) => void process.kill(child.pid ?? 0, signal)
  return { child, kill, done }
}
