/** The pictures of the README show what the commands print today: each scene is played again, without the terminal. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { PassThrough } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { columns, config, openStage, type Scene, scenes, steady } from '../docs/captures/scenes.ts'
import { Screen } from '../docs/captures/screen.ts'
import { svgOf } from '../docs/captures/svg.ts'
import { run } from '../src/cli/run.ts'
import { tempFolder } from './support/run-cli.ts'

const pictureOf = (name: string) => readFileSync(new URL(`../docs/images/${name}.svg`, import.meta.url), 'utf8')

async function play(t: TestContext, { words, until, env }: Scene): Promise<Screen> {
  const stage = await openStage()
  t.after(() => stage.close())
  const folder = tempFolder(t)
  writeFileSync(path.join(folder, 'ollama.config.ts'), config)
  const over = new AbortController()
  let written = ''
  const output = {
    isTTY: true,
    columns,
    rows: 40,
    write: (text: string) => {
      if (over.signal.aborted) return
      written += text.replaceAll('\n', '\r\n')
      const screen = new Screen()
      screen.write(written)
      if (until?.test(screen.text)) over.abort(new Error('The picture is taken'))
    },
  }
  await run(words, {
    stdout: output,
    stderr: output,
    stdin: Object.assign(new PassThrough(), { isTTY: true }),
    env: { TERM: 'xterm-256color', HOME: folder, XDG_STATE_HOME: folder, OLLAMA_HOST: stage.server.url, ...env },
    cwd: folder,
    platform: 'linux',
    signal: over.signal,
    registryUrl: () => stage.registryUrl,
  })
  const screen = new Screen()
  screen.write(`$ ollama-config ${words.join(' ')}\n`)
  screen.write(steady(written, stage, folder))
  return screen
}

for (const scene of scenes.filter(({ name }) => name !== 'doctor')) {
  test(`the picture of ${scene.name} is what it prints`, async (t) => {
    const screen = await play(t, scene)
    assert.equal(
      svgOf(screen.rows(), columns, scene.title),
      pictureOf(scene.name),
      `npm run captures makes it anew:\n${screen.text}`,
    )
  })
}

test('the picture of doctor has the subjects of today; what it says of them is of one machine', async (t) => {
  for (const scene of scenes.filter(({ name }) => name === 'doctor')) {
    const today = (await play(t, scene)).text.split('\n').flatMap((line) => /^. (\w+) +\S/.exec(line)?.[1] ?? [])
    const painted = textsOf(pictureOf(scene.name)).flatMap((text) => /^(\w+)(?: +\S|$)/.exec(text)?.[1] ?? [])
    const subjects = painted.filter((word) => today.includes(word))
    assert.deepEqual(subjects, today)
  }
})

test('a picture is small, has both palettes, and nothing of the machine that it was made on', () => {
  for (const { name } of scenes) {
    const svg = pictureOf(name)
    assert.ok(svg.length < 30_000, name)
    assert.match(svg, /prefers-color-scheme:dark/)
    assert.match(svg, /role="img" aria-label="/)
    assert.doesNotMatch(svg, /\/tmp\/|\/home\/|\/root\/|127\.0\.0\.1:(?!11434)/)
    for (const text of textsOf(svg)) assert.ok([...text].length <= columns, text)
  }
})

function textsOf(svg: string): readonly string[] {
  return [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text = '']) => text)
}
