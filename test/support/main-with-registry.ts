/** The program, but for one thing: every registry that it asks is the one in `TEST_REGISTRY`. */
import { run } from '../../src/cli/run.ts'

const registryUrl = process.env['TEST_REGISTRY'] ?? 'http://127.0.0.1:9'

console.log = console.info = console.debug = console.error

process.exitCode = await run(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  env: process.env,
  cwd: process.cwd(),
  platform: process.platform,
  signal: new AbortController().signal,
  registryUrl: () => registryUrl,
  retryPauseMs: 0,
})
