/** What plugins learn of installed models: the host is asked once about each, by whichever plugin, and about few at once. */
import { parseReference, referenceKey } from '../artifact/reference.ts'
import type { Backend } from '../backend/backend.ts'
import type { InstalledModel } from '../plan/state.ts'
import type { ShownModel } from '../plugin.ts'
import { abortable } from '../runtime/abortable.ts'
import { Turns } from '../runtime/turns.ts'

/** A plugin may well ask about all models at once. */
const showsAtOnce = 8

export class ShownModels {
  readonly #backend: Backend
  readonly #installed: ReadonlyMap<string, InstalledModel>
  /** Of the run: an answer serves hooks that come after the one whose time was over. */
  readonly #signal: AbortSignal | undefined
  readonly #asked = new Map<string, Promise<ShownModel>>()
  readonly #turns = new Turns(showsAtOnce)

  constructor(backend: Backend, installed: readonly InstalledModel[], signal: AbortSignal | undefined) {
    this.#backend = backend
    this.#installed = new Map(installed.map((model) => [referenceKey(model.reference), model]))
    this.#signal = signal
  }

  /**
   * @param signal of the hook that asks
   * @returns `null` when it is not installed
   * @throws {OllamaConfigError} `invalid-reference`, and what the host answers, to each who asks
   */
  async show(reference: string, signal: AbortSignal): Promise<ShownModel | null> {
    const key = referenceKey(parseReference(reference))
    const model = this.#installed.get(key)
    if (model === undefined) return null
    let asked = this.#asked.get(key)
    if (asked === undefined) {
      asked = this.#turns.run(() => this.#ask(model))
      this.#asked.set(key, asked)
    }
    return abortable(asked, signal)
  }

  async #ask({ name, digest, sizeBytes }: InstalledModel): Promise<ShownModel> {
    const details = await this.#backend.show(name, { signal: this.#signal })
    const { capabilities, family, parameterSize, quantization, parameters, modelInfo } = details
    return { name, digest, sizeBytes, capabilities, family, parameterSize, quantization, parameters, modelInfo }
  }
}
