#!/usr/bin/env node
/** The program: the only file that touches the real process, its streams and its signals. */
import type { Context, Output } from './context.ts'

// Everything else needs it, the exit codes among it. Only npm looks at "engines", and only warns.
const isTooOld = !('getBuiltinModule' in process)
if (isTooOld) {
  process.stderr.write(`Error: ollama-config needs Node 20.19 or later, and this is ${process.version}\n`)
  process.stderr.write('Next: run it with a newer Node, as from https://nodejs.org\n')
  process.exit(3)
}

// Node 22.8 and later keep compiled code between runs. Neither node:module nor node:process is imported: the module that
// an import makes of them reads every lazy property they have, which costs milliseconds on Node and more on Deno.
if (!('Deno' in globalThis)) {
  // The types are those of our oldest Node, which does not have the function.
  const nodeModule = process.getBuiltinModule('node:module') as { enableCompileCache?: () => unknown }
  nodeModule.enableCompileCache?.()
}

const { exitCodes, exitedEarly, interruption, neverFinished, noWorkingFolder, run, tellBreak } = await import(
  './run.ts'
)

// stdout is for plans, reports and JSON; what a config prints is for whoever watches.
console.log = console.info = console.debug = console.error
const writeOut: typeof process.stdout.write = process.stdout.write.bind(process.stdout)
process.stdout.write = process.stderr.write.bind(process.stderr)

let left = false
/** Only this way: whoever else ends the process is told of. */
function leave(value: number): never {
  left = true
  process.exit(value)
}

const interrupted = new AbortController()
let listener: ((name: NodeJS.Signals) => void) | undefined
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    if (listener !== undefined) return listener(name)
    if (interrupted.signal.aborted) leave(exitCodes.interrupted)
    interrupted.abort(interruption(name))
  })
}
// `ollama-config plan | head` closes the pipe: there is nobody left to tell. Anything else, such as a full disk, lost output.
let outputLost = false
function onOutputError(stream: NodeJS.WriteStream, error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE' || outputLost) return
  outputLost = true
  if (stream === process.stdout) process.stderr.write(`Error: stdout cannot be written: ${error.message}\n`)
}
for (const stream of [process.stdout, process.stderr]) stream.on('error', (error) => onOutputError(stream, error))

const stdout: Output = {
  isTTY: process.stdout.isTTY,
  // Looked up each time: a terminal may become narrower.
  get columns() {
    return process.stdout.columns
  },
  write(text) {
    try {
      writeOut(text)
    } catch (error) {
      // Deno throws what Node tells by an event.
      onOutputError(process.stdout, error instanceof Error ? error : new Error(String(error)))
    }
  },
}

let cwd: string | undefined
const words = process.argv.slice(2)
const context: Context = {
  stdout,
  stderr: process.stderr,
  // Opened when it is looked at, which is in a terminal.
  get stdin() {
    return process.stdin
  },
  env: process.env,
  // Looked up when it is needed: in a folder that was removed there is none, and what needs none works all the same. Once, since a config
  // may change it.
  get cwd() {
    try {
      cwd ??= process.cwd()
      return cwd
    } catch (error) {
      throw noWorkingFolder(error)
    }
  },
  platform: process.platform,
  signal: interrupted.signal,
  takeSignals(taker) {
    listener = taker
    // They would end us, or start a debugger in us, and what we run would hear nothing: nodemon and container runtimes send them.
    const others = process.platform === 'win32' ? [] : (['SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGALRM'] as const)
    for (const name of others) process.on(name, taker)
    return () => {
      for (const name of others) process.off(name, taker)
      listener = undefined
    }
  },
}

// Node ends by itself when nothing is left that could go on, as with a config that awaits what never comes.
process.once('beforeExit', () => leave(tellBreak(neverFinished(), words, context)))
process.on('uncaughtException', (error) => leave(tellBreak(error, words, context)))
process.on('exit', () => {
  if (!left) leave(tellBreak(exitedEarly(), words, context))
})

const code = run(words, context)
// Not awaited at the top level: Node would call a promise that never settles exit code 13 and say nothing.
code.then(async (value) => {
  await Promise.all([written(process.stdout, writeOut), written(process.stderr)])
  // A file tells of its full disk only after this turn of the event loop.
  await new Promise((resolve) => setImmediate(resolve))
  // A timer or a connection that the config left open must not keep the program.
  leave(outputLost && value === exitCodes.done ? exitCodes.failed : value)
})

/** Resolves when what was written has left, or cannot leave any more. */
function written(stream: NodeJS.WriteStream, write = stream.write.bind(stream)): Promise<void> {
  return new Promise((resolve) => {
    if (stream.writableLength === 0 || outputLost) return resolve()
    stream.once('error', () => resolve()).once('close', () => resolve())
    write('', () => resolve())
  })
}
