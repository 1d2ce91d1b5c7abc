/**
 * A program for numbered-files.test.ts: counts up in the record of FOLDER, as often as TIMES says. It begins when its stdin
 * ends, and prints a line after each update.
 *
 * `record-writer.ts FOLDER TIMES [no-links]`
 */
import { openCounter, refusingLink } from './counter.ts'

const [folder = '', times = '', links] = process.argv.slice(2)
const counter = openCounter(folder, links === 'no-links' ? refusingLink('EPERM') : undefined)

process.stdout.write('ready\n')
await new Promise((resolve) => process.stdin.resume().once('end', resolve))
for (let done = 0; done < Number(times); done++) {
  await counter.increase()
  process.stdout.write('.\n')
}
