/**
 * The test server against the recordings of a real one: same requests, same answers. Recordings and exchanges that are left
 * out are in `conformance/scenarios.ts` with the reason, and show up here as skipped.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { assertSameAnswer } from './conformance/compare.ts'
import { readFixture, recorded, recordedRegistry } from './conformance/recorded-registry.ts'
import { type Recording, replay } from './conformance/replay.ts'
import { notReplayed, type Scenario, scenarios } from './conformance/scenarios.ts'
import { type OllamaServer, type RegistryModel, startOllamaServer } from './ollama-server.ts'

for (const [name, scenario] of Object.entries(scenarios)) {
  test(`the server answers as recorded in ${name}`, async () => {
    const recording = readFixture(name) as Recording
    const server = await startFor(scenario)
    try {
      await replayAll(server, recording, scenario)
    } finally {
      await server.close()
    }
    for (const problem of server.problems) {
      assert.match(problem, scenario.problems ?? /^$/, 'our client would be told off for this')
    }
    assert.equal(server.problems.length > 0, scenario.problems !== undefined, 'problems are noticed')
  })
  for (const [number, reason] of Object.entries(scenario.skip ?? {})) {
    test(`NOT REPLAYED: exchange ${number} of ${name}: ${reason}`, { skip: true }, () => {})
  }
}

for (const [name, reason] of Object.entries(notReplayed)) {
  test(`NOT REPLAYED: ${name}: ${reason}`, { skip: true }, () => {})
}

async function startFor(scenario: Scenario): Promise<OllamaServer> {
  const changes = { ...scenario.registry }
  const known = recordedRegistry().map((model): RegistryModel => {
    const change = changes[model.name] ?? changes[model.name.replace(/:latest$/, '')]
    return { ...model, ...change }
  })
  const isKnown = (name: string) => known.some((model) => model.name === name || model.name === `${name}:latest`)
  const added = Object.entries(changes)
    .filter(([name]) => !isKnown(name))
    .map(([name, change]): RegistryModel => ({ name, ...change }))
  const server = await startOllamaServer({
    version: '0.0.0',
    registry: [...known, ...added],
    noPrune: scenario.noPrune ?? false,
    ...(scenario.quantizer === undefined ? {} : { quantizer: scenario.quantizer }),
  })
  for (const name of scenario.installed ?? []) server.install(recorded(name))
  scenario.setup?.(server)
  return server
}

async function replayAll(server: OllamaServer, recording: Recording, scenario: Scenario): Promise<void> {
  const { exchanges, scenario: name } = recording
  let joined: Promise<void> | undefined
  for (const [index, exchange] of exchanges.entries()) {
    if (scenario.skip?.[index] !== undefined || exchange.started_ms_after_first !== undefined) continue
    await scenario.before?.[index]?.(server)
    const where = `${name}, exchange ${index}`
    const next = exchanges[index + 1]
    // The second of two at once joins when the first has sent what the recording had by then.
    const joinAfter = next?.started_ms_after_first === undefined ? undefined : linesBefore(recording, index)
    let seen = 0
    const answer = await replay(server.url, exchange, () => {
      seen++
      if (next === undefined || seen !== joinAfter) return
      joined = replay(server.url, next).then((other) => assertSameAnswer(other, next, `${name}, exchange ${index + 1}`))
    })
    assertSameAnswer(answer, exchange, where)
    await joined
    joined = undefined
    if (exchange.response.ended === 'client-aborted') await server.waitForRequest({ aborted: true })
  }
}

/** One line for a client that joins before the size is known, three for one that joins in the middle. */
function linesBefore({ exchanges }: Recording, index: number): number {
  const second = exchanges[index + 1]?.response.lines ?? []
  return second.some((line) => 'digest' in line && !('total' in line)) ? 1 : 3
}
