import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { manualClock } from '../../../test/helpers/clock.ts'
import { type Concurrency, createConcurrency } from './concurrency.ts'

const STEP_MS = 2_000

/** One step in which each of 10 acknowledgements carried `bytes` and took `ms`. */
async function step(of: { limit: Concurrency; clock: ReturnType<typeof manualClock> }, bytes: number, ms = 100) {
  for (let ack = 0; ack < 10; ack++) {
    await of.clock.advance(STEP_MS / 10)
    of.limit.acked(bytes, 0, ms)
  }
}
function started(options: { readonly start?: number; readonly max?: number } = {}) {
  const clock = manualClock()
  return { clock, limit: createConcurrency({ clock, ...options }) }
}

describe('concurrency', () => {
  it('given goodput that grows with every stream, when steps pass, then one is added in each, up to the most', async () => {
    const on = started()
    const seen: number[] = []
    for (let time = 0; time < 16; time++) {
      await step(on, 100_000 * on.limit.limit())
      seen.push(on.limit.limit())
    }
    assert.deepEqual(seen, [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 16, 16])
  })

  it('given goodput that does not grow, when steps pass, then the limit stays where it is', async () => {
    const on = started()
    for (let time = 0; time < 10; time++) await step(on, 500_000)
    assert.equal(on.limit.limit(), 3)
  })

  it('given many refusals at once, when they are told, then the limit is cut once, and again only after a step', async () => {
    const on = started({ start: 10 })
    for (let refusal = 0; refusal < 5; refusal++) on.limit.congested()
    assert.equal(on.limit.limit(), 7)
    await on.clock.advance(STEP_MS)
    on.limit.congested()
    assert.equal(on.limit.limit(), 4)
  })

  it('given acknowledgements that take twice as long as the best, when a step ends, then the limit is cut', async () => {
    const on = started({ start: 10 })
    await step(on, 100_000, 50)
    assert.equal(on.limit.limit(), 11)
    await step(on, 200_000, 101)
    assert.equal(on.limit.limit(), 7)
  })

  it('given a remote that became slower for good, when the limit is at its least, then that is the measure from then on', async () => {
    const on = started()
    await step(on, 100_000, 10)
    for (let time = 0; time < 10 && on.limit.limit() > 1; time++) await step(on, 100_000, 1_000)
    assert.equal(on.limit.limit(), 1)
    await step(on, 100_000, 1_000)
    await step(on, 200_000, 1_000)
    assert.ok(on.limit.limit() > 1)
  })

  it('given a cut, when goodput is as before, then one stream is tried again', async () => {
    const on = started({ start: 8 })
    for (let time = 0; time < 3; time++) await step(on, 500_000)
    on.limit.congested()
    const cut = on.limit.limit()
    await on.clock.advance(STEP_MS)
    await step(on, 500_000)
    assert.equal(on.limit.limit(), cut + 1)
  })

  it('given any story, when told, then the limit stays within its bounds and never grows by more than one a step', async () => {
    const event = fc.oneof(
      fc.record({ waitMs: fc.nat(3_000), bytes: fc.nat(1e7), ms: fc.nat(5_000) }),
      fc.constant('congested' as const),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 200 }), async (events) => {
        const { clock, limit } = started()
        let grownAt = clock.now()
        for (const told of events) {
          const before = limit.limit()
          if (told === 'congested') limit.congested()
          else {
            await clock.advance(told.waitMs)
            limit.acked(told.bytes, 1, told.ms)
          }
          const after = limit.limit()
          assert.ok(Number.isInteger(after) && after >= 1 && after <= 16)
          if (after <= before) continue
          assert.equal(after, before + 1)
          assert.ok(clock.now() - grownAt >= STEP_MS)
          grownAt = clock.now()
        }
      }),
      { numRuns: 50 },
    )
  })
})
