/** Compiled by `npm run types`, never run: what the configs of our plugins may and may not say. */
import capabilities from '../../plugins/capabilities/index.ts'
import memoryFit from '../../plugins/memory-fit/index.ts'
import persona from '../../plugins/persona/index.ts'
import smokeTest from '../../plugins/smoke-test/index.ts'
import { defineConfig } from '../../src/index.ts'

const models: readonly string[] = ['qwen3:8b']

defineConfig({
  models,
  plugins: [
    memoryFit(),
    capabilities({ models, require: ['tools'] }),
    persona({ name: 'a', from: 'b', role: 'a poet' }),
    smokeTest({ models, prompt: 'Say ok', expect: /ok/i, options: { num_predict: 5 } }),
  ],
})

// @ts-expect-error there is no such capability
capabilities({ models, require: ['tool'] })
// @ts-expect-error a persona has a name
persona({ from: 'b', role: 'a poet' })
// @ts-expect-error there is no such key
memoryFit({ num_ctx: 1 })
// @ts-expect-error it needs a config
smokeTest()
