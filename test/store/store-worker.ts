/**
 * A program for the tests in this folder, one that can be killed. It begins when a line comes on its stdin, prints `ready` before that, and lines
 * that tell how far it is.
 *
 * `store-worker.ts count FOLDER FILE TIMES`: counts up in a file, under the mutex.
 * `store-worker.ts hold FOLDER`: takes the mutex, prints `held`, and keeps it until it is killed.
 * `store-worker.ts forget FOLDER`: takes the mutex, prints `held`, and ends by itself without releasing it.
 * `store-worker.ts publish FOLDER`: publishes and removes models for ever, under the mutex.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { parseReference } from '../../src/artifact/reference.ts'
import { sleep } from '../../src/runtime/sleep.ts'
import { layoutOf } from '../../src/store/layout.ts'
import { readManifests } from '../../src/store/manifests.ts'
import { holdStore } from '../../src/store/mutex.ts'
import { prepare, publishBlob, publishManifest, writeStream } from '../../src/store/publish.ts'
import { removeModel, removeUnnamedBlobs } from '../../src/store/remove.ts'
import { blobOf, manifestOf } from './models.ts'

const [work = '', folder = '', file = '', times = ''] = process.argv.slice(2)
const layout = layoutOf(folder)
const say = (line: string) => process.stdout.write(`${line}\n`)

say('ready')
await new Promise((resolve) => process.stdin.once('data', resolve))
process.stdin.unref()

if (work === 'count') {
  for (let done = 0; done < Number(times); done++) {
    const hold = await holdStore(layout)
    const before = Number(readFileSync(file, 'utf8'))
    await sleep(1)
    writeFileSync(file, String(before + 1))
    await hold.assertHeld()
    await hold.release()
    say(String(before + 1))
  }
} else if (work === 'hold') {
  await holdStore(layout, { command: 'worker' })
  say('held')
  // A hold keeps no process alive.
  setInterval(() => {}, 60_000)
} else if (work === 'forget') {
  await holdStore(layout)
  say('held')
} else if (work === 'publish') {
  const hold = await holdStore(layout)
  await prepare(layout, undefined)
  for (let round = 0; ; round++) {
    const reference = parseReference(`m${round % 3}`)
    const [old] = (await readManifests(layout)).models.filter(({ name }) => name === `m${round % 3}:latest`)
    const seed = Math.floor(Math.random() * 1e9)
    const weights = blobOf(`weights ${seed} `.repeat(20_000))
    await writeStream(layout, {
      digest: weights.digest,
      sizeBytes: weights.bytes.byteLength,
      bytes: (async function* () {
        for (let at = 0; at < weights.bytes.byteLength; at += 50_000) yield weights.bytes.subarray(at, at + 50_000)
      })(),
    })
    const config = blobOf(`{"seed":${seed % 5}}`)
    await publishBlob(layout, config.bytes)
    await hold.assertHeld()
    await publishManifest(layout, reference, manifestOf(config, [weights]))
    if (old !== undefined) await removeUnnamedBlobs(layout, old)
    const { models } = await readManifests(layout)
    const victim = models[round % 5]
    if (victim !== undefined) await removeModel(layout, victim)
    say(String(round))
  }
}
