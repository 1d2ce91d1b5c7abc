/**
 * Builds the code in dist/; its types come from tsc. The code is put together from many small modules into few files, since each
 * file that a command loads costs about a millisecond at its start.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { build, transform } from 'esbuild'

/** `node build.mjs [FOLDER]`; default: `dist`. */
const outdir = process.argv[2] ?? 'dist'
rmSync(outdir, { recursive: true, force: true })
/** What an `import` of a built-in module gives has every lazy property of it read; asking the process for it reads none. */
const builtins = {
  name: 'builtins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:/ }, ({ path, kind }) => {
      // Its result would have nothing but a default export.
      if (kind === 'dynamic-import') return { errors: [{ text: `Use process.getBuiltinModule('${path}')` }] }
      return { path, namespace: 'builtin' }
    })
    onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)})`,
    }))
  },
}

/** As esbuild writes one, of a file of ours. */
const importStatement = /^import (?:\{([^}]*)\} from )?"(\.[^"]+)";/gm

const options = {
  outdir,
  outbase: 'src',
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  // Dependencies are loaded when they are needed, by their name.
  packages: 'external',
  // One folder below dist/, as the sources are below src/: what is found by its place relative to a module stays there.
  chunkNames: 'chunks/[name]-[hash]',
  plugins: [builtins],
}

const entryPoints = ['src/index.ts', 'src/plugin.ts', 'src/cli/main.ts']
const { metafile } = await build({ ...options, entryPoints, splitting: true, metafile: true })
await joinStart(metafile.outputs)
// By themselves: they run on threads of their own, and what they share would only be cut into more files.
await build({ ...options, entryPoints: ['src/config/hooks.ts', 'src/runtime/hash-worker.ts'] })
await build({
  ...options,
  outbase: '.',
  entryPoints: readdirSync('plugins').flatMap((name) => [`plugins/${name}/index.ts`].filter(existsSync)),
  plugins: [{ name: 'public', setup: ({ onResolve }) => onResolve({ filter: /\/src\/plugin\.ts$/ }, publicEntry) }],
})

await shorten()

/** First-party plugins hold no copy of the contract: they import it as any other plugin does. */
function publicEntry() {
  return { path: '../../plugin.js', external: true }
}

/**
 * esbuild makes a file of each group of modules that the same entry points share: two dozen of them at every start, for the sake of
 * what is loaded later. Here those that every command loads become one file, from which the others import.
 */
async function joinStart(outputs) {
  const files = Object.keys(outputs)
  const isStart = (file) => ['src/index.ts', 'src/cli/run.ts'].includes(outputs[file].entryPoint)
  const start = new Set()
  const add = (file) => {
    if (start.has(file)) return
    start.add(file)
    for (const { kind, path: next } of outputs[file].imports)
      if (kind === 'import-statement' && next in outputs) add(next)
  }
  files.filter(isStart).forEach(add)
  const joined = path.join(outdir, 'chunks', 'start.js')
  const later = files.filter((file) => !start.has(file)).map((file) => ({ file, text: readFileSync(file, 'utf8') }))
  /** What is taken from the parts by files that are not among them: the rest is of the joined file alone. */
  const taken = new Set(
    later.flatMap(({ file, text }) =>
      [...text.matchAll(importStatement)].flatMap(([, list = '', from]) =>
        list.split(',').map((item) => `${path.resolve(path.dirname(file), from)} ${item.trim().split(' as ')[0]}`),
      ),
    ),
  )
  let count = 0
  const parts = [...start].map((file) => ({
    file,
    absolute: path.resolve(file),
    names: outputs[file].exports
      .filter((name) => isStart(file) || taken.has(`${path.resolve(file)} ${name}`))
      .map((name) => ({ name, unique: `_${(count++).toString(36)}` })),
  }))
  const listOf = (names, from, to) => names.map((name) => `${name[from]} as ${name[to]}`).join(', ')
  await build({
    ...options,
    outdir: undefined,
    outfile: joined,
    // A bare import of a file without side effects is dropped, and esbuild warns.
    logLevel: 'error',
    stdin: {
      contents: parts
        .map(({ absolute, names }) => `export { ${listOf(names, 'name', 'unique')} } from ${JSON.stringify(absolute)}`)
        .join('\n'),
      resolveDir: path.dirname(path.resolve(joined)),
    },
    plugins: [
      {
        name: 'later',
        setup({ onResolve }) {
          // What is not loaded at the start stays where it is: beside the file that loads it.
          onResolve({ filter: /^\./ }, ({ path: name, resolveDir }) => {
            const absolute = path.resolve(resolveDir, name)
            return parts.some((part) => part.absolute === absolute) ? undefined : { path: name, external: true }
          })
        },
      },
    ],
  })
  const importFrom = (file) => {
    const relative = path.relative(path.dirname(file), joined).split(path.sep).join('/')
    return relative.startsWith('.') ? relative : `./${relative}`
  }
  for (const { file, names } of parts) {
    // Others look for these two; nobody looks for the rest any more.
    if (isStart(file)) writeFileSync(file, `export { ${listOf(names, 'unique', 'name')} } from '${importFrom(file)}'\n`)
    else rmSync(file)
  }
  for (const { file, text } of later) {
    const renamed = []
    const rest = text.replaceAll(importStatement, (statement, list, from) => {
      const part = parts.find(({ absolute }) => absolute === path.resolve(path.dirname(file), from))
      if (part === undefined) return statement
      for (const item of list?.split(',') ?? []) {
        const [name, local = name] = item.trim().split(' as ')
        renamed.push(`${part.names.find((known) => known.name === name).unique} as ${local}`)
      }
      return ''
    })
    // Whoever takes nothing from it needs it no less, but has it: nothing else is loaded before.
    writeFileSync(
      file,
      renamed.length === 0 ? rest : `import { ${renamed.join(', ')} } from "${importFrom(file)}";\n${rest}`,
    )
  }
}

/**
 * By a third, at the last: what is above reads what esbuild wrote. Lines stay short, since Node shows the line that an error comes from,
 * but no shorter: with half of that the package has 3 kB more.
 */
async function shorten() {
  for (const name of readdirSync(outdir, { recursive: true }).filter((name) => name.endsWith('.js'))) {
    const file = path.join(outdir, name)
    const { target, format } = options
    const short = { minify: true, lineLimit: 240, charset: 'utf8', legalComments: 'none', target, format }
    const { code } = await transform(readFileSync(file, 'utf8'), short)
    writeFileSync(file, code)
  }
}
