/**
 * Where this package's own entry points are, by the name a config imports them with.
 *
 * A config says `import { defineConfig } from 'ollama-config'`. When the package is not installed beside the
 * config (npx, a global install, `deno run`), the copy that is running has to answer to that name.
 */
import { existsSync, readFileSync } from 'node:fs'

export const packageName = 'ollama-config'

const root = new URL('../../', import.meta.url)
// From source (`.ts`) the entries are the sources, so that a checkout works without a build.
const fromSource = import.meta.url.endsWith('.ts')

/** It runs from JSR: its modules are no files. */
export const isRemote: boolean = root.protocol !== 'file:'

let entries: readonly (readonly [subpath: string, target: string])[] | undefined

/** True for `ollama-config` and what is below it, such as `ollama-config/plugins/x`. */
export function isSelf(specifier: string): boolean {
  return specifier === packageName || specifier.startsWith(`${packageName}/`)
}

/** True when `url` lies in the folder of the running package, but not in one of its dependencies. */
export function isInSelf(url: string): boolean {
  return url.startsWith(root.href) && !url.slice(root.href.length).includes('node_modules/')
}

/** The URL of an entry point of the running package, from `exports` in its package.json; undefined when it has none of that name. */
export function selfEntry(specifier: string): string | undefined {
  const wanted = `.${specifier.slice(packageName.length)}`
  if (isRemote) return remoteEntry(wanted)
  entries ??= readEntries()
  for (const [subpath, target] of entries) {
    const [start = '', end] = subpath.split('*')
    if (end === undefined ? subpath !== wanted : !wanted.startsWith(start) || !wanted.endsWith(end)) continue
    const star = end === undefined ? '' : wanted.slice(start.length, wanted.length - end.length)
    const url = locate(target.replaceAll('*', star))
    // A pattern covers names of which there is no file.
    return end === undefined || existsSync(new URL(url)) ? url : undefined
  }
  return undefined
}

/** From JSR, where there is no folder to look into: by the `exports` of jsr.json. What is not there is told by the import. */
function remoteEntry(wanted: string): string | undefined {
  const plugin = /^\.\/plugins\/([\w-]+)$/.exec(wanted)?.[1]
  if (plugin !== undefined) return new URL(`plugins/${plugin}/index.ts`, root).href
  const name = { '.': 'index', './plugin': 'plugin' }[wanted]
  return name === undefined ? undefined : new URL(`src/${name}.ts`, root).href
}

function locate(target: string): string {
  if (fromSource && target.startsWith('./dist/')) {
    const source = target.slice('./dist/'.length).replace(/\.js$/, '.ts')
    // First-party plugins lie beside src/, everything else in it.
    for (const folder of ['src/', '']) {
      const url = new URL(folder + source, root)
      if (existsSync(url)) return url.href
    }
  }
  return new URL(target, root).href
}

function readEntries(): [subpath: string, target: string][] {
  const { exports }: { exports?: Record<string, string | { default?: string }> } = JSON.parse(
    readFileSync(new URL('package.json', root), 'utf8'),
  )
  return Object.entries(exports ?? {}).flatMap(([subpath, target]) => {
    const file = typeof target === 'string' ? target : target.default
    return file === undefined ? [] : [[subpath, file]]
  })
}
