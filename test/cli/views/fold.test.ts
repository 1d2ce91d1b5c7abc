import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fold } from '../../../src/cli/views/text.ts'

test('fold() breaks at spaces, indents what follows, keeps columns that are wide apart, and lets long words be', () => {
  assert.equal(
    fold('  + name:latest   from another model of the config', 30),
    '  + name:latest   from another\n      model of the config',
  )
  assert.equal(fold('fits', 30), 'fits')
  assert.equal(fold('one two', undefined), 'one two')
  assert.equal(fold('a\n\nb c d', 3), 'a\n\nb c\n d')
  const long = 'x'.repeat(50)
  assert.equal(fold(`  + ${long} from y`, 30), `  +\n      ${long}\n      from y`)
})

test('colour codes take no room', () => {
  const text = '\x1b[32m+\x1b[39m \x1b[2mone two three\x1b[22m'
  assert.equal(fold(text, 15), text)
  assert.equal(fold(text, 12), '\x1b[32m+\x1b[39m \x1b[2mone two\n    three\x1b[22m')
})
