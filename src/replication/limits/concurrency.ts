import type { Clock } from '../../core/clock.ts'

/** How many streams to keep open to one remote: more while that carries more, fewer when it has too much. Memory only. */
export interface Concurrency {
  /** Streams that are welcome at the moment; a stream above it ends after what it has begun. */
  limit(): number
  /** A batch was acknowledged: `bytes` of content in `items` files, `ms` after it was sent. */
  acked(bytes: number, items: number, ms: number): void
  /** The remote said that it has too much (429, 503), or did not answer in time. */
  congested(): void
}

interface ConcurrencyOptions {
  readonly clock: Pick<Clock, 'now'>
  readonly min?: number
  readonly start?: number
  readonly max?: number
}

/** One step up, or one cut, in this time at most (sync design B.9): several refusals at once are one event. */
const STEP_MS = 2_000
const GROWTH = 1.05
const CUT = 0.7
/** An acknowledgement that takes this many times longer than the quickest median means that work queues up over there. */
const SLOW = 2
/** What a file costs besides its bytes, as bytes: about 60 µs at 100 MB/s. */
const ITEM_BYTES = 6_000
/** Acknowledgements that a step looks at; a median of fewer than the least says nothing. */
const MOST_SAMPLES = 101
const LEAST_SAMPLES = 5

export function createConcurrency({ clock, min = 1, start = 2, max = 16 }: ConcurrencyOptions): Concurrency {
  let limit = Math.min(max, Math.max(min, start))
  let stepAt = clock.now()
  let cutAt = Number.NEGATIVE_INFINITY
  let work = 0
  let samples: number[] = []
  /** Work per millisecond that the next step has to surpass; 0: anything does. */
  let reached = 0
  let bestMs = Number.POSITIVE_INFINITY

  function nextStep(now: number): void {
    stepAt = now
    work = 0
    samples = []
  }
  function cut(now: number): void {
    limit = Math.max(min, Math.floor(limit * CUT))
    reached = 0
    cutAt = now
    nextStep(now)
  }
  /** Nothing that we could hold back is in front of us on the lowest limit: what it takes then is the remote's own pace. */
  function tooSlow(): boolean {
    if (samples.length < LEAST_SAMPLES) return false
    const median = samples.sort((a, b) => a - b)[samples.length >> 1]!
    const slow = median > bestMs * SLOW && limit > min
    bestMs = limit === min ? median : Math.min(bestMs, median)
    return slow
  }

  return {
    limit: () => limit,
    acked(bytes, items, ms) {
      work += bytes + items * ITEM_BYTES
      if (samples.length < MOST_SAMPLES) samples.push(ms)
      const now = clock.now()
      const elapsedMs = now - stepAt
      if (elapsedMs < STEP_MS) return
      if (tooSlow()) return cut(now)
      const goodput = work / elapsedMs
      if (goodput > reached * GROWTH) {
        reached = goodput
        limit = Math.min(max, limit + 1)
      }
      nextStep(now)
    },
    congested() {
      const now = clock.now()
      if (now - cutAt >= STEP_MS) cut(now)
    },
  }
}
