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
// @ts-expect-error a number is no pattern
defineConfig({ models: [], keep: [1] })

export const code = (error: OllamaConfigError): boolean => {
  // @ts-expect-error no such code
  return error.code === 'no-such-code'
}
