/**
 * The hook worker's entry on Node without good synchronous module hooks, such as Node 20: Node calls what is exported here, on a thread of its own.
 *
 * Started by tsx.ts. Modules that are not of a config pass through.
 */
import { pathToFileURL } from 'node:url'
import { entryImporter, forTsx, fromTsx, loadOf, withoutMarks } from './marks.ts'
import { nearestTsconfig, type ResolveContext, type Resolved, readModule, settle, standIn } from './modules.ts'
import { withCache } from './tsx-cache.ts'

type Awaitable<T> = T | Promise<T>
type NextResolve = (specifier: string, context: ResolveContext) => Promise<Resolved>
type NextLoad = (url: string, context: object) => Promise<object>

/** What `tsx/esm` exports. */
interface Tsx {
  initialize(data: { tsconfig: string | false }): Promise<void>
  resolve(specifier: string, context: ResolveContext, next: NextResolve): Promise<Resolved>
  load(url: string, context: object, next: NextLoad): Promise<object>
}

let tsxFile = ''
const instances = new Map<string | false, Promise<Tsx>>()
const byLoad = new Map<string, Promise<Tsx>>()

/** Called by Node once, with the path of `tsx/esm`. */
export function initialize(data: { tsx: string }): void {
  tsxFile = data.tsx
}

/** One tsx per tsconfig.json, since it holds one. */
function tsxFor(tsconfig: string | false): Promise<Tsx> {
  let instance = instances.get(tsconfig)
  if (instance === undefined) {
    instance = startTsx(tsconfig, instances.size)
    instances.set(tsconfig, instance)
  }
  return instance
}

async function startTsx(tsconfig: string | false, number: number): Promise<Tsx> {
  const url = pathToFileURL(tsxFile)
  if (number > 0) url.search = String(number) // Another module to Node, with a state of its own.
  const tsx: Tsx = await withCache(() => import(url.href))
  await tsx.initialize({ tsconfig })
  return tsx
}

/** Called by Node in the worker for each import of the process. */
export function resolve(specifier: string, context: ResolveContext, next: NextResolve): Awaitable<Resolved> {
  const load = loadOf(specifier) ?? loadOf(context.parentURL)
  if (load === undefined) return next(specifier, context)
  let tsx = byLoad.get(load)
  if (tsx === undefined) {
    tsx = tsxFor(nearestTsconfig(specifier))
    byLoad.set(load, tsx)
  }
  const isEntry = loadOf(specifier) !== undefined
  const asked = isEntry ? withoutMarks(specifier) : specifier
  const from = isEntry ? { ...context, parentURL: entryImporter } : context
  return tsx.then((instance) =>
    instance.resolve(asked, from, async (wanted, inContext) => {
      let found: Resolved
      try {
        found = await next(wanted, inContext)
      } catch (error) {
        return standIn(wanted, error)
      }
      return settle(wanted, load, found)
    }),
  )
}

/** Called by Node in the worker for each module of the process. */
export async function load(url: string, context: object, next: NextLoad): Promise<object> {
  const tsx = byLoad.get(loadOf(url) ?? '')
  if (tsx === undefined) return next(url, context)
  const loaded = await (await tsx).load(forTsx(url), context, async (wanted, inContext) => {
    const asked = fromTsx(wanted)
    return readModule(asked, inContext) ?? next(asked, inContext)
  })
  return { ...loaded, shortCircuit: true }
}
