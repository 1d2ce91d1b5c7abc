/** What a client must never do, whatever the registry answers: tests assert that nothing was noted. */
import { manifestType, one, versionOf } from './headers.ts'
import type { RegistryRequest } from './options.ts'
import type { RouteContext } from './routes.ts'

export function watch(request: RegistryRequest, context: RouteContext): void {
  const { method, path, kind, repository } = request
  const { problems, origin, shelf, challenged } = context
  const note = (what: string) => problems.push(`${method} ${path} ${what}`)
  const header = (name: string) => one(request.headers[name])

  if (kind === 'other') note('is a path that the registry does not have')
  if (method !== 'GET' && method !== 'HEAD') note('changes or asks what it must not')
  const accepted = header('accept')
    ?.split(',')
    .map((type) => type.replace(/;.*$/, '').trim())
  if (kind === 'manifest' && accepted?.includes(manifestType) !== true) {
    note(`with the Accept header ${header('accept') ?? 'missing'}`)
  }
  // What stands in `Location` is fetched without the registry's ceremonies, even where it is the registry itself.
  const isLocation = shelf.repository(repository)?.delivery === 'plain-with-location' && header('range') !== undefined
  if (path.startsWith('/v2/') && !isLocation && versionOf(header('user-agent')) === undefined) {
    note(`with the User-Agent ${header('user-agent') ?? 'missing'}`)
  }
  if (header('authorization') === undefined && header('cookie') === undefined) return
  if (kind === 'cdn' || `http://${header('host')}` !== origin) note(`with credentials, at the host ${header('host')}`)
  else if (repository === undefined || !challenged.has(repository)) note('with credentials before any 401')
}
