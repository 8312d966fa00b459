import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestOf } from '../../../test/helpers/blobs.ts'
import { manualClock } from '../../../test/helpers/clock.ts'
import type { Digest } from '../../core/digest.ts'
import type { Outcome } from './outcome.ts'
import { verifyStored } from './verify-stored.ts'
import type { WorkItem } from './work-item.ts'

const outcome = (name: string, result: Outcome['result']): Outcome => ({
  item: { kind: 'file', path: `/${name}`, file: { digest: digestOf(name) } } as unknown as WorkItem,
  ...{ result, conflict: false, blob: 'sent', attempts: 1, startedAt: 0, endedAt: 0 },
})
const TIMEOUT_MS = 600_000

/** A target that has each content from a time on. */
function start(arrivals: Readonly<Record<string, number>>) {
  const clock = manualClock()
  const begunAt = clock.now()
  const asked: number[] = []
  const client = {
    async missing(digests: readonly Digest[]) {
      asked.push(digests.length)
      const lacks = (name: string) => clock.now() < begunAt + arrivals[name]!
      return new Set(
        Object.keys(arrivals)
          .filter(lacks)
          .map(digestOf)
          .filter((digest) => digests.includes(digest)),
      )
    },
  }
  return { clock, asked, deps: { client, clock, timeoutMs: TIMEOUT_MS } }
}

describe('storage check', () => {
  it('given contents that are there, when checked, then one question, about what was written alone', async (t) => {
    const { asked, deps } = start({ a: 0, b: 0 })
    const outcomes = [outcome('a', 'written'), outcome('b', 'unchanged')]
    assert.deepEqual(await verifyStored(outcomes, deps, t.signal), outcomes)
    assert.deepEqual(asked, [1])
  })

  it('given one that comes late, when checked every second, then it counts as written', async (t) => {
    const { clock, asked, deps } = start({ a: 0, b: 2_500 })
    const outcomes = [outcome('a', 'written'), outcome('b', 'written')]
    const checking = verifyStored(outcomes, deps, t.signal)
    for (let n = 0; n < 3; n++) {
      await clock.untilSleeping()
      await clock.advance(1_000)
    }
    assert.deepEqual(await checking, outcomes)
    assert.deepEqual(asked, [2, 1, 1, 1])
  })

  it('given one that never comes, when the time is over, then it alone FAILED and the reason says what and for how long', async (t) => {
    const { clock, deps } = start({ a: 0, b: Number.POSITIVE_INFINITY })
    const checking = verifyStored([outcome('a', 'written'), outcome('b', 'written')], deps, t.signal)
    for (let passedMs = 0; passedMs < TIMEOUT_MS; passedMs += 60_000) {
      await clock.untilSleeping()
      await clock.advance(60_000)
    }
    const [a, b] = await checking
    assert.equal(a?.result, 'written')
    assert.equal(b?.result, 'failed')
    assert.match(
      b?.reason ?? '',
      /^File \[\/b\] was written, but its content is not in the target's storage after 600 s/,
    )
  })
})
