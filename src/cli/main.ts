#!/usr/bin/env node
/** The program: the only file that touches the real process, its streams and its signals. */
// Node 22.8 and later keep compiled code between runs. Neither node:module nor node:process is imported: the module that
// an import makes of them reads every lazy property they have, which costs milliseconds on Node and more on Deno.
if (!('Deno' in globalThis)) {
  // The types are those of our oldest Node, which does not have the function.
  const nodeModule = process.getBuiltinModule('node:module') as { enableCompileCache?: () => unknown }
  nodeModule.enableCompileCache?.()
}

const { exitCodes, interruption, run } = await import('./run.ts')

// stdout is for plans, reports and JSON; what a config prints is for whoever watches.
console.log = console.info = console.debug = console.error

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
