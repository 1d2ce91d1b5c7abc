/**
 * What has to be equal in a recorded and a replayed answer: everything but times, and the number of progress lines.
 */
import assert from 'node:assert/strict'
import type { Answer, Line, RecordedExchange } from './replay.ts'

export function assertSameAnswer(answer: Answer, { response, request }: RecordedExchange, where: string): void {
  assert.equal(answer.status, response.status, `${where}: status`)
  assert.equal(answer.contentType, response.headers['Content-Type'], `${where}: content type`)
  assert.equal(answer.location, response.headers['Location'], `${where}: location`)
  if (request.method === 'HEAD') return
  if (response.lines !== undefined) {
    const lines = answer.text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Line)
    assert.ok(answer.text.endsWith('\n'), `${where}: every line ends with a line break`)
    assert.deepEqual(eventKinds(lines), eventKinds(response.lines), `${where}: events`)
    return
  }
  if (response.body === undefined) {
    assert.equal(answer.text, response.body_text, `${where}: text`)
    return
  }
  assert.ok(!answer.text.endsWith('\n'), `${where}: JSON answers end without a line break`)
  const body = JSON.parse(answer.text) as unknown
  assert.deepEqual(comparable(body), comparable(response.body), `${where}: body`)
  assert.deepEqual(keyOrder(body), keyOrder(response.body), `${where}: order of keys`)
  assertSameOrder(body, response.body, where)
}

/** Runs of like progress lines count once; keys, their order, digests and totals all tell lines apart. */
function eventKinds(lines: Line[]): string[] {
  const kinds = lines.map((line) => {
    if (!('digest' in line)) return JSON.stringify(line)
    const { completed, ...rest } = line
    const isPresent = completed !== undefined && completed === line['total']
    return `${Object.keys(line).join()} ${JSON.stringify(rest)}${isPresent ? ' all of it' : ''}`
  })
  return kinds.filter((kind, index) => kind !== kinds[index - 1])
}

/** Times are replaced, models sorted by name, and the lines whose order is random on the real server sorted. */
function comparable(body: unknown): unknown {
  if (Array.isArray(body)) return body.map(comparable)
  if (typeof body !== 'object' || body === null) return body
  const entries = Object.entries(body).map(([key, value]) => {
    if (key === 'modified_at') return [key, timeShape(String(value))]
    if (key === 'parameters' && typeof value === 'string') return [key, value.split('\n').sort()]
    if (key === 'modelfile' && typeof value === 'string') return [key, modelfileParts(value)]
    if (key === 'models' && Array.isArray(value)) return [key, comparable(sortedByName(value as Line[]))]
    return [key, comparable(value)]
  })
  return Object.fromEntries(entries)
}

function timeShape(text: string): string {
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/.test(text)
  return isTime ? 'a time' : `no time: ${text}`
}

function modelfileParts(text: string): { parameters: string[]; rest: string } {
  const lines = text.split('\n')
  const isParameter = (line: string) => line.startsWith('PARAMETER ')
  return {
    parameters: lines.filter(isParameter).sort(),
    rest: lines.filter((line) => !isParameter(line)).join('\n'),
  }
}

function sortedByName(models: Line[]): Line[] {
  return [...models].sort((a, b) => (String(a['name']) < String(b['name']) ? -1 : 1))
}

/** Go writes struct fields in a fixed order. */
function keyOrder(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  const { models } = value as { models?: Line[] }
  return models === undefined ? Object.keys(value) : sortedByName(models).map((model) => Object.keys(model))
}

/** Newest first; within one second the order is random. */
function assertSameOrder(body: unknown, recorded: unknown, where: string): void {
  const { models } = (body ?? {}) as { models?: Line[] }
  const expected = ((recorded ?? {}) as { models?: Line[] }).models
  if (models === undefined || expected === undefined) return
  const place = new Map(models.map((model, index) => [model['name'], index]))
  const second = (model: Line) => Math.floor(Date.parse(String(model['modified_at'])) / 1000)
  for (const [index, newer] of expected.entries()) {
    for (const older of expected.slice(index + 1)) {
      if (second(newer) === second(older)) continue
      const isBefore = Number(place.get(newer['name'])) < Number(place.get(older['name']))
      assert.ok(isBefore, `${where}: ${newer['name']} is listed before ${older['name']}`)
    }
  }
}
