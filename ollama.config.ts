import { defineConfig } from 'ollama-config'

// A small embedding model and a small chat model: enough to try the commands of this repository on a real Ollama.
export default defineConfig({
  models: ['all-minilm', { name: 'qwen3:0.6b' }],
})
