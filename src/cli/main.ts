#!/usr/bin/env node
/** The program: the only file that touches the real process, its streams and its signals. */
import module from 'node:module'
import process from 'node:process'

// Node 22.8 and later keep compiled code between runs; @types/node of our oldest Node does not know the function.
const { enableCompileCache } = module as { enableCompileCache?: () => unknown }
enableCompileCache?.()

const { exitCodes, interruption, run } = await import('./run.ts')

const interrupted = new AbortController()
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    if (interrupted.signal.aborted) process.exit(exitCodes.interrupted)
    interrupted.abort(interruption(name))
  })
}
// `ollama-config plan | head` closes the pipe: there is nobody left to tell.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
}

process.exitCode = await run(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  env: process.env,
  cwd: process.cwd(),
  platform: process.platform,
  signal: interrupted.signal,
})
