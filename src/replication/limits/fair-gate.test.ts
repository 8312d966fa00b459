import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { manualClock } from '../../../test/helpers/clock.ts'
import { seededRandom } from '../../../test/helpers/ids.ts'
import { createFairGate, type FairGate, type GatePlace } from './fair-gate.ts'

const jain = (shares: readonly number[]): number =>
  shares.reduce((sum, x) => sum + x, 0) ** 2 / (shares.length * shares.reduce((sum, x) => sum + x * x, 0))

/** Senders with batches of random size, each of which is under way for a time by its size and by chance, until time is over. */
async function run(
  gate: FairGate,
  senders: readonly (GatePlace & { readonly streams: number; readonly batchBytes: number })[],
  forMs: number,
): Promise<number[]> {
  const clock = manualClock()
  const random = seededRandom()
  const stop = new AbortController()
  const bytes = senders.map(() => 0)
  const work = senders.flatMap((sender, n) => {
    const seat = gate.join(sender)
    return Array.from({ length: sender.streams * 3 }, async () => {
      while (!stop.signal.aborted) {
        const cost = Math.ceil(sender.batchBytes * (0.5 + random.next()))
        const leave = await seat.enter(cost, stop.signal)
        await clock.sleep(1 + (cost / 100_000) * (0.5 + random.next()), stop.signal)
        bytes[n]! += cost
        leave()
      }
    }).map((worker) => worker.catch(() => undefined))
  })
  for (let ms = 0; ms < forMs; ms += 5) {
    await clock.advance(5)
    await setImmediate()
  }
  stop.abort()
  await Promise.all(work)
  return bytes
}
const FOR_MS = 4_000

describe('turns of links at one target', () => {
  it('given two equal tasks, one with more streams and links, when no rate is limited, then they share evenly', async () => {
    const gate = createFairGate(() => 9)
    const one = { kind: 'backfill', batchBytes: 400_000 } as const
    const bytes = await run(
      gate,
      [
        { ...one, taskKey: 'a', streams: 3 },
        { ...one, taskKey: 'b', streams: 1 },
        { ...one, taskKey: 'b', streams: 2 },
      ],
      FOR_MS,
    )
    const ofTasks = [bytes[0]!, bytes[1]! + bytes[2]!]
    assert.ok(jain(ofTasks) >= 0.95, `${jain(ofTasks)} of ${ofTasks}`)
    assert.ok(jain(bytes.slice(1)) >= 0.95, `${bytes}`)
  })

  it('given small batches and large ones, when both wait, then bytes are shared, not turns', async () => {
    const gate = createFairGate(() => 4)
    const one = { kind: 'backfill', streams: 4 } as const
    const bytes = await run(
      gate,
      [
        { ...one, taskKey: 'a', batchBytes: 100_000 },
        { ...one, taskKey: 'b', batchBytes: 1_000_000 },
      ],
      FOR_MS,
    )
    assert.ok(jain(bytes) >= 0.95, `${bytes}`)
  })

  it('given changes as they come and what was there, when both want all, then the one has nine tenths and the other a tenth', async () => {
    const gate = createFairGate(() => 9)
    const one = { streams: 4, batchBytes: 200_000 } as const
    const [live, old] = (await run(
      gate,
      [
        { ...one, kind: 'live', taskKey: 'a' },
        { ...one, kind: 'backfill', taskKey: 'b' },
      ],
      FOR_MS,
    )) as [number, number]
    const share = old / (live + old)
    assert.ok(share >= 0.08 && share <= 0.14, `${share}`)
  })

  it('given one link alone, when it sends, then it waits for nothing', async (t) => {
    const seat = createFairGate(() => 1).join({ kind: 'backfill', taskKey: 'a' })
    await Promise.all([1, 2, 3].map(() => seat.enter(1, t.signal)))
  })

  it('given a link whose batches hang, when others come, then each of them has a turn', async (t) => {
    const gate = createFairGate(() => 2)
    const [a, b] = ['a', 'b'].map((taskKey) => gate.join({ kind: 'backfill', taskKey }))
    await a!.enter(1, t.signal)
    await a!.enter(1, t.signal)
    const leave = await b!.enter(1, t.signal)
    leave()
    ;(await b!.enter(1, t.signal))()
  })

  it('given one that stops waiting, when its signal aborts, then it hears why, and the others go on', async (t) => {
    const gate = createFairGate(() => 1)
    const [a, b] = ['a', 'b'].map((taskKey) => gate.join({ kind: 'backfill', taskKey }))
    const leave = await a!.enter(1, t.signal)
    const stop = new AbortController()
    const waiting = a!.enter(1, stop.signal)
    stop.abort(new Error('enough'))
    await assert.rejects(waiting, /enough/)
    const next = a!.enter(1, t.signal)
    leave()
    leave()
    ;(await next)()
    b!.close()
  })
})
