/** POST /api/create with `from`. Files, adapters, quantization, `info` and remote stubs are not built here. */
import { blobsInOrder } from './content.ts'
import { type DeriveFields, derive } from './derive.ts'
import { type Exchange, type LineWriter, Refusal, silentWriter, streamErrorType } from './exchange.ts'
import { type Name, readName, readSource, showName } from './names.ts'
import { PullFailure } from './pull-errors.ts'
import type { Pulls } from './pulls.ts'
import type { Installed, Store } from './store.ts'

const notBuilt = ['files', 'adapters', 'draft_files', 'quantize', 'draft_quantize', 'info', 'remote_host'] as const

interface CreateContext {
  store: Store
  pulls: Pulls
  problems: string[]
}

export async function create(
  exchange: Exchange,
  context: CreateContext,
  target: Name | undefined,
  values: Record<string, unknown>,
): Promise<void> {
  const { problems, pulls, store } = context
  if (target === undefined) throw new Refusal(400, 'invalid model name')
  const from = String(values['from'] ?? '')
  if (from === '' && !values['files']) {
    throw new Refusal(400, "neither 'from' or 'files' was specified", streamErrorType)
  }
  const source = readSource(from)
  const unbuilt = notBuilt.find((key) => values[key] !== undefined && values[key] !== '')
  if (unbuilt !== undefined || source.kind === 'cloud') {
    problems.push(`POST /api/create with "${unbuilt ?? from}", which this test server does not build`)
    throw new Refusal(501, 'the test server does not build this')
  }
  const base = source.kind === 'conflict' ? undefined : readName(source.name)
  if (base === undefined) throw new Refusal(400, 'invalid model name', streamErrorType)
  if (typeof values['license'] === 'number') {
    throw new Refusal(500, 'json: cannot unmarshal number into Go value of type []string', streamErrorType)
  }
  // The only mistake in a template that is noticed here.
  const template = String(values['template'] ?? '')
  const isUnclosed = template.lastIndexOf('{{') > template.lastIndexOf('}}')
  const templateError = 'template error: template: :1: unclosed action'
  if (isUnclosed && exactly(store, base) !== undefined) throw new Refusal(400, templateError, streamErrorType)
  if (pulls.running.length > 0) {
    problems.push(`create of ${showName(target)} during the pull of ${pulls.running.join(', ')}`)
  }

  const streamed = values['stream'] !== false
  const writer: LineWriter = streamed ? exchange.stream() : silentWriter
  try {
    let found = exactly(store, base)
    if (found === undefined) {
      problems.push(`create from ${showName(base)}, which is not installed: the server pulls it by itself`)
      await pulls.run(base, false, writer, exchange.signal)
      found = exactly(store, base)
    }
    if (isUnclosed) throw new PullFailure(templateError)
    if (found !== undefined) await build(store, found, target, values as DeriveFields, writer)
    await writer.line({ status: 'success' })
    if (!streamed) exchange.json(200, { status: 'success' }, streamErrorType)
  } catch (error) {
    if (!(error instanceof PullFailure)) throw error
    if (!streamed) throw new Refusal(500, error.message, streamErrorType)
    await writer.line({ error: error.message })
  }
  await writer.end()
}

/** The spelling of a base counts: another case is another model. */
function exactly(store: Store, base: Name): Installed | undefined {
  const found = store.get(base)
  return found !== undefined && showName(found.name) === showName(base) ? found : undefined
}

async function build(
  store: Store,
  base: Installed,
  target: Name,
  fields: DeriveFields,
  writer: LineWriter,
): Promise<void> {
  const content = derive(base.content, showName(base.name), fields)
  for (const { digest } of content.layers) {
    const verb = store.blobs.has(digest) ? 'using existing layer' : 'creating new layer'
    await writer.line({ status: `${verb} ${digest}` })
  }
  await writer.line({ status: 'writing manifest' })
  const before = store.get(target)
  store.writeDerived(target, content, base)
  if (before !== undefined) store.prune(blobsInOrder(before.content).map((layer) => layer.digest))
}
