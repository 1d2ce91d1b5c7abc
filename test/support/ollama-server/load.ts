/** Requests that ask a model nothing: they load it, or unload it. */
import { type Exchange, Refusal } from './exchange.ts'
import { type Installed, listEntry } from './store.ts'

export interface Runner {
  /** Names, as `/api/ps` has them. */
  loaded: string[]
  /** Whether there is a llama-server, which loads models. */
  runner: boolean
}

export function load(exchange: Exchange, runner: Runner, values: Record<string, unknown>, found: Installed): void {
  const { path } = exchange.request
  const given = String(values['model'] ?? '')
  const { capabilities = [], name } = listEntry(found)
  const onlyEmbeds = Array.isArray(capabilities) && capabilities.includes('embedding')
  const input = values[{ '/api/generate': 'prompt', '/api/chat': 'messages' }[path] ?? 'input']
  const isEmpty = input === undefined || input === '' || (Array.isArray(input) && input.length === 0)
  if (onlyEmbeds && path !== '/api/embed')
    throw new Refusal(400, `"${given}" does not support ${path.slice('/api/'.length)}`)
  const unload = path !== '/api/embed' && isEmpty && Number.parseFloat(String(values['keep_alive'])) === 0
  if (unload) runner.loaded = runner.loaded.filter((other) => other !== name)
  else if (!runner.runner || !isEmpty)
    throw new Refusal(500, 'error starting llama-server: llama-server binary not found')
  else if (!runner.loaded.includes(name)) runner.loaded.push(name)
  const answer = path === '/api/chat' ? { message: { role: 'assistant', content: '' } } : { response: '' }
  const ended = { created_at: '2026-01-01T00:00:00Z', ...answer, done: true, done_reason: unload ? 'unload' : 'load' }
  exchange.json(200, { model: given, ...(path === '/api/embed' ? { embeddings: [] } : ended) })
}
