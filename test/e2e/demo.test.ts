/** The demo: what a newcomer sees first. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { test } from 'node:test'
import { runCli, tempFolder } from '../support/run-cli.ts'

test('the demo plans, applies, changes and comes to rest, and leaves nothing behind', async (t) => {
  const before = new Set(demoFolders())
  const { code, stdout, stderr } = await runCli(['demo'], { cwd: tempFolder(t), env: { OLLAMA_HOST: '127.0.0.1:9' } })
  assert.equal(code, 0, stderr)
  const said = (text: string) => {
    const at = stdout.indexOf(text)
    assert.ok(at >= 0, `${text} is not in\n${stdout}`)
    return at
  }
  // In this order.
  const steps = [
    '+ acorn:latest   40 MB',
    'Done: 2 pulled',
    "{ name: 'reviewer', from: 'sprout'",
    'To build:\n  + reviewer:latest  from sprout:latest',
    '- acorn:latest     frees 40 MB',
    'Done: 1 built, 1 deleted',
    'No changes. The 2 declared models are installed.',
    'ollama-config plan --store    for its model directory',
  ].map(said)
  assert.deepEqual(
    steps,
    steps.toSorted((a, b) => a - b),
  )
  assert.deepEqual(
    demoFolders().filter((name) => !before.has(name)),
    [],
  )
})

function demoFolders(): readonly string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith('ollama-config-demo-'))
}
