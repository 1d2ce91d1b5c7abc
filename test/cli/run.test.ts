/** What `run` makes of errors that are nobody's fault in particular. */
import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { exitCodes, run } from '../../src/cli/run.ts'

test('what Deno did not permit is told with the permission that is lacking', async () => {
  const cases: readonly (readonly [message: string, hint: RegExp])[] = [
    [
      'Requires write access to "/m", run again with the --allow-write flag',
      /Next: run with --allow-write too: apply,.*store/,
    ],
    [
      'Requires net access to "h:1", run again with the --allow-net flag',
      /Next: run with --allow-net --allow-read .*apply/,
    ],
  ]
  for (const [message, hint] of cases) {
    const told: string[] = []
    const write = () => {
      throw Object.assign(new Error(message), { name: 'NotCapable' })
    }
    const code = await run(['help'], {
      stdout: { write },
      stderr: { write: (text: string) => void told.push(text) },
      stdin: new PassThrough(),
      env: {},
      cwd: '/',
      platform: 'linux',
      signal: new AbortController().signal,
    })
    assert.equal(code, exitCodes.usage)
    assert.match(told.join(''), hint)
  }
})

test('that the environment may not be read on Deno is told without a look at it', async () => {
  const told: string[] = []
  const refuse = (_: object, name: string | symbol) => {
    const message = `Requires env access to "${String(name)}", run again with the --allow-env flag`
    throw Object.assign(new Error(message), { name: 'NotCapable' })
  }
  const code = await run(['plan'], {
    stdout: { write: () => {} },
    stderr: { write: (text: string) => void told.push(text) },
    stdin: new PassThrough(),
    env: new Proxy({}, { get: refuse, getOwnPropertyDescriptor: refuse }),
    cwd: '/',
    platform: 'linux',
    signal: new AbortController().signal,
  })
  assert.equal(code, exitCodes.usage)
  assert.match(told.join(''), /^Error: Requires env access to .*\nNext: run with .*--allow-env/)
})
