/**
 * What the compiler makes of plugins and of the configs that use them: test/fixtures/types is compiled, and each line after a
 * `// wrong:` has to fail with that text, and no other line. (`test/types` holds what only has to compile or fail.)
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = path.join(root, 'test/fixtures/types')

interface CompileError {
  /** `valibot.ts:37`. */
  readonly place: string
  /** All of its lines. */
  readonly text: string
}

function compile(): Promise<readonly CompileError[]> {
  // Not the entry of node_modules/.bin: that is another thing on every system.
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc')
  const node = 'Deno' in globalThis || 'Bun' in globalThis ? 'node' : process.execPath
  return new Promise((resolve, reject) => {
    execFile(node, [tsc, '-p', folder, '--pretty', 'false'], { cwd: folder }, (error, stdout, stderr) => {
      if (error !== null && stdout === '') reject(new Error(`tsc did not run: ${error.message}${stderr}`))
      else resolve(readErrors(stdout))
    })
  })
}

function readErrors(output: string): readonly CompileError[] {
  return output
    .split(/^(?=\S)/m)
    .filter((block) => block.trim() !== '')
    .map((block) => {
      const [, file = '?', line = '?', text = block] = /^(.+?)\((\d+),\d+\): error TS\d+: (.*)$/s.exec(block) ?? []
      return { place: `${path.basename(file)}:${line}`, text }
    })
}

test('a wrong plugin, or a wrong config for one, fails to compile with a message that says what is wrong', async () => {
  const expected = readdirSync(folder)
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => {
      const lines = readFileSync(path.join(folder, file), 'utf8').split('\n')
      return lines.flatMap((line, index) => {
        const text = /\/\/ wrong: (.*)$/.exec(line)?.[1]
        return text === undefined ? [] : [{ place: `${file}:${index + 2}`, text }]
      })
    })
  assert.ok(expected.length > 10)
  const found = await compile()
  assert.deepEqual(
    found.map(({ place }) => place).sort(),
    expected.map(({ place }) => place).sort(),
    found.map(({ place, text }) => `${place} ${text}`).join(''),
  )
  for (const { place, text } of expected) {
    const message = found.find((error) => error.place === place)?.text ?? ''
    assert.ok(message.includes(text), `${place}: wanted ${text}, found ${message}`)
  }
})
