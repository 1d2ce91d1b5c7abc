/** POST /api/create. Draft models, safetensors, split files and remote stubs are not built here. */
import { blobsInOrder } from './content.ts'
import { assemble, CreateFailure, type DeriveFields, type Start, startFrom } from './derive.ts'
import { type Exchange, type LineWriter, Refusal, silentWriter, streamErrorType } from './exchange.ts'
import { type Files, NotBuilt, readFiles } from './files.ts'
import { type Name, readName, readSource, showName } from './names.ts'
import { PullFailure } from './pull-errors.ts'
import type { Pulls } from './pulls.ts'
import { type Quantizer, quantized } from './quantize.ts'
import type { Installed, Store } from './store.ts'

const notBuilt = ['draft_files', 'draft_quantize', 'remote_host'] as const

export interface CreateContext {
  store: Store
  pulls: Pulls
  problems: string[]
  quantizer: Quantizer
  noPrune: boolean
}

type Values = Record<string, unknown>

export async function create(
  exchange: Exchange,
  context: CreateContext,
  target: Name | undefined,
  values: Values,
): Promise<void> {
  const { problems, pulls } = context
  checkFiles(values)
  if (target === undefined) throw new Refusal(400, 'invalid model name')
  const unbuilt = notBuilt.find((key) => values[key] !== undefined && values[key] !== '')
  if (unbuilt !== undefined) throw refuseNotBuilt(unbuilt, problems)
  if (pulls.running.length > 0) {
    problems.push(`create of ${showName(target)} during the pull of ${pulls.running.join(', ')}`)
  }

  const streamed = values['stream'] !== false
  const stream: LineWriter = streamed ? exchange.stream() : silentWriter
  let isStarted = false
  const writer: LineWriter = {
    line: async (value) => {
      isStarted = streamed
      await stream.line(value)
    },
    end: () => stream.end(),
  }
  try {
    await build(exchange, context, target, values, writer)
    if (!streamed) exchange.json(200, { status: 'success' }, streamErrorType)
  } catch (error) {
    if (error instanceof NotBuilt) throw refuseNotBuilt(error.message, problems)
    if (!(error instanceof PullFailure) && !(error instanceof CreateFailure)) throw error
    if (!isStarted) {
      throw new Refusal(error instanceof CreateFailure ? error.status : 500, error.message, streamErrorType)
    }
    await writer.line({ error: error.message })
  }
  await writer.end()
}

function refuseNotBuilt(what: string, problems: string[]): Refusal {
  problems.push(`POST /api/create with "${what}", which this test server does not build`)
  return new Refusal(501, 'the test server does not build this')
}

function filesIn(values: Values, key: 'files' | 'adapters'): Files | undefined {
  return values[key] as Files | undefined
}

/** What is found before any work, and before the name is looked at. */
function checkFiles(values: Values): void {
  const files = Object.entries(filesIn(values, 'files') ?? {})
  for (const [path, digest] of files) {
    if (!isInside(path)) throw new Refusal(400, 'file path must be relative')
    if (digest === '') throw new Refusal(400, 'invalid digest format')
  }
  const adapters = Object.values(filesIn(values, 'adapters') ?? {})
  if (adapters.includes('')) throw new Refusal(400, 'invalid digest format')
}

function isInside(path: string): boolean {
  return path === '.' || path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
}

async function build(
  exchange: Exchange,
  context: CreateContext,
  target: Name,
  values: Values,
  writer: LineWriter,
): Promise<void> {
  const { store, quantizer, noPrune } = context
  const given = await findStart(exchange, context, values, writer)
  const adapters = filesIn(values, 'adapters')
  const adapted = adapters === undefined ? given : await withAdapters(given, adapters, store, writer)
  const start = await quantized(adapted, String(values['quantize'] ?? ''), quantizer, store, writer)
  const { content, extras, statuses } = assemble(start, values as DeriveFields, store)
  for (const status of statuses) await writer.line({ status })
  await writer.line({ status: 'writing manifest' })
  const before = store.get(target)
  store.write(target, content, extras)
  if (before !== undefined && !noPrune) store.prune(blobsInOrder(before.content).map((layer) => layer.digest))
  await writer.line({ status: 'success' })
}

/** A base wins over files. */
async function findStart(
  exchange: Exchange,
  context: CreateContext,
  values: Values,
  writer: LineWriter,
): Promise<Start> {
  const { store } = context
  const from = String(values['from'] ?? '')
  const files = filesIn(values, 'files')
  if (from !== '') return startFrom(await findBase(exchange, context, values, writer), store)
  if (files === undefined) throw new CreateFailure("neither 'from' or 'files' was specified", 400)
  const { layers, extras } = await readFiles(files, false, store, writer)
  return { layers, config: {}, extras }
}

async function findBase(
  exchange: Exchange,
  { store, pulls, problems }: CreateContext,
  values: Values,
  writer: LineWriter,
): Promise<Installed> {
  const from = String(values['from'])
  const source = readSource(from)
  if (source.kind === 'cloud') throw new NotBuilt(from)
  const base = source.kind === 'conflict' ? undefined : readName(source.name)
  if (base === undefined) throw new CreateFailure('invalid model name', 400)
  const found = exactly(store, base)
  if (found !== undefined) return found
  problems.push(`create from ${showName(base)}, which is not installed: the server pulls it by itself`)
  try {
    await pulls.run(base, false, writer, exchange.signal)
  } catch (error) {
    if (error instanceof PullFailure) leaveLayers(values as DeriveFields, store)
    throw error
  }
  const pulled = store.get(base)
  if (pulled === undefined) throw new Error(`test server: ${from} is not there after its pull`)
  return pulled
}

/** Without its base the server goes on up to the first line, which nobody reads any more: the new layers stay. */
function leaveLayers(fields: DeriveFields, store: Store): void {
  try {
    assemble({ layers: [], config: {}, extras: {} }, fields, store)
  } catch (error) {
    if (!(error instanceof CreateFailure)) throw error
  }
}

/** The spelling of a base counts: another case is another model. */
function exactly(store: Store, base: Name): Installed | undefined {
  const found = store.get(base)
  return found !== undefined && showName(found.name) === showName(base) ? found : undefined
}

async function withAdapters(start: Start, adapters: Files, store: Store, writer: LineWriter): Promise<Start> {
  const { layers } = await readFiles(adapters, true, store, writer)
  return { ...start, layers: [...start.layers, ...layers] }
}
