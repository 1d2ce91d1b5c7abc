/** Measuring on noisy machines: cases in turn, medians, and ratios within one run. */
import { spawn } from 'node:child_process'
import { cpus, totalmem } from 'node:os'

export interface Sample {
  readonly median: number
  readonly min: number
  readonly max: number
}

export function sampleOf(values: readonly number[]): Sample {
  const sorted = [...values].sort((a, b) => a - b)
  return {
    median: sorted[Math.floor(sorted.length / 2)] ?? Number.NaN,
    min: sorted[0] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
  }
}

export const format = ({ median, min, max }: Sample, unit = 'ms'): string =>
  `${median.toFixed(1)} ${unit} (${min.toFixed(1)}..${max.toFixed(1)})`

/** What every figure depends on. */
export function machineLine(): string {
  return `${process.platform} ${process.arch}, ${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, node ${process.version}`
}

export interface Command {
  readonly file: string
  readonly args: readonly string[]
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
}

/** Runs a program to its end. In milliseconds; throws when it fails, since a quick failure is no figure. */
export function timeCommand({ file, args, cwd, env }: Command): Promise<number> {
  return new Promise((resolve, reject) => {
    const startedMs = performance.now()
    const child = spawn(file, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
    })
    child.stderr.on('data', (chunk) => {
      output += chunk
    })
    child.on('error', reject)
    child.on('close', (code) => {
      const ms = performance.now() - startedMs
      if (code === 0) resolve(ms)
      else reject(new Error(`${file} ${args.join(' ')} exited with ${code}: ${output}`))
    })
  })
}

export interface Usage {
  readonly wallMs: number
  readonly cpuMs: number
  readonly peakBytes: number
}

const usageMark = 'usage of the process: '
const tellUsage = `process.on('exit', () => { const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage(); process.stderr.write(${JSON.stringify(usageMark)} + [userCPUTime + systemCPUTime, maxRSS].join(' ')) })`

/** Runs a Node program, which tells at its end what it took. */
export function runMeasured({ file, args, cwd, env }: Command): Promise<Usage> {
  return new Promise((resolve, reject) => {
    const startedMs = performance.now()
    const child = spawn(file, ['--import', `data:text/javascript,${encodeURIComponent(tellUsage)}`, ...args], {
      cwd,
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let output = ''
    child.stderr.on('data', (chunk) => {
      output += chunk
    })
    child.on('error', reject)
    child.on('close', (code) => {
      const wallMs = performance.now() - startedMs
      const [cpuUs, peakKiB] = (output.split(usageMark)[1] ?? '').split(' ').map(Number)
      if (code === 0 && cpuUs !== undefined && peakKiB !== undefined)
        resolve({ wallMs, cpuMs: cpuUs / 1000, peakBytes: peakKiB * 1024 })
      else reject(new Error(`${file} ${args.join(' ')} exited with ${code}: ${output}`))
    })
  })
}

/** Runs the cases in turn, so that a drift of the machine hits all alike. The first round warms caches and does not count. */
export async function interleave<Name extends string>(
  cases: Readonly<Record<Name, () => Promise<number>>>,
  rounds: number,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(cases) as Name[]
  const values = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>
  for (let round = 0; round <= rounds; round++) {
    for (const name of names) {
      const value = await cases[name]()
      if (round > 0) values[name].push(value)
    }
  }
  return values
}

/** Median of the ratios round by round, which is steadier than the ratio of the medians. */
export function ratioOf(values: readonly number[], base: readonly number[]): Sample {
  return sampleOf(values.map((value, index) => value / (base[index] ?? Number.NaN)))
}
