/** What hooks return, checked: plugins in JavaScript have no compiler that does it. Texts come out fit for a terminal. */
import { printable } from '../artifact/text.ts'
import type { Diagnostic } from '../errors.ts'
import type { PluginModelDetails } from '../plugin.ts'
import { type Fields, fieldsAt, listAt, textAt, wrong } from '../shape.ts'

/** Of `review` and `probe`: the message begins with the plugin's name, and so does the code. @throws {ShapeError} */
export function readDiagnostics(value: unknown, plugin: string): readonly Diagnostic[] {
  return listAt(value, 'the result', (item, place) => readDiagnostic(fieldsAt(item, place), place, plugin))
}

function readDiagnostic(fields: Fields, place: string, plugin: string): Diagnostic {
  const { severity, code, message } = fields
  if (severity !== 'error' && severity !== 'warning') throw wrong(`${place}.severity`, '"error" or "warning"')
  const text = printable(textAt(message, `${place}.message`))
  if (text === '') throw wrong(`${place}.message`, 'a text that says something')
  const optional = (['path', 'reference', 'hint'] as const).flatMap((name) => {
    const written = fields[name]
    return written === undefined ? [] : [[name, printable(textAt(written, `${place}.${name}`))] as const]
  })
  return {
    severity,
    code: `${plugin}/${printable(textAt(code, `${place}.code`), 80)}`,
    // Some say their name themselves.
    message: text.startsWith(`${plugin}: `) ? text : `${plugin}: ${text}`,
    ...Object.fromEntries(optional),
  }
}

function shownAt(value: unknown, place: string): string {
  return printable(textAt(value, place), Number.POSITIVE_INFINITY)
}

/** Of `declare`. What a declaration holds is checked with those of the config. @throws {ShapeError} */
export function readDeclarations(value: unknown): readonly object[] {
  return listAt(value, 'the result', fieldsAt)
}

/** Of `details`. @throws {ShapeError} */
export function readModelDetails(value: unknown): PluginModelDetails {
  const place = 'the result'
  const fields = fieldsAt(value, place)
  const { capabilities, license, parameters } = fields
  const counts = (['sizeBytes', 'contextLength'] as const).flatMap((name) => {
    const count = fields[name]
    if (count === undefined) return []
    if (typeof count !== 'number' || !Number.isSafeInteger(count) || count < 0)
      throw wrong(`${place}.${name}`, 'a whole number')
    return [[name, count] as const]
  })
  return {
    ...Object.fromEntries(counts),
    ...(capabilities === undefined ? {} : { capabilities: listAt(capabilities, `${place}.capabilities`, shownAt) }),
    ...(license === undefined ? {} : { license: shownAt(license, `${place}.license`) }),
    ...(parameters === undefined ? {} : { parameters: fieldsAt(parameters, `${place}.parameters`) }),
  }
}
