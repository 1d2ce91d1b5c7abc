/** Imports of a config that lead nowhere, and where they stand: every runtime says it in its own words. */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { suggest } from '../suggest.ts'
import { type Finding, type Place, toPath } from './load-error.ts'
import { isSelf, packageName } from './self.ts'

// What is not exported: Node and Deno, then Bun.
const missingExports = [
  /requested module '(?<wanted>[^']+)' does not provide an export named '(?<name>[^']+)'/,
  /Export named '(?<name>[^']+)' not found in module '(?<wanted>[^']+)'/,
]

/** Explains an import of a name that is not exported. */
export async function missingExport(path: string, text: string): Promise<Finding | undefined> {
  for (const pattern of missingExports) {
    const { wanted, name } = pattern.exec(text)?.groups ?? {}
    if (wanted === undefined) continue
    // The importer, where the runtime tells: in Node's excerpt of the source, or at the end of Deno's message.
    const importer =
      /^(\/.*|[A-Za-z]:\\.*|file:.*):\d+\n.*\n *\^/m.exec(text)?.[1] ??
      /\bat (file:.+?):\d+:\d+/.exec(text)?.[1] ??
      path
    const found = await findImport(toPath(importer), wanted)
    const specifier = found?.specifier ?? wanted
    return {
      what: 'Cannot load',
      reason: `"${specifier}" does not export "${name}"`,
      place: found?.place,
      hint: isSelf(specifier) ? 'check its name, and the version of ollama-config' : 'check its name',
    }
  }
  return undefined
}

// What Node, Deno and Bun say about an import that leads nowhere: what was wanted, and often the file that wants it.
const missingImports = [
  /Cannot find (?:module|package) '(?<wanted>[^']+)'(?: imported from (?<importer>[^\n]+))?/,
  /(?:Module not found|Import) "(?<wanted>[^"]+)"[\s\S]*?\n\s+at (?<importer>file:.+?):\d+:\d+/,
  /Loading unprepared module: (?<wanted>file:.+), imported from: (?<importer>file:.+)/,
  /Relative import path "(?<wanted>[^"]+)" not prefixed[\s\S]*?\n\s+at (?<importer>file:.+?):\d+:\d+/,
]

/** Explains an import of a file or package that is not there. */
export async function missingImport(path: string, text: string): Promise<Finding | undefined> {
  for (const pattern of missingImports) {
    const groups = pattern.exec(text)?.groups
    const wanted = groups?.['wanted']
    if (wanted === undefined) continue
    const importer = toPath(groups?.['importer'] ?? path)
    const found = await findImport(importer, wanted)
    const specifier = found?.specifier ?? wanted
    if (isSelf(specifier)) {
      return {
        what: 'Cannot load',
        reason: `this ollama-config has no "${specifier}"`,
        place: found?.place,
        hint: 'check the name of the plugin',
      }
    }
    const isFile = /^[./]|^file:|^[a-z]:/i.test(specifier)
    return {
      what: 'Cannot load',
      reason: `cannot find ${isFile ? '' : 'package '}"${specifier}"`,
      place: found?.place,
      hint: isFile ? 'check the path of the import' : packageHint(packageOf(specifier)),
    }
  }
  return undefined
}

function packageHint(name: string): string {
  // A slip in our own name must not become the advice to install whatever somebody has put under that name.
  return suggest(name, [packageName]) === undefined
    ? `install it beside the config, such as with npm install ${name}`
    : `did you mean "${packageName}"?`
}

/** The import of `wanted` in a file. Runtimes name what they looked for, a path or a package, which is not what stands there. */
async function findImport(file: string, wanted: string): Promise<{ specifier: string; place: Place } | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '')
  const stem = (name: string): string => name.replace(/\.[a-z]+$/, '')
  const isSame = (specifier: string) =>
    specifier === wanted ||
    (isRelative(specifier)
      ? stem(path.resolve(path.dirname(file), specifier)) === stem(toPath(wanted))
      : packageOf(specifier) === wanted)
  // Behind a link, or where a runtime tells less, only the name of the file is the same.
  const isLike = (specifier: string) =>
    isRelative(specifier) && stem(path.basename(specifier)) === stem(wanted.replace(/^.*[/\\]/, ''))
  const imports = [...text.matchAll(/(?:\bfrom|\bimport|\brequire)\s*\(?\s*(['"])([^'"\n]+)\1/g)]
  const find = (fits: (specifier: string) => boolean) => imports.find(([, , specifier = '']) => fits(specifier))
  const match = find(isSame) ?? find(isLike)
  if (match === undefined) return undefined
  const [whole, , specifier = ''] = match
  const before = text.slice(0, match.index + whole.length - specifier.length - 2).split('\n')
  return { specifier, place: { file, line: before.length, column: (before.at(-1)?.length ?? 0) + 1 } }
}

function isRelative(specifier: string): boolean {
  return /^[./]/.test(specifier)
}

function packageOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
}
