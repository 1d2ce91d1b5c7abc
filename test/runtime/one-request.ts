/** A program for tests: sends one request to the address it is given, through the proxy that may be named behind it, prints the answer, and ends by itself. */
import { readText } from '../../src/runtime/body.ts'
import { createHttpClient } from '../../src/runtime/http.ts'

const [url = '', proxy] = process.argv.slice(2)
const response = await createHttpClient({ url, proxy }).send({ path: '/' })
console.log(await readText(response, 1000))
