/** What lock and record know, in the terms of the plan. Pure. */
import { blobsOf, formatManifest, type Layer, type Manifest } from '../artifact/manifest.ts'
import { parseListedName, referenceKey } from '../artifact/reference.ts'
import { printable } from '../artifact/text.ts'
import type { Pin, PreviousVersion, Recorded, Resolution } from '../plan/resolution.ts'
import { isLockedPull, type Lock, type LockedPull } from '../record/lock.ts'
import type { HostRecord } from '../record/record.ts'
import type { ReadFile } from './inputs.ts'

export interface Memory {
  readonly lock: Lock | undefined
  readonly record: HostRecord | undefined
  /** The config that is planned, as the record names it. */
  readonly configFile: string | undefined
  /** Whether another config, by its path, is still there. */
  readonly exists: (file: string) => boolean
}

export interface Recalled
  extends Pick<Resolution, 'pins' | 'contents' | 'recorded' | 'copies' | 'declaredBy' | 'broughtElsewhere'> {
  /** Whether an apply of this config is recorded. */
  readonly applied: boolean
  /** Files as they were when an apply read them, by absolute path. */
  readonly inputs: ReadonlyMap<string, ReadFile>
}

export function recall({ lock, record, configFile, exists }: Memory): Recalled {
  const pins = new Map<string, Pin>()
  const contents = new Map<string, readonly Layer[]>()
  const recorded = new Map<string, Recorded>()
  const copies = new Map<string, PreviousVersion>()
  const declaredBy = new Map<string, string>()
  const broughtElsewhere = new Set<string>()
  const inputs = new Map<string, ReadFile>()
  let applied = false
  for (const [file, config] of Object.entries(record?.configs ?? {})) {
    const own = file === configFile
    applied ||= own
    for (const { digest, blobs } of [...Object.values(config.models), ...Object.values(config.copies)]) {
      if (blobs !== null) contents.set(digest, blobs)
    }
    for (const [name, { of, digest, at, broughtIn }] of Object.entries(config.copies)) {
      // No copy of ours has the name of its model.
      if (keyOf(name) === keyOf(of)) continue
      copies.set(keyOf(name), { of: keyOf(of), reference: of, digest, at, own, broughtIn })
    }
    if (own) {
      for (const [reference, { digest, broughtIn, built }] of Object.entries(config.models)) {
        recorded.set(keyOf(reference), { reference, digest, broughtIn, ...(built === undefined ? {} : { built }) })
        for (const { file: input, ...read } of built?.inputs ?? []) inputs.set(input, read)
      }
      continue
    }
    for (const { digest, broughtIn } of Object.values(config.models)) if (broughtIn) broughtElsewhere.add(digest)
    if (exists(file)) {
      for (const reference of config.declared) declaredBy.set(keyOf(reference), printable(file, 200))
    }
  }
  for (const [reference, entry] of Object.entries(lock?.models ?? {})) {
    if (!isLockedPull(entry)) continue
    const pin = pinOf(entry)
    pins.set(keyOf(reference), pin)
    if (pin.manifest !== null) contents.set(pin.digest, blobsOf(pin.manifest))
  }
  return { pins, contents, recorded, copies, declaredBy, broughtElsewhere, applied, inputs }
}

function pinOf({ digest, config, layers, manifest: text }: LockedPull): Pin {
  const manifest: Manifest | null = layers === null ? null : { config, layers }
  return {
    digest,
    manifest,
    ...(text === undefined || manifest === null || text === formatManifest(manifest) ? {} : { text }),
  }
}

function keyOf(reference: string): string {
  return referenceKey(parseListedName(reference))
}
