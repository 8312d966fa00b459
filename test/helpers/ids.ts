import type { Ids, Random } from '../../src/core/ids.ts'

/** Counts: ids `000…001`, `000…002` (24 hex digits, ascending), keys `ffff…0001` (32 hex digits). */
export function countingIds(): Ids {
  let ids = 0
  let keys = 0
  return {
    id: () => (++ids).toString(16).padStart(24, '0'),
    key: () => (++keys).toString(16).padStart(32, 'f'),
  }
}

/** The same numbers in every run (mulberry32). Not for secrets. */
export function seededRandom(seed = 1): Random {
  let state = seed
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  return {
    next,
    bytes: (count) => Buffer.from(Array.from({ length: count }, () => Math.floor(next() * 256))),
  }
}
