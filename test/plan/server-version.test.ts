/** From which version on a server does what; what it cannot tell counts as new. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildsOtherwise, rewritesManifests } from '../../src/plan/server-version.ts'

test('what a server does follows from its version', () => {
  const cases: [version: string | null, rewrites: boolean, otherwise: boolean][] = [
    ['0.1.0', true, true],
    ['0.18.9', true, true],
    ['v0.18.0-rc1', true, true],
    ['0.19.0', false, true],
    ['0.31.99', false, true],
    ['0.32.6', false, true],
    ['0.32.7', false, false],
    ['0.32.10', false, false],
    ['0.33.0', false, false],
    ['1.2.3', false, false],
    ['10.1.1', false, false],
    // A development build.
    ['0.0.0', false, false],
    ['', false, false],
    ['main', false, false],
    [null, false, false],
  ]
  for (const [version, rewrites, otherwise] of cases)
    assert.deepEqual([rewritesManifests(version), buildsOtherwise(version)], [rewrites, otherwise], String(version))
})
