import { randomFillSync } from 'node:crypto'
import type { Random } from '../core/ids.ts'

/** Asking the system costs microseconds however few bytes it gives, and every request has an id: bytes are drawn ahead. */
const POOL_BYTES = 4_096
const pool = Buffer.alloc(POOL_BYTES)
let used = POOL_BYTES

function bytes(count: number): Buffer {
  if (count > POOL_BYTES) return randomFillSync(Buffer.alloc(count))
  if (used + count > POOL_BYTES) {
    randomFillSync(pool)
    used = 0
  }
  const drawn = Buffer.from(pool.subarray(used, used + count))
  // Nobody finds in memory what somebody else was given.
  pool.fill(0, used, used + count)
  used += count
  return drawn
}

export const systemRandom: Random = { next: () => Math.random(), bytes }
