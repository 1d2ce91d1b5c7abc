/**
 * What a cold `plan` with nothing to do costs: 20 models, a TypeScript config, a server on loopback, the built package.
 * The limit is the bare runtime, which starts and does nothing, in the same run.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { startListingServer } from './listing-server.ts'
import { type Command, format, interleave, machineLine, ratioOf, sampleOf, timeCommand } from './measure.ts'

const root = path.resolve(fileURLToPath(new URL('..', import.meta.url)))
const main = path.join(root, 'dist/cli/main.js')
const rounds = 15

interface Runtime {
  readonly name: string
  readonly file: string
  readonly bare: readonly string[]
  readonly run: readonly string[]
  /** At most this many times the bare start. */
  readonly target: number | undefined
}

function runtimes(): readonly Runtime[] {
  const at = (relative: string) => path.join(root, 'test/runtimes/node_modules', relative)
  const node = (name: string, file: string, target?: number): Runtime => ({
    name,
    file,
    bare: ['-e', '0'],
    run: [],
    target,
  })
  const major = Number(process.versions.node.split('.')[0])
  const here = major === 20 ? 3.3 : major === 24 ? 3.2 : undefined
  const permissions = ['--allow-net', '--allow-read', '--allow-env', '--allow-sys=homedir']
  return [
    node(`node ${process.versions.node}`, process.execPath, here),
    node('node 22', at('node22/bin/node')),
    node('node 24', at('node24/bin/node'), 3.2),
    node('node 26', at('node26/bin/node')),
    {
      name: 'deno',
      file: at('@deno/linux-x64-glibc/deno'),
      bare: ['eval', '0'],
      run: ['run', ...permissions],
      target: 3,
    },
    { name: 'bun', file: at('bun-linux-x64/bin/bun'), bare: ['-e', '0'], run: [], target: undefined },
  ].filter(({ file }) => existsSync(file))
}

export async function benchStart(): Promise<void> {
  if (!existsSync(main)) throw new Error('Build first: npm run build')
  const models = Array.from({ length: 20 }, (_, index) => `model-${index}:latest`)
  const server = await startListingServer(models)
  const folder = mkdtempSync(path.join(tmpdir(), 'ollama-config-bench-'))
  try {
    mkdirSync(path.join(folder, 'node_modules'))
    symlinkSync(root, path.join(folder, 'node_modules/ollama-config'), 'dir')
    writeFileSync(path.join(folder, 'package.json'), '{ "type": "module", "dependencies": { "ollama-config": "*" } }\n')
    writeFileSync(
      path.join(folder, 'ollama.config.ts'),
      `import { defineConfig } from 'ollama-config'\n\nexport default defineConfig({ models: ${JSON.stringify(models)} })\n`,
    )
    const env = { ...process.env, OLLAMA_HOST: server.url, NO_COLOR: '1' }
    console.log(
      `cold no-op plan, 20 models, TypeScript config, built package, ${rounds} rounds in turn\n${machineLine()}\n`,
    )
    if (process.env['NODE_EXTRA_CA_CERTS'] !== undefined) {
      console.log(
        'NODE_EXTRA_CA_CERTS is set: Node 20 reads those certificates at every start, the bare one too (some 35 ms)\n',
      )
    }
    for (const { name, file, bare, run, target } of runtimes()) {
      const command = (args: readonly string[]): Command => ({ file, args, cwd: folder, env })
      const times = await interleave(
        {
          bare: () => timeCommand(command(bare)),
          plan: () => timeCommand(command([...run, main, 'plan', '--detailed-exitcode'])),
        },
        rounds,
      )
      const ratio = ratioOf(times.plan, times.bare)
      const verdict =
        target === undefined
          ? ''
          : ratio.median <= target
            ? `  (target ${target}×: met)`
            : `  (target ${target}×: MISSED)`
      console.log(
        `${name.padEnd(14)} bare ${format(sampleOf(times.bare))}  plan ${format(sampleOf(times.plan))}  ${format(ratio, '×')}${verdict}`,
      )
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
    server.close()
  }
}
