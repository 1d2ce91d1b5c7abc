import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explain } from '../../src/cli/explain.ts'
import { errorCodes } from '../../src/errors.ts'
import { runCli, startServer, tempFolder } from '../support/run-cli.ts'

test('explain() tells of every error code, in lines that fit', async () => {
  for (const code of errorCodes) {
    const lines = (await explain(code, 60)).trimEnd().split('\n')
    assert.equal(lines[0], code)
    assert.ok(lines.length > 3, code)
    assert.ok(
      lines.slice(0, -2).every((line) => line.length <= 60),
      code,
    )
    assert.doesNotMatch(lines.slice(1, -2).join('\n'), /^#|\]\(/m)
    assert.match(lines.at(-1) ?? '', /^All errors: .*errors\.md$/)
  }
})

test('an error names the command that tells more of it, and JSON does not', async (t) => {
  const cwd = tempFolder(t)
  const { stderr } = await runCli(['plan'], { cwd })
  assert.match(stderr, /\nMore: ollama-config help config-not-found\n$/)
  const { code, stdout } = await runCli(['help', 'config-not-found'], { cwd })
  assert.equal(code, 0)
  assert.match(stdout, /^config-not-found\n\nThere is no `ollama\.config/)
  assert.doesNotMatch((await runCli(['plan', '--json'], { cwd })).stderr, /More:/)
  assert.doesNotMatch((await runCli(['plan', '--what'], { cwd })).stderr, /More:/, 'says all there is')
  for (const npm_command of ['exec', 'run', 'test'])
    assert.match((await runCli(['plan'], { cwd, env: { npm_command } })).stderr, /More: npx ollama-config help/)
  const mistaken = await runCli(['plan', '--nothing'], { cwd, env: { npm_command: 'exec' } })
  assert.match(mistaken.stderr, /Next: see "npx ollama-config plan --help"\n/)
  const env = { npm_command: 'exec' }
  assert.match(
    (await runCli(['--help'], { cwd, env })).stdout,
    /Usage: npx ollama-config COMMAND[\s\S]* npx ollama-config help CODE/,
  )
  const help = (await runCli(['setup', '--help'], { cwd, env })).stdout
  assert.match(
    help,
    /Usage: npx ollama-config setup \[FLAGS\][\s\S]*\n {2}npx ollama-config setup --run && npx ollama-config apply --yes\n/,
  )
  // What is completed is a command on PATH.
  assert.match((await runCli(['completion', '--help'], { cwd, env })).stdout, /"\$\(ollama-config completion bash\)"/)
})

test('so does the report of an apply in which something failed', async (t) => {
  const server = await startServer(t, { models: [] })
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['nowhere', 'nor-this'] } })
  const { code, stdout } = await runCli(['apply', '--yes'], { cwd, env: { OLLAMA_HOST: server.url } })
  assert.equal(code, 1)
  assert.match(stdout, /Failed: [^\n]*\nMore: ollama-config help model-not-found\n$/)
})

test('help knows what was meant, of commands and errors', async (t) => {
  const { code, stderr } = await runCli(['help', 'lock-frosen'], { cwd: tempFolder(t) })
  assert.equal(code, 3)
  assert.match(stderr, /no command or error "lock-frosen"[\s\S]*did you mean "lock-frozen"\?/)
})

test('help errors lists the codes, and is named where there is no such code', async (t) => {
  const cwd = tempFolder(t)
  const { code, stdout } = await runCli(['help', 'errors'], { cwd })
  assert.equal(code, 0)
  for (const known of errorCodes) assert.ok(stdout.includes(`\n  ${known}\n`), known)
  assert.match(stdout, /\nMore of one: ollama-config help CODE\n/)
  assert.match((await runCli(['help', 'E1234'], { cwd })).stderr, /Next: see .*"ollama-config help errors"\n/)
  assert.match((await runCli(['--help'], { cwd })).stdout, /ollama-config help errors/)
})
