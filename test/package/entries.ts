/** What tools for packages say of the entry points: publint, and whether their types are those of what is loaded. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'

export async function checkEntries(tarball: string): Promise<string> {
  const data = readFileSync(tarball)
  const { messages, pkg } = await publint({ pack: { tarball: new Uint8Array(data).buffer }, strict: true })
  assert.deepEqual(
    messages.map((message) => formatMessage(message, pkg)),
    [],
  )
  // A pattern among the entry points is not followed by itself.
  const plugins = ['capabilities', 'memory-fit', 'persona', 'smoke-test'].map((name) => `./plugins/${name}`)
  const result = await checkPackage(createPackageFromTarballData(data), { includeEntrypoints: plugins })
  assert.ok(result.types !== false, 'There are no types')
  // This package is for those who read "exports" and can import modules.
  const meant = result.problems.filter(
    (problem) =>
      problem.kind !== 'CJSResolvesToESM' && !('resolutionKind' in problem && problem.resolutionKind === 'node10'),
  )
  assert.deepEqual(meant, [])
  return `publint and arethetypeswrong say nothing of ${Object.keys(result.entrypoints).length} entry points`
}
