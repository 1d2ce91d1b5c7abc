/** Run by record-file.test.ts as a process of its own: counts up in one record, as often as it is told to. */
import { openRecord } from '../../src/record/record-file.ts'

const [folder = '', name = '', times = '0'] = process.argv.slice(2)
const record = openRecord({ folder, host: 'http://h' })
for (let count = 0; count < Number(times); count++) {
  await record.update((before) => ({
    ...before,
    configs: {
      ...before.configs,
      [name]: { declared: [...(before.configs[name]?.declared ?? []), `m:${count}`], models: {}, copies: {} },
    },
  }))
  process.stdout.write(`${count}\n`)
}
