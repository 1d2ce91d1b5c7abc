import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stateFolder } from '../../src/record/state-folder.ts'

test('stateFolder() goes by the XDG specification, else by the platform', () => {
  assert.equal(stateFolder({}, 'linux', '/home/x'), '/home/x/.local/state/ollama-config')
  assert.equal(stateFolder({ XDG_STATE_HOME: '/state' }, 'linux', '/home/x'), '/state/ollama-config')
  assert.equal(stateFolder({}, 'darwin', '/Users/x'), '/Users/x/Library/Application Support/ollama-config')
  assert.equal(stateFolder({ XDG_STATE_HOME: '/state' }, 'darwin', '/Users/x'), '/state/ollama-config')
  const local = 'C:\\Users\\x\\AppData\\Local'
  assert.equal(stateFolder({ LOCALAPPDATA: local }, 'win32', 'C:\\Users\\x'), `${local}\\ollama-config`)
  assert.equal(stateFolder({}, 'win32', 'C:\\Users\\x'), 'C:\\Users\\x\\.local\\state\\ollama-config')
})

test('stateFolder() ignores a relative path, as the XDG specification says, and what another platform uses', () => {
  for (const relative of ['', 'state', './state', '~/state']) {
    assert.equal(stateFolder({ XDG_STATE_HOME: relative }, 'linux', '/home/x'), '/home/x/.local/state/ollama-config')
  }
  assert.equal(stateFolder({ LOCALAPPDATA: '/local' }, 'linux', '/home/x'), '/home/x/.local/state/ollama-config')
  assert.equal(stateFolder({ LOCALAPPDATA: 'local' }, 'win32', 'C:\\x'), 'C:\\x\\.local\\state\\ollama-config')
})
