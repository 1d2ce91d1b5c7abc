/**
 * Builds the code in dist/; its types come from tsc. The code is put together from many small modules into few files, since each
 * file that a command loads costs about a millisecond at its start.
 */
import { rmSync } from 'node:fs'
import { build } from 'esbuild'

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

await build({ ...options, entryPoints: ['src/index.ts', 'src/cli/main.ts'], splitting: true })
// By itself: it runs on a thread of its own, and what it shares would only be cut into more files.
await build({ ...options, entryPoints: ['src/config/hooks.ts'] })
