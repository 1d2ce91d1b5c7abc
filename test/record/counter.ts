/** A number in a record: lost and repeated updates show in it. */
import type { HostRecord } from '../../src/record/record.ts'
import { openRecord, type RecordPlace } from '../../src/record/record-file.ts'

export const host = 'http://127.0.0.1:11434'

export interface Counter {
  increase(): Promise<void>
  /** `0` when there is no record yet. */
  read(): Promise<number>
}

export function openCounter(folder: string, link?: RecordPlace['link']): Counter {
  const file = openRecord({ folder, host, ...(link === undefined ? {} : { link }) })
  return {
    increase: async () => void (await file.update((record) => withCount(record, countOf(record) + 1))),
    read: async () => {
      const record = await file.read()
      return record === undefined ? 0 : countOf(record)
    },
  }
}

/** What a file system without hard links does. */
export function refusingLink(code: string): NonNullable<RecordPlace['link']> {
  return async () => {
    throw Object.assign(new Error(`${code}: no links here`), { code })
  }
}

export function countOf({ configs }: HostRecord): number {
  return configs['/counter']?.models['counter:latest']?.blobs?.[0]?.sizeBytes ?? 0
}

export function withCount(record: HostRecord, count: number): HostRecord {
  const digest = `sha256:${'0'.repeat(64)}`
  const blobs = [{ mediaType: 'count', digest, sizeBytes: count }]
  const model = { digest, broughtIn: true, at: '2026-01-01T00:00:00.000Z', blobs }
  const config = { declared: [], models: { 'counter:latest': model }, copies: {} }
  return { ...record, configs: { ...record.configs, '/counter': config } }
}
