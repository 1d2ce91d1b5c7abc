/** Who owns what is written into a store: a server has to own its blobs, or building on them fails. */

import { lchown, stat } from 'node:fs/promises'
import path from 'node:path'
import { printable, quoted } from '../artifact/text.ts'
import { OllamaConfigError } from '../errors.ts'
import { ownId } from '../runtime/own-id.ts'
import type { Layout } from './layout.ts'

export interface Owner {
  readonly uid: number
  readonly gid: number
}

/**
 * The wanted one. Without, root gives what it writes to the owner of the store, or of the folder that it will lie in; whoever is not
 * root can own things only himself.
 */
export async function ownerFor({ folder }: Layout, wanted: Owner | undefined): Promise<Owner | undefined> {
  if (wanted !== undefined || ownId() !== 0) return wanted
  for (let at = folder; ; at = path.dirname(at)) {
    const found = await stat(at).catch(() => undefined)
    if (found !== undefined) return { uid: found.uid, gid: found.gid }
    if (path.dirname(at) === at) return undefined
  }
}

const notRootHint = 'only root can give files to somebody else: run as root, or leave out --owner'
/** As in a container without capabilities. */
const restrictedHint = 'this root may not give files away: pass --owner 0:0, or run as the owner of the folder'

/** Of a link, the link itself. @throws {OllamaConfigError} `file-not-written` */
export async function give(file: string, owner: Owner | undefined): Promise<void> {
  if (owner === undefined || process.getuid === undefined) return
  try {
    await lchown(file, owner.uid, owner.gid)
  } catch (error) {
    const message = error instanceof Error ? printable(error.message, 200) : 'unknown error'
    throw new OllamaConfigError(
      'file-not-written',
      `${quoted(file)} cannot be given to ${owner.uid}:${owner.gid}: ${message}`,
      { hint: ownId() === 0 ? restrictedHint : notRootHint, cause: error },
    )
  }
}
