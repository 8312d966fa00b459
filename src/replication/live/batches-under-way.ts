import type { Outcome } from '../delivery/outcome.ts'
import type { WorkItem } from '../delivery/work-item.ts'
import { createPathsUnderWay } from './paths-under-way.ts'

/** Changes that are brought over together. */
export interface LiveBatch {
  readonly paths: readonly string[]
  /** Undefined: of the ledger, the cursor has nothing to do with it. */
  readonly upTo: number | undefined
  readonly items: readonly WorkItem[]
}
export interface DeliveredBatch extends LiveBatch {
  readonly outcomes: readonly Outcome[]
}

/** Batches of a link that are no part of a checkpoint yet, in the order of the changes; none touches a path of another. */
export interface BatchesUnderWay {
  readonly count: number
  /** No other one may begin. */
  isFull(): boolean
  /** None of the paths may be sent beside them. */
  collide(paths: readonly string[]): boolean
  add(batch: LiveBatch): void
  deliver(batch: LiveBatch, outcomes: readonly Outcome[]): void
  /** The first ones, as far as all before them were delivered too. */
  delivered(): readonly DeliveredBatch[]
  /** The first ones are in a checkpoint. */
  settle(batches: readonly DeliveredBatch[]): void
}

/** One is read and sent while others are made durable over there. */
const BATCHES_AT_ONCE = 4
/** Over there, and not in a checkpoint yet. */
const UNSETTLED_BATCHES = 64

export function createBatchesUnderWay(): BatchesUnderWay {
  const touched = createPathsUnderWay()
  const batches: LiveBatch[] = []
  const outcomesOf = new Map<LiveBatch, readonly Outcome[]>()
  return {
    get count() {
      return batches.length
    },
    isFull: () => batches.length >= UNSETTLED_BATCHES || batches.length - outcomesOf.size >= BATCHES_AT_ONCE,
    collide: touched.collide,
    add(batch) {
      touched.add(batch.paths)
      batches.push(batch)
    },
    deliver(batch, outcomes) {
      outcomesOf.set(batch, outcomes)
    },
    delivered() {
      const found: DeliveredBatch[] = []
      for (const batch of batches) {
        const outcomes = outcomesOf.get(batch)
        if (outcomes === undefined) break
        found.push({ ...batch, outcomes })
      }
      return found
    },
    settle({ length }) {
      for (const batch of batches.splice(0, length)) {
        touched.remove(batch.paths)
        outcomesOf.delete(batch)
      }
    },
  }
}
