/** The main job in a few seconds, with nothing installed: small models, a registry on this machine and a store for the moment. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { quoted } from '../../artifact/text.ts'
import { startLoopbackRegistry } from '../../demo/loopback-registry.ts'
import { tinyModel } from '../../demo/tiny-model.ts'
import { isNotPermitted, OllamaConfigError } from '../../errors.ts'
import { reasonOf } from '../../runtime/atomic-file.ts'
import { programOf } from '../command-line.ts'
import type { DemoFlags } from '../command-table.ts'
import { type Context, exitCodes } from '../context.ts'
import { run } from '../run.ts'
import { writeFolded } from '../views/output.ts'

const license = 'This model was made up for a demonstration. It says nothing, to anybody, for ever.\n'

export async function demo(flags: DemoFlags, context: Context): Promise<number> {
  const say = (text: string) => writeFolded(context.stdout, `\n${text}\n`)
  const models = new Map([
    ['library/sprout:latest', tinyModel({ name: 'sprout', weights: 6_000_000, license })],
    ['library/acorn:latest', tinyModel({ name: 'acorn', weights: 20_000_000, license })],
  ])
  const folder = await makeFolder()
  const registry = await startLoopbackRegistry(models)
  const write = async (declared: readonly string[]): Promise<undefined> => {
    const text = configOf(declared)
    await writeFile(path.join(folder, 'ollama.config.ts'), text)
    context.stdout.write(`\n${text.trimEnd().replaceAll(/^/gm, '  │ ')}\n`)
  }
  const command = async (...words: readonly string[]) => {
    say(`$ ollama-config ${words.join(' ')}`)
    const env = { ...context.env, XDG_STATE_HOME: path.join(folder, 'state') }
    const looks = (['no-color', 'plain'] as const).filter((name) => flags[name]).map((name) => `--${name}`)
    return run([...words, ...looks], { ...context, env, cwd: folder, registryUrl: () => registry.url })
  }
  const steps: readonly (() => Promise<number | undefined>)[] = [
    () => {
      say(
        'Two models are wanted, in a model directory of their own. No Ollama server is needed. This is ollama.config.ts:',
      )
      return write(["'sprout'", "'acorn'"])
    },
    () => command('plan', '--store=models'),
    () => command('apply', '--store=models', '--yes'),
    () => {
      say('The config changes: one model is no longer wanted, and one of our own is, built from the other.')
      return write(["'sprout'", "{ name: 'reviewer', from: 'sprout', system: 'You review diffs.' }"])
    },
    () => command('plan', '--store=models', '--prune'),
    () => command('apply', '--store=models', '--yes', '--prune'),
    () => command('plan', '--store=models'),
  ]
  try {
    for (const step of steps) {
      context.signal.throwIfAborted()
      const code = await step()
      if (code !== undefined && code !== exitCodes.done) return code
    }
    say(ending(programOf(context)))
    return exitCodes.done
  } finally {
    await registry.close()
    await rm(folder, { recursive: true, force: true })
  }
}

async function makeFolder(): Promise<string> {
  const parent = tmpdir()
  return mkdtemp(path.join(parent, 'ollama-config-demo-')).catch((cause: unknown) => {
    if (isNotPermitted(cause)) throw cause
    const message = `No folder can be made in the temporary folder ${quoted(parent)}: ${reasonOf(cause)}`
    const hint = 'name one that can be written in the variable TMPDIR, or TEMP on Windows'
    throw new OllamaConfigError('file-not-written', message, { hint, cause })
  })
}

function configOf(declared: readonly string[]): string {
  return `import { defineConfig } from 'ollama-config'

export default defineConfig({
  models: [
${declared.map((model) => `    ${model},`).join('\n')}
  ],
  prune: 'undeclared',
})
`
}

const ending = (program: string) => `That was a registry on this machine, and a folder that is gone again.
For your own Ollama type

  ${program} init            for a config; --from-installed: of its models
  ${program} plan            for the Ollama server of this machine
  ${program} plan --store    for its model directory, without a server`
