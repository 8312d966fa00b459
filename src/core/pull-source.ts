import type { Readable } from 'node:stream'

/**
 * Bytes that are asked for piece by piece, into memory of whoever asks: a large content leaves no garbage behind, however large it is.
 */
export interface PullSource extends AsyncDisposable {
  /** Fills `into` from its beginning. @returns how many bytes came, fewer only at the end; 0: there are no more. */
  read(into: Buffer, signal: AbortSignal): Promise<number>
}

/** The same bytes, each chunk in memory of its own. */
export async function* chunksOf(source: PullSource, chunkBytes: number, signal: AbortSignal): AsyncGenerator<Buffer> {
  await using pulled = source
  for (;;) {
    const chunk = Buffer.allocUnsafeSlow(chunkBytes)
    const length = await pulled.read(chunk, signal)
    if (length > 0) yield chunk.subarray(0, length)
    if (length < chunkBytes) return
  }
}

/** What a stream gives, copied. Disposing destroys it. */
export function pulledFrom(stream: Readable): PullSource {
  const chunks: AsyncIterator<Buffer> = stream[Symbol.asyncIterator]()
  let rest: Buffer = Buffer.alloc(0)
  return {
    async read(into, signal) {
      let filled = 0
      while (filled < into.length) {
        if (rest.length === 0) {
          signal.throwIfAborted()
          const next = await chunks.next()
          if (next.done === true) break
          rest = next.value
        }
        const copied = rest.copy(into, filled)
        rest = rest.subarray(copied)
        filled += copied
      }
      return filled
    },
    async [Symbol.asyncDispose]() {
      stream.destroy()
    },
  }
}
