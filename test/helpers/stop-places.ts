/** Where a body that passes is stopped: given the chunks in their order, the offset within one at which nothing more passes. */
export interface StopPlace {
  readonly of: 'request' | 'answer'
  /** Undefined: all of this chunk passes. */
  stopAt(chunk: Buffer): number | undefined
}

/** Types of frames on the stream of a link (`src/remotes/cluster/frames/frame.ts`). */
export const FRAME = { entry: 1, version: 5, begin: 7, ack: 8, credit: 9, end: 12 } as const

/** Of a frame: u32 length of what follows, u8 type. */
const LENGTH_BYTES = 4
const HEAD_BYTES = LENGTH_BYTES + 1

export function afterBytes(of: StopPlace['of'], count: number): StopPlace {
  let passed = 0
  return {
    of,
    stopAt({ length }) {
      const room = count - passed
      passed += length
      return room > length ? undefined : room
    },
  }
}

/** Around the `nth` frame of a type; before it, its head has passed: that tells nobody anything. */
export function atFrame(of: StopPlace['of'], side: 'before' | 'after', type: number, nth: number): StopPlace {
  const head: number[] = []
  let left = 0
  let count = 0
  return {
    of,
    stopAt(chunk) {
      for (let at = 0; at < chunk.length; ) {
        if (head.length < HEAD_BYTES) {
          head.push(chunk[at++]!)
          if (head.length < HEAD_BYTES) continue
          left = Buffer.from(head).readUInt32BE(0) - 1
          if (head[LENGTH_BYTES] === type && ++count === nth && side === 'before') return at
        }
        const taken = Math.min(left, chunk.length - at)
        at += taken
        left -= taken
        if (left > 0) continue
        if (head[LENGTH_BYTES] === type && count === nth && side === 'after') return at
        head.length = 0
      }
      return undefined
    },
  }
}
