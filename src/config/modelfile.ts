/** `{ name, modelfile }`: what a Modelfile says, found on the disk as `ollama create -f` finds it. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import { decodeModelfile, type Modelfile, parseModelfile } from '../artifact/modelfile.ts'
import { quoted } from '../artifact/text.ts'
import { isOllamaConfigError } from '../errors.ts'
import type { LocalFile } from '../plan/state.ts'
import { hasCode } from '../runtime/transport-error.ts'
import { problemOf } from './loose.ts'
import { type DeclarationContext, filesAt, type Making, sourceAt, tell } from './origin.ts'

/** Texts of prompts and licences; weights are in other files. */
const maxBytes = 4 * 1024 * 1024

export function makingOfModelfile(written: unknown, context: DeclarationContext): Making {
  const [found] = typeof written === 'string' ? filesAt(written, 'modelfile', context, false) : []
  if (found === undefined) return {}
  const modelfile = readModelfile(found, context)
  if (modelfile === undefined) return {}
  for (const message of modelfile.warnings) {
    context.report({ severity: 'warning', code: 'modelfile', path: `${context.path}.modelfile`, message })
  }
  const inside: DeclarationContext = { ...context, folder: path.dirname(found.file) }
  if (modelfile.draft.length > 0)
    tell(
      context,
      'not-supported',
      'modelfile',
      'has DRAFT, which cannot be declared yet',
      'build it with ollama create',
    )
  const { names, files } = origins(modelfile, inside)
  const name = names.at(-1)
  const source = name === undefined ? undefined : sourceAt(name, 'modelfile', inside)
  if (name !== undefined && source === undefined) return {}
  // With several the command line takes the last.
  const adapter = modelfile.adapters.at(-1)
  const { template = null, system = null, renderer = null, parser = null, requires = null, ...rest } = modelfile
  return {
    ...(source === undefined ? {} : { source }),
    recipe: {
      kind: 'build',
      from: source?.reference ?? null,
      // A name goes before files.
      files: source === undefined ? files : [],
      adapters: adapter === undefined ? [] : filesAt(expanded(adapter), 'modelfile', inside),
      template,
      system,
      renderer,
      parser,
      requires,
      parameters: { ...context.defaults, ...rest.parameters },
      messages: rest.messages,
      licenses: rest.licenses,
      quantize: null,
      cleared: [],
    },
  }
}

function readModelfile({ file, name }: LocalFile, context: DeclarationContext): Modelfile | undefined {
  if (statSync(file).size > maxBytes) {
    tell(
      context,
      'wrong-value',
      'modelfile',
      `names ${quoted(name)}, which is too large for a Modelfile`,
      'for weights, write "gguf"',
    )
    return undefined
  }
  try {
    return parseModelfile(decodeModelfile(readFileSync(file)), quoted(name))
  } catch (error) {
    if (isOllamaConfigError(error)) context.report(problemOf(error, `${context.path}.modelfile`))
    else {
      const reason = hasCode(error) ? error.code : String(error)
      tell(
        context,
        'file-not-found',
        'modelfile',
        `names ${quoted(name)}, which cannot be read (${reason})`,
        'check its permissions',
      )
    }
    return undefined
  }
}

/** What is on the disk is files; the rest is names. */
function origins(
  { from }: Modelfile,
  context: DeclarationContext,
): { readonly names: readonly string[]; readonly files: readonly LocalFile[] } {
  const isOnDisk = (written: string) => existsSync(path.resolve(context.folder, expanded(written)))
  return {
    names: from.filter((written) => !isOnDisk(written)),
    files: filesAt(from.filter(isOnDisk).map(expanded), 'modelfile', context),
  }
}

function expanded(written: string): string {
  return written === '~' || written.startsWith('~/') ? path.join(homedir(), written.slice(1)) : written
}
