/** Whether the line to a target is so slow that packing bytes is faster than sending them. Fast until the opposite is seen. */
export interface LineRate {
  /** @param blockedMs the part of `elapsedMs` during which the connection took nothing more. */
  add(bytes: number, blockedMs: number, elapsedMs: number): void
  /** A transfer that shares the line with others from now on, until what this gives is called. */
  begin(): () => void
  readonly isSlow: boolean
}

/** Of all transfers together; packing one core's worth is about five times as fast. */
const SLOW_BYTES_PER_MS = 100_000
/** Fewer say nothing: the buffers of both systems take them at once. */
const WINDOW_BYTES = 4 * 1024 * 1024

export function createLineRate(): LineRate {
  let [bytes, blockedMs, elapsedMs] = [0, 0, 0]
  let isSlow = false
  let transfers = 0
  return {
    add(moreBytes, moreBlockedMs, moreElapsedMs) {
      // Each of several has its part of the line.
      bytes += moreBytes * Math.max(1, transfers)
      blockedMs += moreBlockedMs
      elapsedMs += moreElapsedMs
      if (bytes < WINDOW_BYTES) return
      // Where the connection was ready for more most of the time, something else is slow.
      isSlow = blockedMs * 2 > elapsedMs && bytes < elapsedMs * SLOW_BYTES_PER_MS
      ;[bytes, blockedMs, elapsedMs] = [0, 0, 0]
    },
    begin() {
      transfers++
      return () => {
        transfers--
      }
    },
    get isSlow() {
      return isSlow
    },
  }
}
