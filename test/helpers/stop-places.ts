import { crc32 } from 'node:zlib'

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

/**
 * Around the `nth` frame of a type; before it, its head has passed: that tells nobody anything. Of a stream in blocks, after it is after its
 * block, which is taken as a whole.
 */
export function atFrame(of: StopPlace['of'], side: 'before' | 'after', type: number, nth: number): StopPlace {
  const frames = atPlainFrame(of, side, type, nth)
  const head: number[] = []
  let kind: 'unknown' | 'plain' | 'blocks' = 'unknown'
  /** Of the payload of a block. */
  let left = 0
  let isFound = false
  return {
    of,
    stopAt(chunk) {
      if (kind === 'plain') return frames.stopAt(chunk)
      for (let at = 0; at < chunk.length; ) {
        if (left === 0) {
          head.push(chunk[at++]!)
          if (head.length < BLOCK_HEAD_BYTES) continue
          const bytes = Buffer.from(head.splice(0))
          if (kind === 'unknown' && !isBlockHead(bytes)) {
            kind = 'plain'
            const stop = frames.stopAt(Buffer.concat([bytes, chunk.subarray(at)]))
            return stop === undefined ? undefined : Math.max(0, stop - bytes.length + at)
          }
          kind = 'blocks'
          left = bytes.readUInt32BE(0)
          continue
        }
        const part = chunk.subarray(at, at + left)
        const stop = isFound ? undefined : frames.stopAt(part)
        if (stop !== undefined && side === 'before') return at + stop
        isFound ||= stop !== undefined
        at += part.length
        left -= part.length
        if (isFound && left === 0) return at
      }
      return undefined
    },
  }
}

/** u32 bytes, u32 sum of them, u32 sum of these 8 (`src/remotes/cluster/frames/sealed-blocks.ts`). */
const BLOCK_HEAD_BYTES = 12
const isBlockHead = (bytes: Buffer): boolean => crc32(bytes.subarray(0, 8)) === bytes.readUInt32BE(8)

function atPlainFrame(of: StopPlace['of'], side: 'before' | 'after', type: number, nth: number): StopPlace {
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
