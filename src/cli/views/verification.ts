/** What became of each model that was verified, a line for each, and what lies around. */
import { formatBytes } from '../../artifact/bytes.ts'
import { shortDigest } from '../../artifact/manifest.ts'
import { counted, printable } from '../../artifact/text.ts'
import type { DamagedPart, Verification, VerifiedModel } from '../../runner.ts'
import { summaryOf } from './leftovers.ts'
import type { Paint, Style } from './style.ts'
import { fold, padEnd, textWidth } from './text.ts'

export interface VerificationViewOptions {
  readonly style: Style
  /** Of the terminal; where it is left out, lines may have any length. */
  readonly columns: number | undefined
  /** `undefined` where a repair was tried already. */
  readonly repairCommand: string | undefined
  readonly applyCommand: string
  readonly collectCommand: string
}

const problemWords: Readonly<Record<DamagedPart['problem'], string>> = {
  missing: 'missing',
  'wrong-size': 'wrong size',
  'wrong-bytes': 'wrong bytes',
  unreadable: 'cannot be read',
  'no-model': 'no server can load it',
}

export function formatVerification(verification: Verification, options: VerificationViewOptions): string {
  const { folder, models, leftovers } = verification
  const { style, columns, collectCommand } = options
  const width = models.reduce((most, { reference }) => Math.max(most, textWidth(printable(reference))), 0)
  const spare = leftovers.filter(({ spared }) => spared === null)
  const blocks = [
    [`Files  ${printable(folder, 1000)}`],
    models.flatMap((model) => modelLines(model, width, style)),
    endLines(verification, options),
    spare.length === 0 ? [] : [`Left over: ${summaryOf(spare)}. To remove: ${collectCommand}`],
  ]
  const shown = blocks.filter((lines) => lines.length > 0).map((lines) => lines.join('\n'))
  return fold(`${shown.join('\n\n')}\n`, columns)
}

function modelLines(model: VerifiedModel, width: number, style: Style): readonly string[] {
  const { reference, status, sizeBytes, damage } = model
  const words: Readonly<Record<VerifiedModel['status'], readonly [text: string, paint: Paint]>> = {
    sound: ['ok', style.green],
    repaired: ['repaired', style.yellow],
    damaged: ['damaged', style.red],
    missing: ['missing', style.red],
  }
  const [word, paint] = words[status]
  const size = sizeBytes === null ? '' : formatBytes(sizeBytes)
  const parts = damage.map((part) => `${partName(part)}: ${part.repaired ? 'there again' : problemOf(part)}`)
  const what = status === 'missing' ? 'not installed' : [size, ...parts].filter((text) => text !== '').join('; ')
  const errors = new Map(damage.flatMap(({ error }) => (error === null ? [] : [[error.message, error] as const])))
  return [
    `  ${paint(padEnd(word, 'repaired'.length))}  ${padEnd(printable(reference), width)}  ${what}`,
    ...[...errors.values()].flatMap(({ message, hint }) => [
      `      ${printable(message)}`,
      ...(hint === undefined ? [] : [`      ${style.dim(`hint: ${printable(style.hint(hint))}`)}`]),
    ]),
  ]
}

function partName({ what, digest }: DamagedPart): string {
  return digest === null ? what : `${what} ${shortDigest(digest)}`
}

function problemOf({ problem, found }: DamagedPart): string {
  return found === '' ? problemWords[problem] : `${problemWords[problem]} (${printable(found, 200)})`
}

function endLines({ models }: Verification, options: VerificationViewOptions): readonly string[] {
  const count = (...statuses: readonly VerifiedModel['status'][]) =>
    models.filter(({ status }) => statuses.includes(status)).length
  const damaged = count('damaged')
  const missing = count('missing')
  if (models.length === 0) return ['There is no model to verify.']
  const parts = [
    ...(damaged > 0 ? [`${damaged} damaged`] : []),
    ...(missing > 0 ? [`${missing} not installed`] : []),
    ...(count('repaired') > 0 ? [`${count('repaired')} repaired`] : []),
    ...(count('sound') > 0 ? [`${count('sound')} ok`] : []),
  ]
  const repairs = models.some(({ damage }) => damage.some(({ digest, repaired }) => digest !== null && !repaired))
  const writes = models.some(({ declared, damage }) => declared && damage.some(({ what }) => what === 'manifest'))
  return [
    `${counted(models.length, 'model')}: ${parts.join(', ')}.`,
    ...(repairs && options.repairCommand !== undefined
      ? [`To fetch again what is damaged: ${options.repairCommand}`]
      : []),
    ...(writes ? [`To write again what cannot be read: ${options.applyCommand}`] : []),
    ...(missing > 0 && !writes ? [`To install what is not there: ${options.applyCommand}`] : []),
  ]
}
