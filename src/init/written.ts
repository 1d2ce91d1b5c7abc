/** How an installed model would have been declared: what it has beyond the model that it was built from. */
import { renderingOf } from '../artifact/derived.ts'
import { printedText } from '../artifact/modelfile.ts'
import { type Parameter, type Parameters, parameterKinds } from '../artifact/parameters.ts'
import type { ModelDetails } from '../backend/backend.ts'
import type { Message, ModelDeclaration } from '../config/config.ts'

export interface WrittenBuild {
  readonly declaration: ModelDeclaration
  /** Why it says less than the model has; absent when it says all. */
  readonly lacks?: string
}

export interface BuiltModel {
  /** Listed names. */
  readonly name: string
  readonly baseName: string
  readonly shown: ModelDetails
  readonly base: ModelDetails
  /** Path of an adapter's bytes on this machine; `undefined` where they are elsewhere. */
  readonly adapterFile: (digest: string) => string | undefined
}

/** Whether the result says everything, a plan tells: what the server does not tell is not here. */
export function writeBuild({ name, baseName, shown, base, adapterFile }: BuiltModel): WrittenBuild {
  const architecture = base.modelInfo['general.architecture']
  const { parameters: brought, ...rendering } = renderingOf(architecture, base.renderer, base.parser)
  const inherited = { ...rendering, system: base.system, requires: base.requires }
  const own = (field: keyof typeof inherited) => {
    const value = shown[field]
    return value === null || value === inherited[field] ? {} : { [field]: value }
  }
  const template = shown.templateSection === base.templateSection ? undefined : templateOf(shown.templateSection)
  const license = licenseBeyond(shown.license, base.license)
  const parameters = parametersBeyond(shown.parameters, { ...base.parameters, ...brought })
  const messages = isEqual(shown.messages, base.messages) ? [] : shown.messages.flatMap(messageOf)
  const added = shown.adapters.slice(base.adapters.length)
  const adapters = added.flatMap((digest) => adapterFile(digest) ?? [])
  const declaration: ModelDeclaration = {
    name,
    from: baseName,
    ...own('system'),
    ...(template === undefined ? {} : { template }),
    ...own('renderer'),
    ...own('parser'),
    ...own('requires'),
    ...(license === undefined ? {} : { license }),
    ...(adapters.length === 0 ? {} : { adapters: adapters.length === 1 ? adapters.join() : adapters }),
    ...(messages.length === 0 ? {} : { messages }),
    ...(Object.keys(parameters).every((key) => Object.hasOwn(parameterKinds, key))
      ? {}
      : { allowUnknownParameters: true }),
    ...(Object.keys(parameters).length === 0 ? {} : { parameters }),
  }
  return added.length === adapters.length
    ? { declaration }
    : { declaration, lacks: 'its adapter is a file that is not on this machine' }
}

/** The server prints it in quotes where it has line ends, or spaces at its ends. */
function templateOf(section: string): string | undefined {
  const printed = section.replace(/^TEMPLATE /, '')
  const inner = [/^"""(.*)"""$/s, /^"(.*)"$/s].map((quotes) => quotes.exec(printed)?.[1])
  return [...inner, printed].find((text) => text !== undefined && printedText(text) === printed)
}

/** Licences of a build are added to those of the base. */
function licenseBeyond(all: string | null, base: string | null): string | undefined {
  if (all === null || all === base) return undefined
  return base !== null && all.startsWith(`${base}\n`) ? all.slice(base.length + 1) : all
}

function parametersBeyond(all: Parameters, inherited: Parameters): Parameters {
  const own = Object.entries(all).filter(
    ([name, value]) => !Object.hasOwn(inherited, name) || !isEqual([value].flat(), [inherited[name]].flat()),
  )
  // A list of one item is told as that item.
  const listed = (name: string, value: Parameter): Parameter =>
    Object.hasOwn(parameterKinds, name) && parameterKinds[name] === 'texts' ? [value].flat() : value
  return Object.fromEntries(own.map(([name, value]) => [name, listed(name, value)]))
}

const roles: readonly Message['role'][] = ['system', 'user', 'assistant', 'tool']

function messageOf({
  role: written,
  content,
}: {
  readonly role: string
  readonly content: string
}): readonly Message[] {
  const role = roles.find((known) => known === written.toLowerCase())
  return role === undefined ? [] : [{ role, content }]
}

function isEqual(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
