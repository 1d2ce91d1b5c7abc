/** One hook of all plugins that have it, in their order, one after the other. */
import type { PluginContext } from '../plugin.ts'
import type { Logger } from '../runtime/logger.ts'
import { wrong } from '../shape.ts'
import type { CheckedPlugin } from './check.ts'
import { type HookOptions, type HookOutcome, runHook } from './hooks.ts'
import { type HookName, isTimeout } from './spec.ts'

/** What the contexts of all plugins have in common. */
export type ContextBase = Omit<PluginContext, 'signal' | 'logger'>

export interface HookRun<T> {
  readonly hook: HookName
  readonly context: ContextBase
  /** Calls the hook of this plugin. */
  readonly call: (plugin: CheckedPlugin, context: PluginContext) => unknown
  /** Checks what came back. @throws {ShapeError} */
  readonly read: (value: unknown, plugin: CheckedPlugin) => T
}

export interface HookResult<T> {
  readonly plugin: CheckedPlugin
  readonly outcome: HookOutcome<T>
}

/** @throws `options.signal.reason` */
export async function* runHooks<T>(
  plugins: readonly CheckedPlugin[],
  { hook, context, call, read }: HookRun<T>,
  options: HookOptions,
): AsyncGenerator<HookResult<T>, void> {
  for (const plugin of plugins) {
    if (plugin.spec[hook] === undefined) continue
    const limit = await timeoutOf(plugin, options)
    const outcome =
      'problem' in limit
        ? limit
        : await runHook(
            plugin,
            {
              what: `its ${hook} hook`,
              timeoutMs: limit.value,
              call: (signal) => call(plugin, contextFor(plugin, context, signal, options.logger)),
              read: (value) => read(value, plugin),
            },
            options,
          )
    yield { plugin, outcome }
  }
}

/** `undefined`: the default of every hook. */
async function timeoutOf(plugin: CheckedPlugin, options: HookOptions): Promise<HookOutcome<number | undefined>> {
  const { timeoutMs } = plugin.spec
  if (typeof timeoutMs !== 'function') return { value: timeoutMs }
  const read = (value: unknown) => {
    if (isTimeout(value)) return value
    throw wrong('the result', 'a number of milliseconds')
  }
  return runHook(plugin, { what: 'its timeoutMs', call: () => timeoutMs(plugin.config), read }, options)
}

/** Its facts about the host are looked up when the hook asks for them. */
export function contextFor(
  { name }: Pick<CheckedPlugin, 'name'>,
  base: ContextBase,
  signal: AbortSignal,
  logger: Logger | undefined,
): PluginContext {
  return {
    signal,
    cwd: base.cwd,
    logger: loggerOf(logger, name),
    get host() {
      return base.host
    },
  }
}

/** Adds whose message it is. */
function loggerOf(logger: Logger | undefined, plugin: string): Logger {
  const log = (level: keyof Logger) => (message: string, fields?: Record<string, unknown>) =>
    logger?.[level](message, { ...fields, plugin })
  return { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') }
}
