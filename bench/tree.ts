/**
 * What the task tree costs, in a real pseudo terminal: CPU as a share of one core, and time against the same events with
 * a silent view. Limits: 8 changes × 50 events/s under 15 %, 200 × 5 under 30 %, both no slower than the work.
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Event } from '../src/apply/events.ts'
import type { ApplyView } from '../src/cli/views/apply-view.ts'
import { createStyle } from '../src/cli/views/style.ts'
import { createTaskTree } from '../src/cli/views/tasks.ts'
import type { PullChange } from '../src/plan/plan.ts'
import { format, machineLine, ratioOf, sampleOf } from './measure.ts'

interface Load {
  readonly changes: number
  /** Events per second of each change. */
  readonly rate: number
  /** Percent of one core. */
  readonly limit: number
}

interface Run {
  /** Writes to a real terminal of the asked size; `null` when there was none. */
  readonly frames: number | null
  readonly cpuPercent: number
  readonly wallMs: number
}

const loads: readonly Load[] = [
  { changes: 8, rate: 50, limit: 15 },
  { changes: 200, rate: 5, limit: 30 },
]
const workMs = 4000
const rounds = 5
/** "No slower than the work": what timers and the last frame may add. */
const wallLimit = 1.02
const self = fileURLToPath(import.meta.url)

export async function benchTree(): Promise<void> {
  const terminal = hasScript()
  console.log(`${machineLine()}, listr2 ${listrVersion()}`)
  console.log(terminal ? 'pseudo terminal of 90 × 40 by script(1)' : 'no script(1): a fake terminal of 90 × 40')
  for (const load of loads) {
    const tree: Run[] = []
    const silent: Run[] = []
    for (let round = 0; round < rounds; round++) {
      silent.push(await runChild(load, 'silent', terminal))
      tree.push(await runChild(load, 'tree', terminal))
    }
    const frames = tree.map((run) => run.frames)
    if (terminal && frames.includes(null)) throw new Error('script(1) gave no terminal of 90 × 40')
    const cpu = sampleOf(tree.map((run) => run.cpuPercent))
    const wall = ratioOf(
      tree.map((run) => run.wallMs),
      silent.map((run) => run.wallMs),
    )
    const passed = cpu.median < load.limit && wall.median <= wallLimit
    console.log(`${load.changes} changes × ${load.rate} events/s, ${workMs / 1000} s of work, ${rounds} runs:`)
    console.log(`  frames       ${frames.join(', ')}`)
    console.log(`  cpu, tree    ${format(cpu, '%')} of one core; limit ${load.limit} %`)
    console.log(`  cpu, silent  ${format(sampleOf(silent.map((run) => run.cpuPercent)), '%')}`)
    console.log(`  wall, tree   ${format(sampleOf(tree.map((run) => run.wallMs)))}`)
    console.log(`  wall, silent ${format(sampleOf(silent.map((run) => run.wallMs)))}`)
    console.log(
      `  wall, ratio  ${wall.median.toFixed(3)} (${wall.min.toFixed(3)}..${wall.max.toFixed(3)}); limit ${wallLimit}`,
    )
    console.log(`  ${passed ? 'within the limits' : 'OVER A LIMIT'}`)
    if (!passed) process.exitCode = 1
  }
}

async function runChild({ changes, rate }: Load, view: 'tree' | 'silent', terminal: boolean): Promise<Run> {
  const folder = mkdtempSync(path.join(tmpdir(), 'ollama-config-bench-'))
  try {
    const result = path.join(folder, 'result.json')
    const args = [...process.execArgv, self, 'child', String(changes), String(rate), view, result]
    await (terminal
      ? inTerminal(args)
      : finished(spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })))
    return JSON.parse(readFileSync(result, 'utf8'))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function inTerminal(args: readonly string[]): Promise<void> {
  const words = [process.execPath, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
  // script gives no size when its own stdin is none.
  const command = `stty cols 90 rows 40; exec ${words}`
  const child = spawn('script', ['-qefc', command, '/dev/null'], { stdio: ['ignore', 'pipe', 'inherit'] })
  child.stdout.resume() // a terminal that reads at once
  return finished(child)
}

function finished(child: ReturnType<typeof spawn>): Promise<void> {
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`The measured process exited with ${code}`)),
    )
  })
}

function hasScript(): boolean {
  try {
    // The script of util-linux; the one of BSD takes other options and knows no --version.
    return execFileSync('script', ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).includes(
      'util-linux',
    )
  } catch {
    return false
  }
}

function listrVersion(): string {
  const file = path.join(path.dirname(fileURLToPath(import.meta.resolve('listr2'))), '..', 'package.json')
  return JSON.parse(readFileSync(file, 'utf8')).version
}

/** In the measured process: the same events at the same moments, whatever looks at them. */
async function child(changes: number, rate: number, name: string, result: string): Promise<void> {
  const { isTTY, columns, rows } = process.stderr
  const real = isTTY && columns === 90 && rows === 40
  let frames = 0
  const stream = {
    columns: 90,
    rows: 40,
    write(text: string) {
      frames += 1
      return real ? process.stderr.write(text) : true
    },
  }
  const silent: ApplyView = { handle: () => {}, close: async () => {} }
  const view =
    name === 'tree' ? createTaskTree({ stream, style: createStyle(true), unicode: true, now: Date.now }) : silent
  const list = Array.from({ length: changes }, (_, index) => pull(index))
  await sleep(200) // tsx and the compiler are done
  const cpu = process.cpuUsage()
  const startedMs = performance.now()
  view.handle({ type: 'apply-started', address: 'http://127.0.0.1:11434', changes: list })
  await Promise.all(list.map((change) => download(change, rate, startedMs, (event) => view.handle(event))))
  await view.close()
  const wallMs = performance.now() - startedMs
  const { user, system } = process.cpuUsage(cpu)
  writeFileSync(
    result,
    JSON.stringify({ frames: real ? frames : null, wallMs, cpuPercent: (user + system) / 10 / wallMs } satisfies Run),
  )
}

async function download(
  change: PullChange,
  rate: number,
  startedMs: number,
  emit: (event: Event) => void,
): Promise<void> {
  const { id, action, reference } = change
  const totalBytes = 4_700_000_000
  const steps = (rate * workMs) / 1000
  emit({ type: 'change-started', id })
  for (let step = 1; step <= steps; step++) {
    await sleep(Math.max(0, startedMs + (step * 1000) / rate - performance.now()))
    const completedBytes = Math.round((totalBytes * step) / steps)
    emit({ type: 'change-progress', id, status: 'pulling 6e4c38e1172f', completedBytes, totalBytes, waiting: false })
  }
  emit({
    type: 'change-finished',
    id,
    action,
    reference,
    outcome: 'done',
    digest: null,
    durationMs: workMs,
    sizeBytes: totalBytes,
  })
}

function pull(index: number): PullChange {
  return {
    id: String(index),
    action: 'pull',
    reference: `model-${index}:latest`,
    insecure: false,
    manifest: null,
    presentBytes: null,
    locked: false,
    cloud: false,
    before: null,
    after: null,
    dependsOn: [],
    precondition: { digest: null },
    downloadBytes: null,
    freedBytes: null,
    reason: { code: 'missing', text: 'not installed' },
  }
}

const [script = '', mode, changes, rate, view = '', result = ''] = process.argv.slice(1)
if (pathToFileURL(script).href === import.meta.url) {
  await (mode === 'child' ? child(Number(changes), Number(rate), view, result) : benchTree())
}
