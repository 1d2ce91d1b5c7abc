import { defineConfig } from 'ollama-config'
import capabilities from 'ollama-config/plugins/capabilities'

export default defineConfig({
  models: ['qwen3:8b', 'all-minilm'],
  plugins: [
    capabilities([
      { models: ['qwen3:8b'], require: ['tools', 'thinking'] },
      { models: ['all-minilm'], require: ['embedding'] },
    ]),
  ],
})
