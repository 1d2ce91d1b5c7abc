/** The config of somebody who has none yet: it loads as it is, and shows what else there is. */

export const starter = `import { defineConfig } from 'ollama-config'

export default defineConfig({
  models: [
    'all-minilm', // 45 MB; a name without a tag means :latest
    // 'qwen3:8b',
    // { name: 'reviewer', from: 'qwen3:8b', system: 'You review diffs.', parameters: { num_ctx: 16384 } },
    // { name: 'embed', aliasOf: 'all-minilm' },
  ],
  // Never deleted, whatever else is installed and not in "models":
  // keep: ['llava', 'user/*'],
  // Which models "apply --prune" may delete: 'undeclared', 'managed' (what this config brought in), or false.
  // prune: 'managed',
})
`
