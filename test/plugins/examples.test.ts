/** The example of each plugin: a config that loads, whose plugins take what it says, and that its README shows. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadConfigFile } from '../../src/config/load.ts'
import { isPlugin, type PluginFactory } from '../../src/plugin.ts'
import { tempFolder } from '../support/run-cli.ts'
import { check } from './hooks.ts'

const folder = fileURLToPath(new URL('../../plugins', import.meta.url))
const names = readdirSync(folder).filter((name) => !name.endsWith('.md'))

function pluginsOf(config: unknown): readonly unknown[] {
  return typeof config === 'object' && config !== null && 'plugins' in config && Array.isArray(config.plugins)
    ? config.plugins
    : []
}

test('there are the four that the list names', () => {
  const list = readFileSync(path.join(folder, 'README.md'), 'utf8')
  assert.deepEqual(names, ['capabilities', 'memory-fit', 'persona', 'smoke-test'])
  for (const name of names) assert.ok(list.includes(`[${name}](${name}/README.md)`), name)
})

for (const name of names) {
  test(`the example of ${name}`, async (t) => {
    const text = readFileSync(path.join(folder, name, 'example.config.ts'), 'utf8')
    assert.ok(
      readFileSync(path.join(folder, name, 'README.md'), 'utf8').includes(`\`\`\`ts\n${text}\`\`\`\n`),
      'README',
    )
    // Outside of the package, where the copy that runs answers to its name.
    const outside = tempFolder(t, { 'ollama.config.ts': text })
    const plugins = pluginsOf(await loadConfigFile(path.join(outside, 'ollama.config.ts')))
    const { default: factory }: { default: PluginFactory } = await import(`../../plugins/${name}/index.ts`)
    assert.equal(factory.spec.name, name)
    assert.equal(plugins.length, 1)
    for (const plugin of plugins) {
      assert.ok(isPlugin(plugin))
      assert.equal(plugin.spec, factory.spec)
      await check(plugin)
    }
  })
}
