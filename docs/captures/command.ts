/** The command as `src/cli/main.ts` runs it, but with the registry of the capture. `tsx docs/captures/command.ts WORDS`. */
import { run } from '../../src/cli/run.ts'

const { stdout, stderr, stdin, env, platform } = process
const registryUrl = env['CAPTURE_REGISTRY'] ?? ''
process.exitCode = await run(process.argv.slice(2), {
  stdout,
  stderr,
  stdin,
  env,
  platform,
  cwd: process.cwd(),
  signal: new AbortController().signal,
  registryUrl: () => registryUrl,
})
