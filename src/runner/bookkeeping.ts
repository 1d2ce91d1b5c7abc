/** What an apply leaves behind on this machine: the record of what it brought in, and the lock file's new entries. */
import type { ChangeFinished, Event, KeepingPrevious } from '../apply/events.ts'
import { blobsOf, type Layer, layerWord, type Manifest } from '../artifact/manifest.ts'
import { compareText, formatReference, parseListedName } from '../artifact/reference.ts'
import { type Diagnostic, toErrorData } from '../errors.ts'
import {
  type BuiltFrom,
  type Change,
  type DeriveChange,
  isBuild,
  isFetch,
  manifestOf,
  type PlannedManifest,
  type RebuildChange,
  type Target,
} from '../plan/plan.ts'
import { rewritesManifests } from '../plan/server-version.ts'
import type { DesiredState } from '../plan/state.ts'
import type { LockedDerivation, LockedModel } from '../record/lock.ts'
import { lockedPull } from '../record/lock-file.ts'
import {
  type ConfigRecord,
  emptyConfigRecord,
  type HostRecord,
  type RecordedBuild,
  type RecordedModel,
} from '../record/record.ts'

/** The record of one host, as `record-file` keeps it. */
export interface RecordKeeper {
  read(): Promise<HostRecord | undefined>
  update(change: (record: HostRecord) => HostRecord): Promise<HostRecord>
}

export interface Books {
  readonly target: Target
  readonly desired: DesiredState
  /** `undefined`: no record is kept. */
  readonly record: { readonly keeper: RecordKeeper; readonly configFile: string } | undefined
  /** Writes entries into the lock file, where there is one that may be written. Returns the names of those that changed. */
  readonly lock: ((entries: ReadonlyMap<string, LockedModel>) => Promise<readonly string[]>) | undefined
  /** Name of the lock file in messages. */
  readonly lockFile: string | undefined
  /** Epoch milliseconds. */
  readonly now: () => number
  /** The plan was made by this process: what it says of files and blobs was looked at, and need not be once more. */
  readonly trusted: boolean
}

/** Passes the events on. A record that cannot be kept is a warning; a lock file that cannot be written is a failure. */
export async function* keepBooks(events: AsyncIterable<Event>, books: Books): AsyncGenerator<Event, void> {
  const keeper = new Bookkeeper(books)
  for await (const event of events) {
    if (event.type === 'apply-started') yield* keeper.begin()
    if (event.type === 'keeping-previous') yield* keeper.keepCopy(event)
    if (event.type === 'change-finished') {
      yield* keeper.finish(event)
      // At once: a crash later on must not leave a model that no lock names, as no other apply would pull it anew.
      await keeper.extendLock()
    }
    if (event.type !== 'apply-finished') {
      yield event
      continue
    }
    const lock = await keeper.closeLock()
    yield* lock.events
    yield lock.failed && event.outcome === 'done' ? { ...event, outcome: 'failed' } : event
  }
}

class Bookkeeper {
  readonly #books: Books
  readonly #changes: ReadonlyMap<string, Change>
  /** What the lock file does not have yet. */
  readonly #entries = new Map<string, LockedModel>()
  /** What this apply put there. */
  readonly #locked = new Set<string>()
  readonly #declared: ReadonlySet<string>
  /** Those of the declared that are built or copied here. */
  readonly #made: ReadonlySet<string>
  /** What changes left, by id. */
  readonly #digests = new Map<string, string | null>()
  /** One warning is enough. */
  #recordLost = false

  constructor(books: Books) {
    this.#books = books
    const { models } = books.desired
    this.#declared = new Set(models.map(({ reference }) => formatReference(reference)))
    this.#made = new Set(
      models.filter(({ recipe }) => recipe !== undefined).map(({ reference }) => formatReference(reference)),
    )
    this.#changes = new Map(books.target.changes.map((change) => [change.id, change]))
    for (const change of books.target.changes) {
      if (change.action === 'no-op' && change.lock !== undefined) this.#pin(change.reference, change.lock)
    }
  }

  /** What is declared, and what was found there as it should be. */
  begin(): AsyncGenerator<Event, void> {
    const { target } = this.#books
    const declared = [...this.#declared].sort()
    const fine = target.changes.filter(
      ({ action, reference, cloud }) => action === 'no-op' && this.#declared.has(reference) && !cloud,
    )
    return this.#record((config) => {
      const seen = fine.flatMap((change) => {
        const { reference, before } = change
        if (!before?.digest) return []
        const entry = this.#seen(config.models[reference], before.digest)
        return [
          [reference, 'built' in change && change.built !== undefined ? rebuilt(entry, change.built) : entry] as const,
        ]
      })
      return { ...config, declared, models: { ...config.models, ...Object.fromEntries(seen) } }
    })
  }

  #seen(earlier: RecordedModel | undefined, digest: string): RecordedModel {
    return earlier?.digest === digest ? earlier : { digest, broughtIn: false, at: this.#time(), blobs: null }
  }

  keepCopy({ id, copy, digest }: KeepingPrevious): AsyncGenerator<Event, void> {
    const of = this.#changes.get(id)?.reference ?? ''
    return this.#record((config) => ({
      ...config,
      copies: {
        ...config.copies,
        [copy]: {
          of,
          digest,
          broughtIn: broughtIn(config, of, digest),
          at: this.#time(),
          blobs: blobsKnown(config, digest),
          ...builtKnown(config, of, digest),
        },
      },
    }))
  }

  async *finish({ id, outcome, digest, fetched, made }: ChangeFinished): AsyncGenerator<Event, void> {
    const change = this.#changes.get(id)
    if (outcome === 'done') this.#digests.set(id, digest)
    if (change === undefined || outcome !== 'done' || change.cloud) return
    const { reference } = change
    if (change.action === 'delete') {
      yield* this.#record((config) => ({
        ...config,
        models: without(config.models, reference),
        copies: without(config.copies, reference),
      }))
      return
    }
    if (digest === null) return
    // A server before 0.19 lists a digest of its own for what was pulled and checked.
    const isRewritten = fetched === true && rewritesManifests(this.#books.target.serverVersion)
    const built = isBuild(change) ? this.#builtFrom(change) : undefined
    const manifest = isFetch(change) && (change.manifest?.digest === digest || isRewritten) ? change.manifest : null
    const restored = change.action === 'restore' ? change.from : undefined
    let known: readonly Layer[] | null = null
    yield* this.#record((config) => {
      known = blobsKnown(config, digest)
      const blobs =
        manifest === null
          ? ((this.#books.trusted ? foreseenBlobs(change, digest) : null) ?? known)
          : blobsOf(manifestOf(manifest))
      // A saved plan may bring what another config declares.
      const own =
        // What was damaged was somebody's before: whose, the record knows.
        ((fetched === true || made === true) && this.#declared.has(reference) && change.reason.code !== 'damaged') ||
        (config.copies[restored ?? '']?.broughtIn ?? broughtIn(config, reference, digest))
      return {
        ...config,
        models: {
          ...config.models,
          [reference]: {
            digest,
            broughtIn: own,
            at: this.#time(),
            blobs,
            ...(built === undefined ? builtKnown(config, restored ?? '', digest) : { built }),
          },
        },
        copies: restored === undefined ? config.copies : without(config.copies, restored),
      }
    })
    // The lock file is that of the config, whatever else a plan brings.
    if (!this.#declared.has(reference)) return
    if (built !== undefined && isBuild(change)) {
      this.#entries.set(reference, lockedDerivation(change.build.from, digest, built))
    } else if (this.#made.has(reference)) {
      // What is locked of a model that is made here is how, which a rollback does not change.
    } else if (restored !== undefined || (fetched === true && !isLocked(change))) {
      this.#pin(reference, manifest ?? { digest, manifest: known === null ? null : manifestFrom(known) })
    }
  }

  /** What it was built from: a base that this apply brought has the digest that it has now. */
  #builtFrom({ declaration, build, precondition, dependsOn }: DeriveChange | RebuildChange): RecordedBuild {
    const [dependency = ''] = dependsOn
    const base = build.from === null ? null : (precondition.base ?? this.#digests.get(dependency) ?? null)
    const files = this.#books.trusted ? [...build.files, ...build.adapters] : []
    const inputs = files.map(({ file, digest, sizeBytes, modifiedMs }) => ({
      file,
      digest,
      sizeBytes,
      modifiedMs,
    }))
    return { declaration, base, inputs }
  }

  /** What goes into the lock file. */
  #pin(reference: string, version: PlannedManifest | KnownVersion): void {
    const known =
      'layers' in version ? { digest: version.digest, manifest: manifestOf(version), text: version.text } : version
    const registry = parseListedName(reference).host
    this.#entries.set(reference, lockedPull({ registry, ...known }))
  }

  /** What cannot be written is tried again with the next change, and at the end. Returns why it could not. */
  async extendLock(): Promise<{ readonly error: unknown } | undefined> {
    const { lock } = this.#books
    if (lock === undefined || this.#entries.size === 0) return undefined
    try {
      for (const reference of await lock(this.#entries)) this.#locked.add(reference)
      this.#entries.clear()
      return undefined
    } catch (error) {
      return { error }
    }
  }

  async closeLock(): Promise<{ readonly events: readonly Event[]; readonly failed: boolean }> {
    const problem = await this.extendLock()
    const { lockFile: file = '' } = this.#books
    const events: Event[] =
      this.#locked.size === 0 ? [] : [{ type: 'lock-updated', file, references: [...this.#locked].sort(compareText) }]
    if (problem === undefined) return { events, failed: false }
    const diagnostic = diagnosticOf(problem.error, 'error')
    const hint = `${diagnostic.hint ?? 'mend that'}; then "ollama-config lock" pins what is installed`
    return { events: [...events, { type: 'diagnostic', diagnostic: { ...diagnostic, hint } }], failed: true }
  }

  async *#record(change: (config: ConfigRecord) => ConfigRecord): AsyncGenerator<Event, void> {
    const { record } = this.#books
    if (record === undefined || this.#recordLost) return
    try {
      await record.keeper.update((host) => ({
        ...host,
        configs: { ...host.configs, [record.configFile]: change(host.configs[record.configFile] ?? emptyConfigRecord) },
      }))
    } catch (error) {
      this.#recordLost = true
      yield { type: 'diagnostic', diagnostic: diagnosticOf(error, 'warning') }
    }
  }

  #time(): string {
    return new Date(this.#books.now()).toISOString()
  }
}

/** What a restored version is made of, from the record: its config comes last. */
interface KnownVersion {
  readonly digest: string
  readonly manifest: Manifest | null
}

function manifestFrom(blobs: readonly Layer[]): Manifest {
  const last = blobs.at(-1)
  const hasConfig = last !== undefined && layerWord(last) === 'config'
  return { config: hasConfig ? last : null, layers: hasConfig ? blobs.slice(0, -1) : blobs }
}

/** From what the model, or the copy of one, was built, where that is still so. */
function builtKnown({ models, copies }: ConfigRecord, name: string, digest: string): Pick<RecordedModel, 'built'> {
  const entry = copies[name] ?? models[name]
  return entry?.digest === digest && entry.built !== undefined ? { built: entry.built } : {}
}

function foreseenBlobs(change: Change, digest: string): readonly Layer[] | null {
  return isBuild(change) && change.after?.digest === digest ? change.blobs : null
}

/** Files that it needed stay known as they were read. */
function rebuilt(entry: RecordedModel, built: BuiltFrom): RecordedModel {
  return { ...entry, built: { ...built, inputs: entry.built?.inputs ?? [] } }
}

function lockedDerivation(from: string | null, digest: string, { declaration, base }: RecordedBuild): LockedDerivation {
  return { digest, declaration, base: from === null || base === null ? null : { reference: from, digest: base } }
}

function isLocked(change: Change): boolean {
  return isFetch(change) && change.locked && change.after?.digest === change.manifest?.digest
}

function broughtIn({ models }: ConfigRecord, reference: string, digest: string): boolean {
  const model = models[reference]
  return model?.digest === digest && model.broughtIn
}

function blobsKnown(config: ConfigRecord, digest: string): readonly Layer[] | null {
  const entries = [...Object.values(config.models), ...Object.values(config.copies)]
  return entries.find((entry) => entry.digest === digest && entry.blobs !== null)?.blobs ?? null
}

function without<T>(entries: Readonly<Record<string, T>>, name: string): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(entries).filter(([key]) => key !== name))
}

function diagnosticOf(error: unknown, severity: Diagnostic['severity']): Diagnostic {
  const { code, message, hint } = toErrorData(error)
  return { severity, code, message, ...(hint === undefined ? {} : { hint }) }
}
