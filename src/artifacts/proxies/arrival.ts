import { Readable, Transform } from 'node:stream'
import type { Digest } from '../../core/digest.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'

/** A content that is being fetched: it can be read while it comes. @param S what it is once it is stored. */
export interface Arrival<S = NodeRecord> {
  /** What the other side says about it; nothing of it is proven yet. */
  readonly sizeBytes: number | undefined
  readonly digest: Digest | undefined
  /** Resolves once it is verified, durable and visible. Never unhandled. */
  readonly stored: Promise<S>
  /**
   * All bytes from the first one, for one reader; any number of them. The last piece is held back until the whole is stored: a
   * reader that was told a length has it complete only when it is right, else its stream breaks.
   */
  read(signal: AbortSignal): Readable
}

/** The writing side. */
export interface ArrivingBody<S = NodeRecord> {
  readonly arrival: Arrival<S>
  /** Passes bytes on and lets readers have them. */
  readonly tap: Transform
  /** `content` is what came: at `file`, the node of its path, others may have put something else meanwhile. */
  finish(file: S, content: StoredContent): void
  fail(error: unknown): void
}

/** Bytes that are durable. */
export interface StoredContent {
  readonly digest: Digest
  readonly sizeBytes: number
}

interface ArrivalDeps {
  /** Stored bytes from an offset on, for readers that were too slow for the window. */
  readonly open: (digest: Digest, start: number, signal: AbortSignal) => Promise<Readable>
}

/**
 * The latest bytes stay in memory, this many and in this many pieces, for all readers together. A reader that falls behind waits
 * until the file is stored and goes on from there: it slows down neither the fetch nor the others.
 */
const WINDOW_BYTES = 2 * 1024 * 1024
const WINDOW_PIECES = 256

interface Piece {
  readonly start: number
  readonly bytes: Buffer
}

export function createArrivingBody<S = NodeRecord>(
  announced: Pick<Arrival, 'sizeBytes' | 'digest'>,
  { open }: ArrivalDeps,
): ArrivingBody<S> {
  const window: Piece[] = []
  let windowBytes = 0
  let arrivedBytes = 0
  let end: { readonly content: StoredContent } | { readonly error: unknown } | undefined
  let news = Promise.withResolvers<void>()
  const outcome = Promise.withResolvers<S>()
  outcome.promise.catch(() => {})

  const tell = () => {
    news.resolve()
    news = Promise.withResolvers()
  }
  const take = (bytes: Buffer) => {
    if (bytes.length === 0) return
    window.push({ start: arrivedBytes, bytes })
    arrivedBytes += bytes.length
    windowBytes += bytes.length
    // The last piece stays however large it is: nobody has read it yet.
    while (window.length > 1 && (windowBytes > WINDOW_BYTES || window.length > WINDOW_PIECES)) {
      windowBytes -= window.shift()!.bytes.length
    }
    tell()
  }
  /** The piece at an offset, unless it is gone from the window or held back. */
  const pieceAt = (offset: number): Buffer | undefined => {
    const index = window.findIndex(({ start }) => start === offset)
    return index === -1 || index === window.length - 1 ? undefined : window[index]!.bytes
  }
  async function* follow(signal: AbortSignal): AsyncGenerator<Buffer> {
    let offset = 0
    for (;;) {
      if (end !== undefined && 'error' in end) throw end.error
      const piece = pieceAt(offset)
      if (piece !== undefined) {
        offset += piece.length
        yield piece
      } else if (end === undefined) {
        await news.promise
      } else {
        const { digest, sizeBytes } = end.content
        if (offset < sizeBytes) yield* (await open(digest, offset, signal)) as AsyncIterable<Buffer>
        return
      }
    }
  }
  return {
    arrival: {
      ...announced,
      stored: outcome.promise,
      read: (signal) => Readable.from(follow(signal), { objectMode: false, signal }),
    },
    tap: new Transform({
      transform(chunk: Buffer, _encoding, done) {
        take(chunk)
        done(null, chunk)
      },
    }),
    finish(file, content) {
      end = { content }
      outcome.resolve(file)
      tell()
    },
    fail(error) {
      end = { error }
      outcome.reject(error)
      tell()
    },
  }
}
