/**
 * `plan`, as a process, against a host that lists 10,000 and 100,000 models. The limit is a bare Node process that fetches the same
 * listing and parses it, in the same run: what any client would need before it has compared anything.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type ListingServer, startListingServer } from './listing-server.ts'
import { format, ratioOf, runMeasured, sampleOf, type Usage } from './measure.ts'

const rounds = 7

interface Case {
  readonly title: string
  readonly declared: number
  readonly listed: number
  readonly keep?: readonly string[]
  readonly flags?: readonly string[]
}

/** Of a hundred teams, none of which keeps anything of another. */
const patterns = Array.from({ length: 100 }, (_, index) => `team-${index + 900}/*-model-*:*`)

const cases: readonly Case[] = [
  { title: '10 of 10,000', declared: 10, listed: 10_000 },
  { title: '1,000 of 10,000', declared: 1000, listed: 10_000 },
  { title: '10,000 of 10,000', declared: 10_000, listed: 10_000 },
  { title: '10 of 10,000, 100 keep patterns', declared: 10, listed: 10_000, keep: patterns },
  { title: '10 of 10,000, --json', declared: 10, listed: 10_000, flags: ['--json'] },
  { title: '10,000 not installed, --offline', declared: 10_000, listed: 0, flags: ['--offline'] },
  { title: '10,000 of 100,000', declared: 10_000, listed: 100_000 },
]

const bare = `process.getBuiltinModule('node:http').get(process.argv[1] + '/api/tags', { agent: false }, (response) => {
  let text = ''
  response.setEncoding('utf8').on('data', (piece) => { text += piece }).on('end', () => {
    if (!Array.isArray(JSON.parse(text).models)) throw new Error('no listing')
  })
})`

export async function benchLoadPlan(main: string): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'ollama-config-bench-'))
  const servers = new Map<number, ListingServer>()
  try {
    console.log(
      `plan against a host with thousands of models, ${rounds} rounds in turn; the limit: fetch and JSON.parse`,
    )
    for (const one of cases) {
      const server = servers.get(one.listed) ?? (await startListingServer(namesOf(one.listed)))
      servers.set(one.listed, server)
      await measure(one, server.url, { main, cwd: configFolder(folder, one) })
    }
  } finally {
    for (const server of servers.values()) server.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

const namesOf = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `team-${index % 50}/model-${index}:${index % 7}b`)

function configFolder(parent: string, { title, declared, keep = [] }: Case): string {
  const folder = path.join(parent, title.replace(/\W+/g, '-'))
  mkdirSync(folder)
  writeFileSync(path.join(folder, 'ollama.config.json'), JSON.stringify({ models: namesOf(declared), keep }))
  return folder
}

async function measure(
  { title, flags = [] }: Case,
  url: string,
  { main, cwd }: { readonly main: string; readonly cwd: string },
): Promise<void> {
  const command = { file: process.execPath, cwd, env: { ...process.env, OLLAMA_HOST: url, NO_COLOR: '1', HOME: cwd } }
  const limits: Usage[] = []
  const plans: Usage[] = []
  for (let round = 0; round <= rounds; round++) {
    const limit = await runMeasured({ ...command, args: ['-e', bare, url] })
    const plan = await runMeasured({ ...command, args: [main, 'plan', ...flags] })
    // The first one warms caches.
    if (round === 0) continue
    limits.push(limit)
    plans.push(plan)
  }
  const wall = (usages: readonly Usage[]) => usages.map(({ wallMs }) => wallMs)
  const peak = (usages: readonly Usage[]) => usages.map(({ peakBytes }) => peakBytes / 2 ** 20)
  const row = (name: string, text: string) => console.log(`  ${name.padEnd(7)} ${text}`)
  console.log(`\n${title}`)
  row('limit', `${format(sampleOf(wall(limits)))}, ${format(sampleOf(peak(limits)), 'MiB')}`)
  row('plan', `${format(sampleOf(wall(plans)))}, ${format(sampleOf(peak(plans)), 'MiB')}`)
  row('ratio', `${format(ratioOf(wall(plans), wall(limits)), '×')}, ${format(ratioOf(peak(plans), peak(limits)), '×')}`)
}
