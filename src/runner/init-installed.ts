/** Declares what a host or a store has. What is declared is what a plan then calls fine; everything else is kept. */
import { existsSync } from 'node:fs'
import path from 'node:path'
import { compareText, formatReference, referenceKey } from '../artifact/reference.ts'
import { printable } from '../artifact/text.ts'
import type { Backend, ModelDetails } from '../backend/backend.ts'
import { readStateWhenReady } from '../backend/wait.ts'
import type { Config, ModelDeclaration } from '../config/config.ts'
import { isConfigError, isOllamaConfigError, type OllamaConfigError, toErrorData } from '../errors.ts'
import type { Draft, DraftItem, KeptModel } from '../init/draft.ts'
import { type Answer, type Origin, originsOf } from '../init/origins.ts'
import { writeBuild } from '../init/written.ts'
import type { Change } from '../plan/plan.ts'
import type { InstalledModel } from '../plan/state.ts'
import { createRegistryClient } from '../registry/client.ts'
import { sharedSignal } from '../runtime/abortable.ts'
import { Turns } from '../runtime/turns.ts'
import { connect, openRegistry, registryOptions } from './connection.ts'
import type { InitOptions } from './init.ts'
import { resolveKnown } from './known.ts'
import { isLocal, type Place, selectPlace } from './place.ts'
import { createPlan } from './plan.ts'

/** A config is written once, and worth waiting for. */
const registryBudgetMs = 10_000
const showsAtOnce = 8

interface Declared {
  readonly model: InstalledModel
  readonly kind: Origin['kind']
  /** The model that it is made of here. */
  readonly source?: InstalledModel
  readonly declaration: string | ModelDeclaration
  readonly note?: string | undefined
}

/**
 * @param file Of the config to be, which need not be there yet
 * @throws {OllamaConfigError} what the host answers, `usage`, `invalid-address`
 */
export async function draftInstalled(file: string, options: InitOptions): Promise<Draft & { readonly asked: string }> {
  const { place } = selectPlace(options, undefined)
  const backend = await connect(place, { models: [] }, options)
  const { models: unsorted, serverVersion, unreadable } = await readStateWhenReady(backend, options)
  const models = [...unsorted].sort((a, b) => compareText(a.name, b.name))
  const answers = options.offline
    ? new Map<string, Answer>()
    : await askRegistries(models, place, serverVersion, options)
  const kept: KeptModel[] = []
  const keep = ({ name }: InstalledModel, reason: string) => void kept.push({ name, reason })
  const declared = await declareAll(originsOf(models, answers), backend, place, keep, options)
  const confirmed = await confirm(declared, keep, file, options)
  return {
    asked: backend.address,
    intro: [`What ${backend.address} has, written by "ollama-config init --from-installed".`],
    items: [
      ...inOrder(confirmed),
      ...unreadable.map((name) => ({ comment: `${name}: installed under what is no valid name, and left alone` })),
    ],
    keep: kept.sort((a, b) => compareText(a.name, b.name)),
  }
}

/** By `referenceKey`. A registry that does not answer over TLS is asked over plain http: that is what `insecure` stands for. */
async function askRegistries(
  models: readonly InstalledModel[],
  place: Place,
  serverVersion: string | null,
  options: InitOptions,
): Promise<ReadonlyMap<string, Answer>> {
  const registry = await openRegistry(place, serverVersion, options)
  // Without a key: nothing is signed for whoever answers there.
  const plainRegistry = createRegistryClient({ ...registryOptions(place, serverVersion, options), readKey: undefined })
  const over = AbortSignal.timeout(registryBudgetMs)
  const signal = sharedSignal(options.signal, over)
  const ask = async ({ reference }: InstalledModel): Promise<Answer> => {
    const attempt = async (insecure: boolean) => {
      try {
        return await (insecure ? plainRegistry : registry).manifest({ reference, insecure, signal })
      } catch (error) {
        options.signal?.throwIfAborted()
        if (!over.aborted) throw error
        return { kind: 'unknown', problem: `${reference.host} did not answer in time`, hint: '' } as const
      }
    }
    const answer = await attempt(false)
    if (answer.kind !== 'unknown' || over.aborted || isPublic(reference.host)) return { answer, insecure: false }
    const plain = await attempt(true)
    const isThere = plain.kind === 'found' || plain.kind === 'missing'
    return isThere ? { answer: plain, insecure: true } : { answer, insecure: false }
  }
  try {
    const local = models.filter(({ remoteHost }) => remoteHost === undefined)
    const asked = local.map(async (model) => [referenceKey(model.reference), await ask(model)] as const)
    return new Map(await Promise.all(asked))
  } finally {
    registry.close()
    plainRegistry.close()
  }
}

/** These have TLS. */
function isPublic(host: string): boolean {
  return /^(?:registry\.ollama\.ai|ollama\.com|hf\.co|huggingface\.co)$/i.test(host)
}

type Keep = (model: InstalledModel, reason: string) => void

async function declareAll(
  origins: ReadonlyMap<InstalledModel, Origin>,
  backend: Backend,
  place: Place,
  keep: Keep,
  { signal }: InitOptions,
): Promise<readonly Declared[]> {
  const turns = new Turns(showsAtOnce)
  const shown = new Map<string, Promise<ModelDetails | OllamaConfigError>>()
  const show = ({ name }: InstalledModel) => {
    const showing =
      shown.get(name) ??
      turns
        .run(() => backend.show(name, { signal }))
        .catch((error: unknown) => {
          signal?.throwIfAborted()
          if (isOllamaConfigError(error)) return error
          throw error
        })
    shown.set(name, showing)
    return showing
  }
  const declare = async ([model, origin]: readonly [InstalledModel, Origin]): Promise<readonly Declared[]> => {
    const { name } = model
    switch (origin.kind) {
      case 'unknown':
        keep(model, origin.reason)
        return []
      case 'pulled':
        return [
          {
            model,
            kind: origin.kind,
            declaration: origin.insecure ? { name, insecure: true } : name,
            note: origin.note,
          },
        ]
      case 'alias':
        return [
          {
            model,
            kind: origin.kind,
            source: origin.of,
            declaration: { name, aliasOf: origin.of.name },
            note: origin.note,
          },
        ]
      case 'built': {
        const [details, base] = await Promise.all([show(model), show(origin.base)])
        if (isOllamaConfigError(details) || isOllamaConfigError(base)) {
          const [what, error] = isOllamaConfigError(details) ? ['it', details] : [`its base ${origin.base.name}`, base]
          const missing = `a part of ${what} is missing: try "ollama-config verify"`
          const { code, message } = toErrorData(error)
          keep(
            model,
            code === 'model-not-found' ? missing : `${what} could not be looked at: ${printable(message, 200)}`,
          )
          return []
        }
        const blobs = isLocal(place) && details.weightsFile !== null ? path.dirname(details.weightsFile) : undefined
        const { declaration, lacks } = writeBuild({
          name,
          baseName: origin.base.name,
          shown: details,
          base,
          adapterFile: (digest) => existing(blobs, digest.replace(':', '-')),
        })
        if (lacks !== undefined) keep(model, lacks)
        return lacks === undefined ? [{ model, kind: origin.kind, source: origin.base, declaration }] : []
      }
    }
  }
  return (await Promise.all([...origins].map(declare))).flat()
}

function existing(folder: string | undefined, name: string): string | undefined {
  const file = folder === undefined ? undefined : path.join(folder, name)
  return file !== undefined && existsSync(file) ? file : undefined
}

/** Plans with what is declared, and takes out what would be changed, until nothing would. */
async function confirm(
  all: readonly Declared[],
  keep: Keep,
  file: string,
  options: InitOptions,
): Promise<readonly Declared[]> {
  let declared = all
  for (;;) {
    const config: Config = { models: declared.map(({ declaration }) => declaration) }
    const wrong = new Map<Declared, string>()
    try {
      const known = await resolveKnown(config, { ...options, folder: path.dirname(file) })
      const { targets } = await createPlan({ ...known, file }, { ...options, prune: false })
      const changes = new Map(targets.flatMap((target) => target.changes).map((change) => [change.reference, change]))
      for (const item of declared) {
        const change = changes.get(formatReference(item.model.reference))
        const reason = change === undefined || change.action === 'delete' ? 'it is not planned' : whyChanged(change)
        if (reason !== undefined) wrong.set(item, reason)
      }
      if (wrong.size === 0) {
        const models = new Set(declared.map(({ model }) => model))
        return declared.map((item) => withNote(item, changes.get(formatReference(item.model.reference)), models))
      }
    } catch (error) {
      if (!isConfigError(error)) throw error
      for (const { path: place = '', message } of error.diagnostics) {
        const item = declared[Number(/^models\[(\d+)\]/.exec(place)?.[1])]
        if (item !== undefined) wrong.set(item, `it cannot be declared: ${message.replace(/^models\[\d+\]\.?/, '')}`)
      }
      if (wrong.size === 0) throw error
    }
    const gone = new Set([...wrong.keys()].map(({ model }) => model))
    for (const item of declared) {
      const { kind, source } = item
      if (kind === 'alias' && source !== undefined && gone.has(source))
        wrong.set(item, `a second name of ${source.name}, which is not declared`)
    }
    for (const [{ model }, reason] of wrong) keep(model, reason)
    declared = declared.filter((item) => !wrong.has(item))
  }
}

function whyChanged(change: Change): string | undefined {
  if (change.action === 'no-op') return undefined
  if (change.action !== 'rebuild') return `a plan would change it: ${change.reason.text}`
  const differences = change.differences.map(({ field, text }) => `${field}: ${text}`)
  const why = differences.length === 0 ? change.reason.text : differences.join(', ')
  return `building it again from ${change.build.from ?? 'its files'} would change it: ${why}`
}

/** What a server does not tell of messages, only the digest shows. */
function withNote(item: Declared, change: Change | undefined, models: ReadonlySet<InstalledModel>): Declared {
  const { declaration, source } = item
  if (typeof declaration === 'string') return item
  const isCompared = change?.action === 'no-op' && change.method === 'compared'
  const notes = [
    item.note ?? '',
    isCompared && declaration.messages !== undefined
      ? 'as far as the server tells, which leaves out images and tool calls'
      : '',
    source === undefined || models.has(source) ? '' : `${source.name} is on this host only: see "keep"`,
    declaration.adapters === undefined ? '' : 'the adapter lies where the model has it: put a copy beside this file',
  ]
  return { ...item, note: notes.filter((note) => note !== '').join('; ') }
}

const titles: readonly (readonly [Origin['kind'], string])[] = [
  ['pulled', 'Pulled:'],
  ['built', 'Built here:'],
  ['alias', 'Second names:'],
]

function inOrder(declared: readonly Declared[]): readonly DraftItem[] {
  const groups = titles.flatMap(([kind, title]) => {
    const group = declared.filter((item) => item.kind === kind)
    return group.length === 0 ? [] : [{ title, group }]
  })
  return groups.flatMap(({ title, group }) => [
    ...(groups.length === 1 ? [] : [{ comment: title }]),
    ...group.map(({ declaration, note }) => ({ declaration, note })),
  ])
}
