/** Runs the CLI in this process with captured streams, or as a process of its own with a scrubbed environment. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, openSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { PassThrough } from 'node:stream'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { run } from '../../src/cli/run.ts'
import { type OllamaServer, type OllamaServerOptions, startOllamaServer } from './ollama-server.ts'

const mainFile = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

/** A folder of its own for one test, removed afterwards. `files` maps names to contents; objects become JSON. */
export function tempFolder(t: TestContext, files: Readonly<Record<string, string | object>> = {}): string {
  const folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'ollama-config-test-')))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(path.join(folder, name), typeof content === 'string' ? content : JSON.stringify(content))
  }
  return folder
}

/** A server for one test, closed afterwards. */
export async function startServer(t: TestContext, options: OllamaServerOptions): Promise<OllamaServer> {
  const server = await startOllamaServer(options)
  t.after(() => server.close())
  return server
}

export interface CliOptions {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  /** Lines a person types. Given, stdin and stderr are terminals. */
  readonly answers?: readonly string[]
  readonly signal?: AbortSignal
}

export interface CliResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** In this process. An answer is typed only once a question waits for it. */
export async function runCli(
  words: readonly string[],
  { cwd, env = {}, answers, signal = new AbortController().signal }: CliOptions,
): Promise<CliResult> {
  const written = { stdout: '', stderr: '' }
  const stdin = new PassThrough()
  const open = [...(answers ?? [])]
  const terminal = answers !== undefined
  if (!terminal) stdin.end()
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
    env,
    cwd,
    platform: process.platform,
    signal,
  })
  return { code, ...written }
}

export interface SpawnOptions extends Pick<CliOptions, 'cwd' | 'env'> {
  /** Default: all. */
  readonly denoPermissions?: readonly string[]
  /** Where stdout goes. Default: it is captured. */
  readonly stdoutFile?: string
}

export interface SpawnedCli {
  readonly child: ChildProcess
  kill(signal: NodeJS.Signals): void
  readonly done: Promise<CliResult & { readonly exitSignal: NodeJS.Signals | null }>
}

/** As a process of its own, from source, on the runtime that runs the tests. */
export function spawnCli(
  words: readonly string[],
  { cwd, env = {}, denoPermissions = ['--allow-all'], stdoutFile }: SpawnOptions,
): SpawnedCli {
  const runtime = runtimeArguments(denoPermissions)
  const child = spawn(process.execPath, [...runtime, mainFile, ...words], {
    cwd,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
    stdio: ['ignore', stdoutFile === undefined ? 'pipe' : openSync(stdoutFile, 'w'), 'pipe'],
  })
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

function runtimeArguments(denoPermissions: readonly string[]): readonly string[] {
  if ('Deno' in globalThis) return ['run', ...denoPermissions, '--no-prompt', '--no-check']
  return 'Bun' in globalThis ? [] : ['--import', import.meta.resolve('tsx')]
}
