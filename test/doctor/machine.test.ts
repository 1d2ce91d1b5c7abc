/** Facts of the machine: its GPUs, and where a server keeps its models. */
import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { findGpus } from '../../src/doctor/gpu.ts'
import { type FolderOptions, lookAtFolder } from '../../src/doctor/model-folder.ts'
import type { ServerEnvironment } from '../../src/doctor/server-environment.ts'
import { posixOnly, standInPrograms } from '../support/programs.ts'
import { tempFolder } from '../support/run-cli.ts'

function writeTree(root: string, files: Readonly<Record<string, string>>): string {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true })
    writeFileSync(path.join(root, file), text)
  }
  return root
}

const linux = { env: {}, platform: 'linux', arch: 'x64' }

test('cards are told by their driver, else by their vendor', posixOnly, async (t) => {
  const amd = {
    'sys/class/drm/card0/device/vendor': '0x1002\n',
    'sys/class/drm/card0/device/mem_info_vram_total': '17163091968\n',
  }
  const nvidia = { 'sys/class/drm/card1/device/vendor': '0x10de\n', 'sys/class/drm/card1-DP-1/status': 'connected' }
  const virtual = { 'sys/class/drm/card2/device/vendor': '0x1af4\n' }
  const root = writeTree(tempFolder(t), { ...amd, ...nvidia, ...virtual })
  assert.deepEqual(await findGpus({ ...linux, root }), [
    { vendor: 'amd', name: 'AMD GPU', memoryBytes: 17163091968, driver: null },
    { vendor: 'nvidia', name: 'NVIDIA GPU', memoryBytes: null, driver: false },
  ])
  writeTree(root, {
    'proc/driver/nvidia/gpus/0000:01:00.0/information': 'Model: \t\t NVIDIA \x1b[31mGeForce RTX 4090\nIRQ: 1\n',
  })
  const [first] = (await findGpus({ ...linux, root })) ?? []
  assert.deepEqual(first, { vendor: 'nvidia', name: 'NVIDIA GeForce RTX 4090', memoryBytes: null, driver: true })
  assert.deepEqual(await findGpus({ ...linux, root: tempFolder(t) }), [])
  assert.deepEqual(await findGpus({ ...linux, platform: 'win32', root: tempFolder(t) }), null)
  const [apple] = (await findGpus({ env: {}, platform: 'darwin', arch: 'arm64' })) ?? []
  assert.equal(apple?.vendor, 'apple')
})

test('nvidia-smi knows their memory; one that fails or hangs tells nothing', posixOnly, async (t) => {
  const programs = standInPrograms(tempFolder(t))
  const options = { ...linux, env: { PATH: programs.path }, root: tempFolder(t) }
  programs.add('nvidia-smi', 'echo "NVIDIA A100, PCIe, 40960"; echo "NVIDIA T4, 15360"')
  const found = (await findGpus(options)) ?? []
  assert.deepEqual(
    found.map(({ name, memoryBytes }) => [name, memoryBytes]),
    [
      ['NVIDIA A100, PCIe', 40960 * 2 ** 20],
      ['NVIDIA T4', 15360 * 2 ** 20],
    ],
  )
  for (const script of ['echo "NVIDIA-SMI has failed"; exit 9', 'sleep 600']) {
    programs.add('nvidia-smi', script)
    assert.deepEqual(await findGpus(options), [])
  }
})

const unknown: ServerEnvironment = {
  values: {},
  source: 'unknown',
  complete: false,
  manager: null,
  own: null,
  reason: '',
}

/** A home with models, and options that know nothing of the server. */
function homeWithModels(t: TestContext): { home: string; options: FolderOptions } {
  const home = tempFolder(t)
  mkdirSync(path.join(home, '.ollama/models/manifests/registry.ollama.ai'), { recursive: true })
  const options = { env: {}, platform: 'linux', home, named: null, environment: unknown, holds: async () => true }
  return { home, options }
}

test('a path that the server names is where models lie, if this folder here has them', posixOnly, async (t) => {
  const { home, options } = homeWithModels(t)
  const mine = path.join(home, '.ollama/models')
  const other = path.join(tempFolder(t), 'models')
  mkdirSync(other)
  const folder = await lookAtFolder({ ...options, named: other })
  assert.deepEqual([folder.folder, folder.source, folder.here, folder.mineHasModels], [other, 'model', true, true])
  assert.equal(folder.own, true)
  assert.ok(folder.freeBytes !== null && folder.freeBytes > 0)
  const elsewhere = await lookAtFolder({ ...options, named: other, holds: async () => false })
  assert.deepEqual([elsewhere.here, elsewhere.owner, elsewhere.freeBytes], [false, null, null])
  // One folder by two paths is one.
  const link = path.join(tempFolder(t), 'link')
  symlinkSync(mine, link)
  assert.equal((await lookAtFolder({ ...options, named: link })).mineHasModels, false)
})

test('without a model its environment may tell; else nobody knows', posixOnly, async (t) => {
  const { home, options } = homeWithModels(t)
  const from = (values: ServerEnvironment['values'], complete: boolean) =>
    lookAtFolder({ ...options, environment: { ...unknown, values, complete } })
  const of = async (values: ServerEnvironment['values'], complete = true) => (await from(values, complete)).folder
  assert.equal(await of({ OLLAMA_MODELS: home }), home)
  assert.equal(await of({ HOME: home }), path.join(home, '.ollama/models'))
  // It may be set where nobody looked.
  assert.equal(await of({ HOME: home }, false), null)
  assert.equal(await of({}), null)
  const nothing = await lookAtFolder(options)
  assert.deepEqual(
    [nothing.folder, nothing.source, nothing.freeBytes, nothing.mineHasModels],
    [null, 'unknown', null, false],
  )
})
