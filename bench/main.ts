/** `npm run bench -- start|plan|plugins|registry|tree|download|verify|load`: each prints the machine, the spread and the ratio to its limit. */
const benches: Readonly<Record<string, () => Promise<void>>> = {
  start: async () => (await import('./start.ts')).benchStart(),
  plan: async () => (await import('./plan.ts')).benchPlan(),
  plugins: async () => (await import('./plugins.ts')).benchPlugins(),
  registry: async () => (await import('./registry.ts')).benchRegistry(),
  download: async () => (await import('./download.ts')).benchDownload(),
  verify: async () => (await import('./verify.ts')).benchVerify(),
  load: async () => (await import('./load.ts')).benchLoad(),
  tree: async () => (await import('./tree.ts')).benchTree(),
}

const names = process.argv.slice(2)
const unknown = names.filter((name) => !Object.hasOwn(benches, name))
if (names.length === 0 || unknown.length > 0) {
  console.error(`Usage: npm run bench -- ${Object.keys(benches).join('|')}`)
  process.exitCode = 3
} else {
  for (const name of names) await benches[name]?.()
}
