/**
 * Makes docs/images/: pictures of real commands in a real terminal, on a server and a registry of the tests. `npm run captures`.
 * Needs Linux and `script` of util-linux. The pictures are committed; a test holds them to what the commands print today.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { columns, config, openStage, type Scene, type Stage, scenes, steady } from './captures/scenes.ts'
import { Screen } from './captures/screen.ts'
import { svgOf } from './captures/svg.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const command = path.join(root, 'test', 'support', 'main-with-registry.ts')

for (const scene of scenes) {
  const stage = await openStage()
  const folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'capture-')))
  try {
    writeFileSync(path.join(folder, 'ollama.config.ts'), config)
    const screen = new Screen()
    screen.write(`$ ollama-config ${scene.words.join(' ')}\n`)
    screen.write(steady(await record(scene, stage, folder), stage, folder))
    mkdirSync(path.join(root, 'docs', 'images'), { recursive: true })
    const svg = svgOf(screen.rows(), columns, scene.title)
    writeFileSync(path.join(root, 'docs', 'images', `${scene.name}.svg`), svg)
    console.log(`docs/images/${scene.name}.svg: ${svg.length} bytes\n${screen.text}`)
  } finally {
    await stage.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What it writes to a terminal, until the moment of the picture. */
async function record({ words, until, env }: Scene, { server, registryUrl }: Stage, folder: string): Promise<string> {
  const program = [process.execPath, '--import', import.meta.resolve('tsx'), command, ...words]
  const line = `stty rows 40 cols ${columns}; exec ${program.map((word) => `'${word}'`).join(' ')}`
  const child = spawn('script', ['-qfec', line, '/dev/null'], {
    cwd: folder,
    env: {
      PATH: process.env['PATH'],
      TERM: 'xterm-256color',
      LANG: 'C.UTF-8',
      HOME: folder,
      XDG_STATE_HOME: folder,
      OLLAMA_HOST: server.url,
      TEST_REGISTRY: registryUrl,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let written = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    written += text
    const screen = new Screen()
    screen.write(written)
    if (until?.test(screen.text)) child.kill()
  })
  await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
  return written
}
