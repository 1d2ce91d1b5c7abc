import { defineConfig } from 'ollama-config'
import smokeTest from 'ollama-config/plugins/smoke-test'

export default defineConfig({
  models: ['qwen3:8b', 'all-minilm'],
  plugins: [
    smokeTest([
      { models: ['qwen3:8b'], prompt: 'Say ok', expect: /\bok\b/i, think: false },
      { models: ['qwen3:8b'], prompt: 'Answer with {"ok": true}', json: true, options: { num_predict: 500 } },
      { models: ['all-minilm'], input: 'hello', dimensions: 384 },
    ]),
  ],
})
