import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LinkDown } from '../../remotes/transport/failures.ts'
import { deliverCarefully } from './careful.ts'
import type { Outcome } from './outcome.ts'
import { createSuspects } from './suspects.ts'
import { UNKNOWN, type WorkItem } from './work-item.ts'

const SHARD = { recordId: 'r', linkId: 1, shardNo: 1 }
const BATCH = 4
const itemAt = (path: string) => ({ kind: 'file', path, file: {}, expect: UNKNOWN }) as unknown as WorkItem

/**
 * A shard that is begun again whenever the connection breaks, until it is done. `breaks` says of each attempt whether what is sent breaks
 * the connection.
 */
async function work(paths: readonly string[], breaks: (sent: readonly string[], attempt: number) => boolean) {
  const suspects = createSuspects(BATCH)
  const settled = new Map<string, Outcome['result']>()
  const reasons: (string | undefined)[] = []
  async function deliver(items: readonly WorkItem[], attempt: number): Promise<Outcome[]> {
    const sent = items.map(({ path }) => path)
    if (breaks(sent, attempt)) throw new LinkDown('cut')
    const times = { attempts: 1, startedAt: 0, endedAt: 0 }
    return items.map((item) => ({ item, result: 'written', conflict: false, blob: 'not-sent', ...times }))
  }
  async function settle(items: readonly WorkItem[], outcomes: readonly Outcome[]) {
    assert.deepEqual(
      outcomes.map(({ item }) => item.path),
      items.map(({ path }) => path),
    )
    for (const { item, result, reason } of outcomes) {
      assert.equal(settled.has(item.path), false, `${item.path} twice`)
      settled.set(item.path, result)
      if (result === 'failed') reasons.push(reason)
    }
  }
  for (let attempt = 1; attempt <= 100; attempt++) {
    const care = suspects.of(SHARD)
    const left = paths.filter((path) => !settled.has(path)).map(itemAt)
    const pages = async function* () {
      for (let at = 0; at < left.length; at += 3) yield left.slice(at, at + 3)
    }
    try {
      const deps = { care, deliver: (items: readonly WorkItem[]) => deliver(items, attempt), settle, now: () => 0 }
      const rest = care.isCareful ? await deliverCarefully(pages(), deps) : pages()
      for await (const page of rest) await settle(page, await deliver(page, attempt))
      return { attempts: attempt, settled, reasons }
    } catch (error) {
      if (!(error instanceof LinkDown)) throw error
      if (!care.isCareful) care.broke()
    }
  }
  return assert.fail('it never ended')
}
const failed = (settled: ReadonlyMap<string, string>) =>
  [...settled].filter(([, result]) => result === 'failed').map(([path]) => path)

describe('what breaks the connection', () => {
  const paths = ['/a', '/b', '/c', '/d', '/e', '/f', '/g', '/h']

  it('given nothing does, when sent, then all goes at once', async () => {
    const { attempts, settled } = await work(paths, () => false)
    assert.deepEqual([attempts, settled.size], [1, 8])
  })

  for (const poison of [['/a'], ['/d'], ['/h'], ['/c', '/d'], ['/a', '/h']]) {
    it(`given ${poison.join(' and ')} does each time, when sent, then it alone FAILED, and the rest is there`, async () => {
      const { settled, reasons } = await work(paths, (sent) => poison.some((path) => sent.includes(path)))
      assert.deepEqual(failed(settled), poison)
      assert.equal(settled.size, 8)
      assert.match(
        reasons[0] ?? '',
        /^File \[\/.\] could not be sent: the connection broke each of the \d times .*: cut$/,
      )
    })
  }

  for (let cuts = 1; cuts <= 14; cuts++) {
    it(`given a line that breaks ${cuts} times whatever is sent, when it is good again, then nothing FAILED`, async () => {
      const { settled } = await work(paths, (_sent, attempt) => attempt <= cuts)
      assert.deepEqual([failed(settled), settled.size], [[], 8])
    })
  }
})
