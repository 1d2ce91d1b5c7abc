/** What every backend must do, whatever stands behind it: the same cases for all of them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatReference, type Reference, sameReference } from '../../src/artifact/reference.ts'
import type { Backend, PullProgress } from '../../src/backend/backend.ts'
import { isOllamaConfigError } from '../../src/errors.ts'
import type { InstalledModel } from '../../src/plan/state.ts'

/** A backend, and what the cases may do with it. Each case gets its own and closes it. */
export interface ContractSubject {
  readonly backend: Backend
  /** Can be pulled, is not installed, and may be deleted. */
  readonly available: Reference
  /** Cannot be pulled, because its registry does not have it, and is not installed. */
  readonly missing: Reference
  readonly insecure: boolean
  /** Leaves nothing behind. */
  close(): Promise<void>
}

export interface ContractOptions {
  /** Why none of the cases can run. */
  readonly skip?: string | false
  /** A real download takes its time. Default: 30 000. */
  readonly timeoutMs?: number
}

export function backendContract(
  label: string,
  open: () => Promise<ContractSubject>,
  { skip = false, timeoutMs = 30_000 }: ContractOptions = {},
): void {
  const contract = (what: string, run: (subject: ContractSubject) => Promise<void>): void => {
    test(`${label}: ${what}`, { skip, timeout: timeoutMs }, async () => {
      const subject = await open()
      try {
        await run(subject)
      } finally {
        await subject.close()
      }
    })
  }

  contract('has an address without secrets', async ({ backend }) => {
    assert.doesNotMatch(backend.address, /@/)
    assert.notEqual(backend.address, '')
  })

  contract('lists what is installed', async (subject) => {
    await pullAll(subject)
    const { serverVersion, models, unreadable } = await subject.backend.readState()
    assert.ok(serverVersion === null || /^\d+\.\d+/.test(serverVersion), String(serverVersion))
    assert.ok(models.length > 0)
    for (const { name, reference, digest, sizeBytes } of models) {
      assert.match(digest, /^sha256:[0-9a-f]{64}$/)
      assert.ok(Number.isSafeInteger(sizeBytes) && sizeBytes >= 0)
      assert.equal(formatReference(reference).toLowerCase(), name.toLowerCase())
    }
    for (const name of unreadable) assert.doesNotMatch(name, /[\x00-\x1f\x7f-\x9f]/)
  })

  contract('a model that is pulled is listed, and can be shown', async (subject) => {
    assert.equal(await find(subject), undefined)
    const lines = await pullAll(subject)
    assert.ok(lines.length > 0)
    for (const { status, completedBytes = 0, totalBytes } of lines) {
      assert.doesNotMatch(status, /[\x00-\x1f\x7f-\x9f]/)
      assert.ok(completedBytes >= 0 && completedBytes <= (totalBytes ?? Number.POSITIVE_INFINITY))
    }
    const model = await find(subject)
    assert.ok(model !== undefined)
    assert.ok(Array.isArray((await subject.backend.show(model.name)).capabilities))
  })

  contract('pulling again changes nothing', async (subject) => {
    await pullAll(subject)
    const before = await find(subject)
    await pullAll(subject)
    assert.deepEqual(await find(subject), before)
  })

  contract('a model that is deleted is neither listed nor shown', async (subject) => {
    await pullAll(subject)
    const model = await find(subject)
    assert.ok(model !== undefined)
    await subject.backend.delete(model.name)
    assert.equal(await find(subject), undefined)
    await assert.rejects(subject.backend.show(model.name), isNotFound)
  })

  contract('a model that no registry has cannot be pulled', async (subject) => {
    await assert.rejects(pullAll(subject, subject.missing), isNotFound)
    assert.equal(await find(subject, subject.missing), undefined)
  })

  contract('a model that is not there can neither be shown nor deleted', async ({ backend, missing }) => {
    await assert.rejects(backend.show(formatReference(missing)), isNotFound)
    await assert.rejects(backend.delete(formatReference(missing)), isNotFound)
  })

  contract('nothing happens once the signal is up, and the reason is thrown', async (subject) => {
    const { backend, available, insecure } = subject
    await pullAll(subject)
    const before = await find(subject)
    assert.ok(before !== undefined)
    const reason = { why: 'test' }
    const signal = AbortSignal.abort(reason)
    const isReason = (error: unknown) => error === reason
    await assert.rejects(backend.readState({ signal }), isReason)
    await assert.rejects(backend.show(before.name, { signal }), isReason)
    await assert.rejects(backend.delete(before.name, { signal }), isReason)
    await assert.rejects(async () => {
      for await (const _ of backend.pull(available, { insecure, signal }));
    }, isReason)
    assert.deepEqual(await find(subject), before)
  })

  contract('a pull that is aborted throws the reason', async ({ backend, available, insecure }) => {
    const controller = new AbortController()
    const reason = { why: 'test' }
    await assert.rejects(
      async () => {
        for await (const _ of backend.pull(available, { insecure, signal: controller.signal })) controller.abort(reason)
      },
      (error) => error === reason,
    )
  })

  contract('a pull can be left, and done later', async (subject) => {
    const { backend, available, insecure } = subject
    for await (const _ of backend.pull(available, { insecure })) break
    await pullAll(subject)
    assert.ok((await find(subject)) !== undefined)
  })
}

async function pullAll(
  { backend, available, insecure }: ContractSubject,
  reference: Reference = available,
): Promise<PullProgress[]> {
  const lines: PullProgress[] = []
  for await (const line of backend.pull(reference, { insecure })) lines.push(line)
  return lines
}

async function find(
  { backend, available }: ContractSubject,
  reference: Reference = available,
): Promise<InstalledModel | undefined> {
  const { models } = await backend.readState()
  return models.find((model) => sameReference(model.reference, reference))
}

function isNotFound(error: unknown): boolean {
  return isOllamaConfigError(error) && error.code === 'model-not-found'
}
