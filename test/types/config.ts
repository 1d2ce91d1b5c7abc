/** Compiled by `npm run types`, never run: what a config may and may not say. */
import { type Config, defineConfig, type OllamaConfigError } from '../../src/index.ts'

const whole = defineConfig({
  models: ['all-minilm', { name: 'registry.corp:5000/team/base:1', insecure: true }],
  host: 'gpu-box',
  headers: { Authorization: { env: 'OLLAMA_AUTHORIZATION' }, 'X-Team': 'blue' },
  prune: 'undeclared',
  keep: ['llava'],
})
export const asConfig: Config = whole

defineConfig(async ({ env, host, cwd }) => ({ models: env['CI'] === undefined ? [host, cwd] : [] }))

// @ts-expect-error models is needed
defineConfig({})
// @ts-expect-error a model has a name
defineConfig({ models: [{ nam: 'x' }] })
// @ts-expect-error insecure is true or false
defineConfig({ models: [{ name: 'x', insecure: 'yes' }] })
// @ts-expect-error prune is no boolean but false
defineConfig({ models: [], prune: true })
// @ts-expect-error there is no such key
defineConfig({ models: [], kep: ['llava'] })
// @ts-expect-error nor in a model
defineConfig({ models: [{ name: 'x', insecur: true }] })
defineConfig({
  models: [
    {
      name: 'x',
      from: 'y',
      system: 'S',
      parameters: { num_ctx: 8192, stop: ['END'] },
      messages: [{ role: 'user', content: 'Hi' }],
    },
    {
      name: 'z',
      gguf: ['a.gguf', 'b.gguf'],
      quantize: 'Q4_K_M',
      allowUnknownParameters: true,
      parameters: { seed: 1, ...{ brand_new: 1 } },
    },
  ],
  defaults: { parameters: { temperature: 0.2 } },
})
// @ts-expect-error no parameter has this name
defineConfig({ models: [{ name: 'x', from: 'y', parameters: { num_ctxx: 1 } }] })
// @ts-expect-error nor is this one a text
defineConfig({ models: [{ name: 'x', from: 'y', parameters: { num_ctx: '8k' } }] })
// @ts-expect-error these are the only quantizations
defineConfig({ models: [{ name: 'x', from: 'y', quantize: 'Q5' }] })
// @ts-expect-error a number is no pattern
defineConfig({ models: [], keep: [1] })

export const code = (error: OllamaConfigError): boolean => {
  // @ts-expect-error no such code
  return error.code === 'no-such-code'
}
