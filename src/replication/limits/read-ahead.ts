/**
 * Memory for contents on their way to one remote, of all streams together. Only what a stream takes beyond its first batch is refused, so
 * that none waits for another, however slow that is.
 */
export interface ReadAhead {
  /** False: there is no room beside what is under way. */
  tryTake(bytes: number): boolean
  /** Whether there is room or not. */
  take(bytes: number): void
  giveBack(bytes: number): void
}

export function createReadAhead(maxBytes: number): ReadAhead {
  let taken = 0
  return {
    tryTake(bytes) {
      if (taken + bytes > maxBytes) return false
      taken += bytes
      return true
    },
    take(bytes) {
      taken += bytes
    },
    giveBack(bytes) {
      taken -= bytes
    },
  }
}
