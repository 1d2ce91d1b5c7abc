/** Which GPUs this machine has, as far as it can be told without a library. */
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { printable } from '../artifact/text.ts'
import { findProgram } from '../runtime/find-program.ts'
import { outputOf } from '../runtime/run-program.ts'

export interface Gpu {
  readonly vendor: 'nvidia' | 'amd' | 'intel' | 'apple'
  readonly name: string
  /** `null` when unknown, and where it shares the memory of the machine. */
  readonly memoryBytes: number | null
  /** Whether its driver is loaded; `null` when that cannot be told. */
  readonly driver: boolean | null
}

export interface GpuOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly platform: string
  /** As `process.arch`. */
  readonly arch: string
  /** Default: `/`. */
  readonly root?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** `null` where nothing tells. */
export async function findGpus(options: GpuOptions): Promise<readonly Gpu[] | null> {
  const { platform, arch, root = '/' } = options
  if (platform === 'darwin')
    return arch === 'arm64' ? [{ vendor: 'apple', name: 'Apple silicon', memoryBytes: null, driver: true }] : null
  const [nvidia, cards] = await Promise.all([askNvidia(options), platform === 'linux' ? readCards(root) : null])
  if (nvidia.length > 0) return [...nvidia, ...(cards ?? []).filter(({ vendor }) => vendor === 'amd')]
  return cards
}

/** It may have to load the driver first, which takes seconds. */
const timeoutMs = 1000

async function askNvidia({ env, platform, signal }: GpuOptions): Promise<readonly Gpu[]> {
  const program = findProgram('nvidia-smi', env, platform)
  if (program === undefined) return []
  const words = ['--query-gpu=name,memory.total', '--format=csv,noheader,nounits']
  const text = (await outputOf(program, words, { env, timeoutMs, signal })) ?? ''
  return text.split('\n').flatMap((line): readonly Gpu[] => {
    const [, name, mebibytes] = /^(.+), *(\d+)\s*$/.exec(line) ?? []
    if (name === undefined) return []
    return [{ vendor: 'nvidia', name: printable(name, 80), memoryBytes: Number(mebibytes) * 2 ** 20, driver: true }]
  })
}

const vendors: Readonly<Record<string, Gpu['vendor']>> = { '0x10de': 'nvidia', '0x1002': 'amd', '0x8086': 'intel' }
const names = { nvidia: 'NVIDIA', amd: 'AMD', intel: 'Intel', apple: 'Apple' }

/** Of Linux. A machine without a display has none of the folder, and one in WSL has no cards in it. */
async function readCards(root: string): Promise<readonly Gpu[]> {
  const drm = path.join(root, 'sys/class/drm')
  const cards = (await readdir(drm).catch(() => [])).filter((name) => /^card\d+$/.test(name)).sort()
  const found = await Promise.all(cards.map((card) => readCard(path.join(drm, card, 'device'), root)))
  const nvidia = await readNvidia(root)
  // The driver knows their names.
  return [...nvidia, ...found.flat().filter(({ vendor }) => vendor !== 'nvidia' || nvidia.length === 0)]
}

async function readCard(device: string, root: string): Promise<readonly Gpu[]> {
  const text = (name: string) => readFile(path.join(device, name), 'utf8').catch(() => '')
  const vendor = vendors[(await text('vendor')).trim()]
  if (vendor === undefined) return []
  const bytes = Number(await text('mem_info_vram_total'))
  const driver = vendor === 'nvidia' ? existsSync(path.join(root, 'proc/driver/nvidia')) : null
  return [{ vendor, name: `${names[vendor]} GPU`, memoryBytes: bytes > 0 ? bytes : null, driver }]
}

async function readNvidia(root: string): Promise<readonly Gpu[]> {
  const folder = path.join(root, 'proc/driver/nvidia/gpus')
  const slots = (await readdir(folder).catch(() => [])).sort()
  return Promise.all(
    slots.map(async (slot): Promise<Gpu> => {
      const text = await readFile(path.join(folder, slot, 'information'), 'utf8').catch(() => '')
      const name = printable(/^Model:\s*(.+)$/m.exec(text)?.[1] ?? 'NVIDIA GPU', 80)
      return { vendor: 'nvidia', name, memoryBytes: null, driver: true }
    }),
  )
}
