/** A shell for the commands of the docs: `npx ollama-config` is this one, and what would change the machine does nothing. */
import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { builtMain, variantWords } from './built.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Runs commands of a shell, and resolves to what they wrote. */
export type Shell = (commands: string, env?: Readonly<Record<string, string>>, cwd?: string) => Promise<string>

const isRunnable =
  process.platform !== 'win32' && process.versions['deno'] === undefined && process.versions['bun'] === undefined

/** Of tests that need it. */
export const shellOptions = { skip: isRunnable ? false : 'needs a shell and Node', timeout: 120_000 }

export interface ShellOptions {
  /** Registries that are asked by whatever name are this one. Default: names lead where they lead. */
  readonly registryUrl?: string
}

/** @param cwd Where commands run; `tools` and `home` are made in it. */
export function makeShell(cwd: string, { registryUrl }: ShellOptions = {}): Shell {
  const tools = path.join(cwd, 'tools')
  mkdirSync(tools)
  const loader = import.meta.resolve('tsx')
  const withRegistry = path.join(root, 'test/support/main-with-registry.ts')
  const main = registryUrl === undefined ? [builtMain()] : variantWords(withRegistry)
  const run = [process.execPath, ...main].map((word) => `'${word}'`).join(' ')
  const deno = [
    // The words before the one that is run are flags of Deno.
    'while case "$1" in run | -*) true;; *) false;; esac; do shift; done',
    `case "$1" in npm:ollama-config) shift; exec ${run} "$@";; esac`,
    `exec '${process.execPath}' --import '${loader}' "$@"`,
  ].join('\n')
  const script = `JSON.parse(fs.readFileSync('package.json', 'utf8')).scripts?.[process.argv[1]] ?? ''`
  const scripts = {
    npx: `shift; exec ${run} "$@"`,
    'ollama-config': `exec ${run} "$@"`,
    deno,
    npm: `[ "$1" = run ] || exit 0\nexec sh -c "$('${process.execPath}' -p "${script}" "$2")"`,
    sudo: 'exec "$@"',
  }
  for (const [name, text] of Object.entries(scripts)) {
    writeFileSync(path.join(tools, name), `#!/bin/sh\n${text}\n`)
    chmodSync(path.join(tools, name), 0o755)
  }
  return (commands, env = {}, folder = cwd) =>
    new Promise((resolve, reject) => {
      const { PATH = '' } = process.env
      const registry = registryUrl === undefined ? {} : { TEST_REGISTRY: registryUrl }
      const child = spawn('bash', ['--norc', '-ec', commands], {
        cwd: folder,
        env: { PATH: `${tools}:${PATH}`, HOME: path.join(cwd, 'home'), NO_COLOR: '1', ...registry, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      let output = ''
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk) => {
          output += chunk
        })
      child.on('error', reject)
      child.on('close', (code) => (code === 0 ? resolve(output) : reject(new Error(`${commands}\n${code}: ${output}`))))
    })
}
