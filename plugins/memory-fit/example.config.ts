import { defineConfig } from 'ollama-config'
import memoryFit from 'ollama-config/plugins/memory-fit'

export default defineConfig({
  models: ['qwen3:8b', { name: 'long-qwen', from: 'qwen3:8b', parameters: { num_ctx: 40960 } }],
  plugins: [memoryFit({ memory: '8 GB', severity: 'error' })],
})
