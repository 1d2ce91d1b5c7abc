/** The main job on the runtime that runs this file, for one whose test runner lacks parts of node:test. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { doMainJob } from './support/main-job.ts'
import { spawnCli } from './support/run-cli.ts'

const cwd = mkdtempSync(path.join(tmpdir(), 'ollama-config-smoke-'))
try {
  await doMainJob((words, env) => spawnCli(words, { cwd, env }).done, cwd)
} finally {
  rmSync(cwd, { recursive: true, force: true })
}
