/** Finds plugins in a folder that the user named. Runs their files; nothing outside the folder of the config is run. */
import { readdir, realpath, stat } from 'node:fs/promises'
import path from 'node:path'
import { compareText } from '../artifact/reference.ts'
import { printable, quoted } from '../artifact/text.ts'
import { describe } from '../config/describe.ts'
import { loadConfigFile } from '../config/load.ts'
import type { Diagnostic } from '../errors.ts'
import { type AnyPluginFactory, isPlugin, isPluginFactory, type Plugin } from '../plugin.ts'
import { hasCode } from '../runtime/transport-error.ts'
import { type HookOptions, runHook } from './hooks.ts'
import { specProblems } from './spec.ts'

export interface FoundPlugin {
  /** The module's default export. */
  readonly plugin: Plugin | AnyPluginFactory
  /** Its file, relative to the folder of the config, with slashes. */
  readonly path: string
}

export interface Discovery {
  /** Sorted by path. */
  readonly found: readonly FoundPlugin[]
  /** Files that are no plugin, each by name; they do not hide the others. Codes: `invalid-plugin`, `plugin-failed`, `plugin-timeout`. */
  readonly problems: readonly Diagnostic[]
}

/**
 * Loads `*.plugin.ts`, `*.plugin.js`, `NAME/index.ts` and `NAME/index.js` of the folder itself.
 *
 * @param folder relative to `cwd`
 * @param options.cwd folder of the config, absolute; what lies outside of it, also behind a link, is refused
 * @throws `options.signal.reason`
 */
export async function discoverPlugins(folder: string, options: HookOptions & { cwd: string }): Promise<Discovery> {
  const { cwd } = options
  const found: FoundPlugin[] = []
  const problems: Diagnostic[] = []
  const wrong = problemOf(folder)
  const searched = await search(folder, cwd).catch((error: unknown) =>
    wrong(`which cannot be searched (${hasCode(error) ? error.code : String(error)})`, 'check its permissions'),
  )
  if ('problem' in searched) return { found, problems: [searched.problem] }
  const { names, inside } = searched
  for (const name of names) {
    options.signal?.throwIfAborted()
    const file = path.resolve(cwd, folder, name)
    const shown = path.relative(cwd, file).split(path.sep).join('/')
    const outcome = await load(file, { shown, inside }, options)
    if ('problems' in outcome) problems.push(...outcome.problems)
    else found.push({ plugin: outcome.plugin, path: shown })
  }
  return { found, problems }
}

function problemOf(folder: string) {
  return (text: string, hint: string): { readonly problem: Diagnostic } => ({
    problem: {
      severity: 'error',
      code: 'invalid-plugin',
      path: 'discover',
      message: `discover names ${quoted(folder)}, ${text}`,
      hint,
    },
  })
}

/** What may be plugins, and the folder that they have to lie in. @throws what reading the folder fails with */
async function search(
  folder: string,
  cwd: string,
): Promise<{ readonly names: readonly string[]; readonly inside: string } | { readonly problem: Diagnostic }> {
  const wrong = problemOf(folder)
  const real = await realpath(path.resolve(cwd, folder)).catch(() => undefined)
  if (real === undefined)
    return wrong('and there is no such folder', `make it in ${printable(cwd)}, or drop "discover"`)
  const inside = await realpath(cwd)
  if (!isWithin(real, inside))
    return wrong('which lies outside of the folder of the config', 'move the plugins into a folder beside the config')
  if (!(await stat(real)).isDirectory()) return wrong('which is no folder', 'name the folder of the plugins')
  return { names: await candidates(path.resolve(cwd, folder)), inside }
}

/** Where `.ts` and `.js` of one name lie side by side, the latter was made from the former. */
const extensions = ['.ts', '.js'] as const

/** Paths relative to the folder, sorted by code unit. */
async function candidates(folder: string): Promise<readonly string[]> {
  const names = (await readdir(folder)).filter((name) => !name.startsWith('.') && name !== 'node_modules')
  const stems = new Set(names.map((name) => /^(.+\.plugin)\.[tj]s$/.exec(name)?.[1] ?? path.join(name, 'index')))
  const files = await Promise.all(
    [...stems].map(async (stem) => {
      for (const extension of extensions) {
        const name = stem + extension
        // A pipe would be waited for, and a folder is none. A listed link that leads nowhere is kept: loading it says so.
        const isFile = await stat(path.join(folder, name)).then(
          (found) => found.isFile(),
          () => names.includes(name),
        )
        if (isFile) return [name]
      }
      return []
    }),
  )
  return files.flat().sort(compareText)
}

type Loaded = { readonly plugin: Plugin | AnyPluginFactory } | { readonly problems: readonly Diagnostic[] }

async function load(
  file: string,
  { shown, inside }: { readonly shown: string; readonly inside: string },
  options: HookOptions,
): Promise<Loaded> {
  const wrong = (text: string, hint: string): Loaded => ({
    problems: [{ severity: 'error', code: 'invalid-plugin', path: shown, message: `${shown} ${text}`, hint }],
  })
  const real = await realpath(file).catch(() => undefined)
  if (real === undefined) return wrong('is a link that leads nowhere', 'remove it')
  if (!isWithin(real, inside))
    return wrong(
      'is a link that leads outside of the folder of the config',
      'copy the file instead, or list the plugin in "plugins"',
    )
  const outcome = await runHook(
    { name: shown, path: shown },
    {
      what: 'loading it',
      call: (signal) => loadConfigFile(file, { signal, exportHint: 'write export default definePlugin({ … })' }),
      read: (value) => value,
    },
    options,
  )
  if ('problem' in outcome) return { problems: [outcome.problem] }
  const { value } = outcome
  if (!isPlugin(value) && !isPluginFactory(value)) {
    return wrong(`exports no plugin: found ${describe(value)}`, 'write export default definePlugin({ … })')
  }
  const problems = specProblems(value.spec, shown)
  return problems.length === 0 ? { plugin: value } : { problems }
}

function isWithin(file: string, folder: string): boolean {
  const relative = path.relative(folder, file)
  return relative === '' || (!path.isAbsolute(relative) && relative.split(path.sep)[0] !== '..')
}
