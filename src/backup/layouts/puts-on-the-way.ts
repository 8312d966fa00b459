import type { Digest } from '../../core/digest.ts'

/** Contents that are being written: whoever brings one of them again waits for the first, and has its end. */
export interface PutsOnTheWay {
  once(digest: Digest, put: () => Promise<void>): Promise<void>
  /** All of them have ended, well or badly. */
  settled(): Promise<unknown>
}

export function createPutsOnTheWay(): PutsOnTheWay {
  const puts = new Map<Digest, Promise<void>>()
  return {
    async once(digest, put) {
      const other = puts.get(digest)
      if (other !== undefined) return other
      const putting = put()
      puts.set(digest, putting)
      try {
        await putting
      } finally {
        puts.delete(digest)
      }
    },
    settled: () => Promise.allSettled(puts.values()),
  }
}
