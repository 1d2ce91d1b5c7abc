import { defineConfig } from 'ollama-config'
import capabilities from 'ollama-config/plugins/capabilities'
import memoryFit from 'ollama-config/plugins/memory-fit'

// A small embedding model and a small chat model: enough to try the commands of this repository on a real Ollama.
export default defineConfig({
  models: ['all-minilm', { name: 'qwen3:0.6b' }],
  plugins: [
    capabilities([
      { models: ['all-minilm'], require: ['embedding'] },
      { models: ['qwen3:0.6b'], require: ['tools', 'thinking'] },
    ]),
    memoryFit(),
  ],
})
