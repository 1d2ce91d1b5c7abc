/** Which place options lead to, and that it is one place whatever path it is named by. */
import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import type { ConnectOptions } from '../../src/runner/connection.ts'
import { hostFacts } from '../../src/runner/host-facts.ts'
import { addressOf, isLocal, readOwner, realFolder, recordPlace, selectPlace } from '../../src/runner/place.ts'
import { tempFolder } from '../support/run-cli.ts'

const env = { HOME: path.resolve('/home/u') }
const inHome = (...parts: string[]) => path.join(env.HOME, ...parts)

test('a store is taken where one is asked for, whatever the config and OLLAMA_HOST say', () => {
  const models = path.resolve('/srv/models')
  const cases: [ConnectOptions, folder: string][] = [
    [{ store: true }, inHome('.ollama', 'models')],
    [{ store: true, env: { ...env, OLLAMA_MODELS: models } }, models],
    [{ store: true, env: { OLLAMA_MODELS: models } }, models],
    [{ store: models }, models],
    [{ store: 'models' }, path.resolve('models')],
    [{ store: '../models/' }, path.resolve('../models')],
    [{ store: '~/models' }, inHome('models')],
    [{ store: '~' }, inHome()],
    // Another user's home, which only a shell can tell: a folder of this name.
    [{ store: '~other/models' }, path.resolve('~other/models')],
    [{ store: models, host: ' ' }, models],
  ]
  for (const [options, folder] of cases) {
    const { place, source } = selectPlace({ env: { ...env, OLLAMA_HOST: 'gpu-box' }, ...options }, 'other-box')
    assert.deepEqual([place, source], [{ kind: 'store', folder }, 'flag'], JSON.stringify(options))
    assert.deepEqual([addressOf(place), isLocal(place)], [folder, true])
  }
})

test('without one it is the server that flag, config and environment name', () => {
  const of = (options: ConnectOptions, configHost?: string) => {
    const { place, source } = selectPlace(options, configHost)
    return [addressOf(place), source, isLocal(place)]
  }
  assert.deepEqual(of({ env, host: 'a' }, 'b'), ['http://a:11434', 'flag', false])
  assert.deepEqual(of({ env: { OLLAMA_HOST: 'c' } }, 'b'), ['http://b:11434', 'config', false])
  assert.deepEqual(of({ env }), ['http://127.0.0.1:11434', 'default', true])
})

test('options that do not go together, or mean nothing, are refused', () => {
  const cases: [ConnectOptions, message: RegExp][] = [
    [{ store: true, host: 'a' }, /--host and --store were both given/],
    [{ owner: '1:1' }, /--owner is for a store/],
    [{ connections: 2 }, /--connections is for a store/],
    [{ store: '' }, /--store= names no folder/],
    [{ store: ' ' }, /--store= names no folder/],
    [{ store: true, connections: 0 }, /--connections 0 is not a number from 1 to 64/],
    [{ store: true, connections: 65 }, /not a number from 1 to 64/],
    [{ store: true, connections: 1.5 }, /not a number from 1 to 64/],
    [{ store: true, owner: 'ollama:ollama' }, /--owner "ollama:ollama" is not UID:GID in numbers/],
    [{ store: true, env: {} }, /there is no home folder/],
    [{ store: '~/models', env: {} }, /there is no home folder/],
  ]
  for (const [options, message] of cases)
    assert.throws(
      () => selectPlace({ env, ...options }, undefined),
      { code: 'usage', message },
      JSON.stringify(options),
    )
})

test('an owner is two numbers', () => {
  assert.deepEqual(readOwner('998:0'), { uid: 998, gid: 0 })
  assert.equal(readOwner(undefined), undefined)
  for (const text of ['998', '998:', ':998', '-1:0', '1:2:3', '4294967295:0', '0x1:0', '1.5:0'])
    assert.throws(() => readOwner(text), { code: 'usage' }, text)
})

test('a record belongs to the folder, by whatever path it is reached', (t) => {
  const folder = tempFolder(t)
  mkdirSync(path.join(folder, 'real'))
  symlinkSync(path.join(folder, 'real'), path.join(folder, 'link'), 'junction')
  const keyOf = (...parts: string[]) =>
    recordPlace({ kind: 'store', folder: path.join(folder, ...parts) }, { env })?.host
  assert.equal(keyOf('link'), path.join(folder, 'real'))
  assert.equal(keyOf('real'), path.join(folder, 'real'))
  // Before it is there: the same key as afterwards.
  const before = keyOf('link', 'a', 'b')
  mkdirSync(path.join(folder, 'real', 'a', 'b'), { recursive: true })
  assert.deepEqual([before, keyOf('link', 'a', 'b')], [path.join(folder, 'real', 'a', 'b'), before])
  assert.equal(realFolder(path.parse(folder).root), path.parse(folder).root)
})

test('plugins are told of a store as of a place on this machine without a server', () => {
  const { memoryBytes, ...facts } = hostFacts({ kind: 'store', folder: '/srv/models' }, null)
  assert.deepEqual(facts, { address: '/srv/models', loopback: true, serverVersion: null })
  assert.ok(memoryBytes !== null && memoryBytes > 1e6)
})
