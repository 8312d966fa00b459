import assert from 'node:assert/strict'
import { it } from 'node:test'
import { manualClock } from '../../../test/helpers/clock.ts'
import { createProgress } from './progress.ts'

it('given counters, when they are added and set, then sums and the newest values are told', () => {
  const progress = createProgress(manualClock())
  progress.set({ phase: 'contents', nodes: 3 })
  progress.add({ nodes: 2, failed: 1 })
  progress.add({ nodes: 1 })
  const { phase, nodes, failed, bytes, etaSeconds } = progress.now
  assert.deepEqual([phase, nodes, failed, bytes, etaSeconds], ['contents', 6, 1, 0, null])
})

it('given a total, when bytes move, then the rest is foretold by the pace since it is known', async () => {
  const clock = manualClock()
  const progress = createProgress(clock)
  progress.add({ bytes: 50 })
  await clock.advance(60_000)
  progress.set({ totalBytes: 250 })
  assert.equal(progress.now.etaSeconds, null)
  progress.add({ bytes: 100 })
  await clock.advance(5_000)
  assert.equal(progress.now.etaSeconds, 5)
  progress.add({ bytes: 100 })
  assert.equal(progress.now.etaSeconds, 0)
})

it('given a total of nodes, when no bytes move, then the rest is foretold by nodes, and is nothing when all have come', async () => {
  const clock = manualClock()
  const progress = createProgress(clock)
  progress.set({ totalNodes: 40, totalBytes: 1_000_000 })
  progress.add({ nodes: 10 })
  await clock.advance(5_000)
  assert.equal(progress.now.etaSeconds, 15)
  progress.add({ nodes: 30 })
  assert.equal(progress.now.etaSeconds, 0)
})

it('given nodes that were all there when the total became known, when bytes move, then only these count', async () => {
  const clock = manualClock()
  const progress = createProgress(clock)
  progress.set({ nodes: 40 })
  progress.set({ totalNodes: 40, totalBytes: 100 })
  assert.equal(progress.now.etaSeconds, null)
  progress.add({ bytes: 50 })
  await clock.advance(7_000)
  assert.equal(progress.now.etaSeconds, 7)
})
