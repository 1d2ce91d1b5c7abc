/** A program for http.test.ts: sends one request to the address it is given, prints the answer, and ends by itself. */
import { readText } from '../../src/runtime/body.ts'
import { createHttpClient } from '../../src/runtime/http.ts'

const [url = ''] = process.argv.slice(2)
const response = await createHttpClient({ url }).send({ path: '/' })
console.log(await readText(response, 1000))
