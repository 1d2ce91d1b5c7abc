/** Whether a folder is the one that a server works on: paths of containers and of other machines may be the same. */
import type { Layout } from './layout.ts'
import { type ReadOptions, readManifests } from './manifests.ts'

/** Whether it has all that the server lists, and not by accident nothing. @throws {OllamaConfigError} `store-unreadable` */
export async function holdsModels(
  layout: Layout,
  listed: readonly { readonly name: string; readonly digest: string }[],
  options: ReadOptions = {},
): Promise<boolean> {
  const { models, damaged } = await readManifests(layout, options)
  const here = new Set(models.map(({ name, digest }) => `${name} ${digest}`))
  const isHere = ({ name, digest }: { readonly name: string; readonly digest: string }) =>
    here.has(`${name} ${digest}`) || damaged.includes(name)
  return listed.some(isHere) && listed.every(isHere)
}
