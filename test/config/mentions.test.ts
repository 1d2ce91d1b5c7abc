import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mentionsIn } from '../../src/config/mentions.ts'

test('mentionsIn() finds the models of a list, as names and as objects, and no other text', () => {
  const text = `import { defineConfig } from 'ollama-config'
    // models: ['comment']
    /* models: ['block'] */
    export default defineConfig(({ env }) => ({
      models: [
        'all-minilm', // 'it''s'
        "qwen3:8b",
        \`plain\`,
        \`computed-\${env.X}\`,
        ...(env.BIG ? ['qwen3:14b'] : []),
        { name: 'reviewer', from: 'base', parameters: { stop: ['END'] }, messages: [{ role: 'user', name: 'x' }] },
        name('call'),
        'a' + 'b',
      ],
      keep: ['llava'],
      plugins: [smokeTest({ prompt: 'Say ok', expect: /it's/i })],
    }))`
  assert.deepEqual(mentionsIn(text), {
    models: ['all-minilm', 'qwen3:8b', 'plain', 'qwen3:14b', 'reviewer'],
    hasHost: false,
  })
})

test('mentionsIn() reads JSON, and sees a host', () => {
  const text = JSON.stringify({ host: 'gpu-box', models: ['a', { name: 'b', from: 'a' }], keep: ['c'] })
  assert.deepEqual(mentionsIn(text), { models: ['a', 'b'], hasHost: true })
})

test('mentionsIn() takes any text, and a large one in no time', () => {
  for (const text of [
    '',
    '[',
    ']]]',
    "models: ['",
    `"${'\\"'.repeat(300_000)}`,
    `'${"\\'".repeat(300_000)}`,
    `\`${'\\`'.repeat(300_000)}`,
    'models: [`',
    '/*'.repeat(100_000),
    '`'.repeat(100_001),
    '{['.repeat(9999),
  ])
    assert.deepEqual(mentionsIn(text), { models: [], hasHost: false })
})
