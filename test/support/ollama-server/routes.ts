/** Paths, methods and the checks before the work: the server's answers to everything but the body of a pull. */
import { type CreateContext, create } from './create.ts'
import { type Exchange, Refusal } from './exchange.ts'
import { isHostAllowed } from './host-guard.ts'
import { type BodyShape, decodeBody } from './json-body.ts'
import { load, type Runner } from './load.ts'
import { type Name, readName, readSource, respell, showName } from './names.ts'
import { describeForShow } from './show.ts'
import { listEntry } from './store.ts'

/** Bytes that a client sent and the server kept. */
export interface Upload {
  /** What they hash to, whatever they were announced as. */
  readonly digest: string
  readonly bytes: Uint8Array
}

export interface RouteContext extends CreateContext, Runner {
  version: string
  uploads: Upload[]
}

type Values = Record<string, unknown>
type Handler = (exchange: Exchange, context: RouteContext, values: Values) => Promise<void> | void

interface Route {
  methods: readonly string[]
  /** Where there is one, the body is decoded before the handler runs. */
  body?: BodyShape
  handle: Handler
}

const model = { model: 'string', name: 'string' } as const
const shapes = {
  pull: {
    type: 'PullRequest',
    fields: { ...model, insecure: 'bool', username: 'string', password: 'string', stream: 'bool' },
  },
  push: {
    type: 'PushRequest',
    fields: { ...model, insecure: 'bool', username: 'string', password: 'string', stream: 'bool' },
  },
  show: { type: 'ShowRequest', fields: { ...model, system: 'string', verbose: 'bool', options: 'any' } },
  copy: { type: 'CopyRequest', fields: { source: 'string', destination: 'string' } },
  delete: { type: 'DeleteRequest', fields: model },
  create: { type: 'CreateRequest', fields: createFields() },
  generate: { type: 'GenerateRequest', fields: { ...inferenceFields('prompt'), stream: 'bool' } },
  chat: { type: 'ChatRequest', fields: { ...inferenceFields('messages'), stream: 'bool' } },
  embed: { type: 'EmbedRequest', fields: inferenceFields('input') },
} satisfies Record<string, BodyShape>

function createFields(): BodyShape['fields'] {
  const texts = [
    'from',
    'quantize',
    'draft_quantize',
    'template',
    'system',
    'renderer',
    'parser',
    'requires',
    'remote_host',
  ]
  const others = ['draft_files', 'license', 'messages']
  return {
    ...model,
    ...Object.fromEntries(texts.map((key) => [key, 'string' as const])),
    ...Object.fromEntries(others.map((key) => [key, 'any' as const])),
    files: 'strings',
    adapters: 'strings',
    parameters: 'object',
    info: 'object',
    stream: 'bool',
  }
}

function inferenceFields(input: string): BodyShape['fields'] {
  return {
    model: 'string',
    [input]: 'any',
    keep_alive: 'duration',
    options: 'any',
    format: 'any',
    think: 'any',
    raw: 'bool',
  }
}

const routes: Record<string, Route> = {
  '/': {
    methods: ['GET', 'HEAD'],
    handle: (exchange) => exchange.text(200, 'Ollama is running', 'text/plain; charset=utf-8'),
  },
  '/api/version': { methods: ['GET', 'HEAD'], handle: (exchange, { version }) => exchange.json(200, { version }) },
  '/api/status': {
    methods: ['GET'],
    handle: (exchange) => exchange.json(200, { cloud: { disabled: true, source: 'env' } }),
  },
  '/api/tags': {
    methods: ['GET', 'HEAD'],
    handle: (exchange, { store }) => exchange.json(200, { models: store.list() }),
  },
  '/api/ps': { methods: ['GET'], handle: listLoaded },
  '/api/show': { methods: ['POST'], body: shapes.show, handle: show },
  '/api/pull': { methods: ['POST'], body: shapes.pull, handle: pull },
  '/api/push': { methods: ['POST'], body: shapes.push, handle: push },
  '/api/create': { methods: ['POST'], body: shapes.create, handle: build },
  '/api/copy': { methods: ['POST'], body: shapes.copy, handle: copy },
  '/api/delete': { methods: ['DELETE'], body: shapes.delete, handle: remove },
  '/api/generate': { methods: ['POST'], body: shapes.generate, handle: infer },
  '/api/chat': { methods: ['POST'], body: shapes.chat, handle: infer },
  '/api/embed': { methods: ['POST'], body: shapes.embed, handle: infer },
  '/api/blobs/': { methods: ['HEAD', 'POST'], handle: blob },
}

export async function route(exchange: Exchange, context: RouteContext, bytes: Uint8Array): Promise<void> {
  try {
    await dispatch(exchange, context, bytes)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    exchange.error(error.status, error.message, error.contentType)
  }
}

async function dispatch(exchange: Exchange, context: RouteContext, bytes: Uint8Array): Promise<void> {
  const { request } = exchange
  const { method, path } = request
  const host = request.headers['host']
  if (!isHostAllowed(Array.isArray(host) ? host[0] : host)) return exchange.empty(403)
  const found = /^\/api\/blobs\/[^/]+$/.test(path)
    ? routes['/api/blobs/']
    : path.endsWith('/blobs/')
      ? undefined
      : routes[path]
  if (found === undefined) return notFound(exchange, context)
  if (!found.methods.includes(method)) {
    context.problems.push(`${method} ${path}: the server has no such method`)
    return exchange.text(405, '405 method not allowed')
  }
  if (found.body === undefined) {
    if (bytes.length > 0 && method !== 'POST') context.problems.push(`${method} ${path} with a body`)
    return await found.handle(exchange, context, {})
  }
  if (bytes.length === 0) context.problems.push(`${method} ${path} without a body`)
  const decoded = decodeBody(new TextDecoder().decode(bytes), found.body)
  if ('error' in decoded) throw new Refusal(400, decoded.error)
  request.unknownKeys = decoded.unknownKeys
  await found.handle(exchange, context, decoded.values)
}

function notFound(exchange: Exchange, { problems }: RouteContext): void {
  const { method, path } = exchange.request
  const clean = path.replace(/\/{2,}/g, '/').replace(/(.)\/$/, '$1')
  if (clean !== path && method === 'GET' && routes[clean]?.methods.includes('GET')) {
    problems.push(`GET ${path} instead of ${clean}`)
    const link = `<a href="${clean}">Moved Permanently</a>.\n\n`
    exchange.text(301, link, 'text/html; charset=utf-8', { Location: clean })
    return
  }
  problems.push(`${method} ${path}: the server has no such path`)
  exchange.text(404, '404 page not found')
}

/** The name a request means, `model` before the old `name`. */
function nameOf(values: Values): string {
  return String(values['model'] || values['name'] || '')
}

function canonical(name: Name, { store }: RouteContext): Name {
  return respell(name, store.names())
}

async function pull(exchange: Exchange, context: RouteContext, values: Values): Promise<void> {
  const given = nameOf(values).trim()
  const source = readSource(given)
  if (source.kind === 'conflict') throw new Refusal(400, `use either :local or :cloud, not both: "${given}"`)
  const name = readName(source.name)
  if (name === undefined) throw new Refusal(400, 'invalid model name')
  await context.pulls.answer(
    exchange,
    canonical(name, context),
    values['insecure'] === true,
    values['stream'] !== false,
  )
}

async function build(exchange: Exchange, context: RouteContext, values: Values): Promise<void> {
  const name = readName(nameOf(values))
  await create(exchange, context, name === undefined ? undefined : canonical(name, context), values)
}

function show(exchange: Exchange, context: RouteContext, values: Values): void {
  const given = nameOf(values)
  if (given === '') throw new Refusal(400, 'model is required')
  const source = readSource(given)
  if (source.kind === 'conflict') throw new Refusal(400, `use either :local or :cloud, not both: "${given}"`)
  const parsed = readName(source.name)
  if (parsed === undefined) throw new Refusal(400, 'invalid model name')
  const cloudOff = 'ollama cloud is disabled: remote model details are unavailable'
  if (source.kind === 'cloud') throw new Refusal(403, cloudOff)
  const name = canonical(parsed, context)
  const found = context.store.get(name)
  if (found === undefined || !context.store.isComplete(found)) {
    throw new Refusal(404, `model '${showName(name)}' not found`)
  }
  const isRemote = 'remote_host' in listEntry(found)
  if (isRemote) throw new Refusal(403, cloudOff)
  exchange.json(200, describeForShow(found, values))
}

function copy(exchange: Exchange, context: RouteContext, values: Values): void {
  const { store } = context
  // Routing words mean nothing here: a model tagged `local` can be made this way.
  const from = String(values['source'] ?? '')
  const to = String(values['destination'] ?? '')
  const source = readName(from)
  if (source === undefined) throw new Refusal(400, `source "${from}" is invalid`)
  const destination = readName(to)
  if (destination === undefined) throw new Refusal(400, `destination "${to}" is invalid`)
  const found = store.get(canonical(source, context))
  if (found === undefined) throw new Refusal(404, `model "${from}" not found`)
  const target = canonical(destination, context)
  const isSame = store.get(target) === found
  if (!isSame) store.write(target, found.content, found.extras)
  exchange.empty(200)
}

function remove(exchange: Exchange, context: RouteContext, values: Values): void {
  const { store, pulls, problems } = context
  const given = nameOf(values)
  if (given === '') throw new Refusal(400, 'model is required')
  const source = readSource(given)
  const parsed = source.kind === 'conflict' ? undefined : readName(source.name)
  if (parsed === undefined) throw new Refusal(400, `name "${given}" is invalid`)
  const name = canonical(parsed, context)
  const literal = readName(given)
  if (source.kind === 'local' && literal !== undefined && store.get(literal) !== undefined) {
    problems.push(`DELETE of "${given}", which is installed, means ${showName(name)} to the server`)
  }
  if (pulls.running.length > 0)
    problems.push(`DELETE of ${showName(name)} during the pull of ${pulls.running.join(', ')}`)
  if (!store.remove(name)) throw new Refusal(404, `model '${given}' not found`)
  exchange.empty(200)
}

function blob(exchange: Exchange, { store, uploads }: RouteContext): void {
  const { method, path, body } = exchange.request
  const digest = decodeURIComponent(path.slice('/api/blobs/'.length))
  if (!/^sha256[:-][0-9a-fA-F]{64}$/.test(digest)) throw new Refusal(400, 'invalid digest format')
  const isThere = store.blobs.has(digest.replace('-', ':'))
  if (!isThere && method === 'HEAD') throw new Refusal(404, `blob "${digest}" not found`)
  if (!isThere) {
    const bytes = body instanceof Uint8Array ? body : new Uint8Array()
    // Kept under its real name even when that is not the one it was announced by.
    const stored = store.put(bytes)
    uploads.push({ digest: stored.digest, bytes })
    if (stored.digest !== digest) {
      throw new Refusal(400, `digest mismatch, expected "${digest}", got "${stored.digest}"`)
    }
  }
  exchange.empty(isThere ? 200 : 201)
}

function listLoaded(exchange: Exchange, { store, loaded }: RouteContext): void {
  const wanted = loaded.map((text) => readName(text)).map((name) => (name === undefined ? '' : showName(name)))
  const models = store.list().filter((entry) => wanted.includes(entry.name))
  const shown = models.map(({ name, model: same, size, digest, details }) => {
    const { parent_model, context_length, embedding_length, ...rest } = details
    const expires_at = '2318-01-01T00:00:00Z'
    return {
      name,
      model: same,
      size,
      digest,
      details: { parent_model: '', ...rest },
      expires_at,
      size_vram: 0,
      context_length: 4096,
    }
  })
  exchange.json(200, { models: shown })
}

async function push(exchange: Exchange, { problems }: RouteContext, values: Values): Promise<void> {
  if (nameOf(values) === '') throw new Refusal(400, 'model is required')
  problems.push('POST /api/push: nothing of ours pushes')
  const { host, namespace, model: repository, tag } = readName(nameOf(values)) ?? {}
  const writer = exchange.stream()
  await writer.line({ status: 'retrieving manifest' })
  await writer.line({ status: "couldn't retrieve manifest" })
  const file = `$OLLAMA_MODELS/manifests/${host}/${namespace}/${repository}/${tag}`
  await writer.line({ error: `open ${file}: no such file or directory` })
  await writer.end()
}

/** Up to a model's first word: answers are for a test to script with a `body` fault. */
function infer(exchange: Exchange, context: RouteContext, values: Values): void {
  const { path } = exchange.request
  const given = String(values['model'] ?? '')
  if (path === '/api/chat' && given === '') throw new Refusal(400, 'model is required')
  const source = readSource(given)
  const parsed = source.kind === 'conflict' ? undefined : readName(source.name)
  const found = parsed === undefined ? undefined : context.store.get(canonical(parsed, context))
  if (found !== undefined) {
    load(exchange, context, values, found)
    return
  }
  const isEmbed = path === '/api/embed' && given !== ''
  throw new Refusal(404, isEmbed ? `model "${given}" not found, try pulling it first` : `model '${given}' not found`)
}
