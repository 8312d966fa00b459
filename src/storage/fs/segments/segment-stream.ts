import { addAbortSignal, Readable } from 'node:stream'
import type { HeldSegment } from './segment-files.ts'

/** Per read, of which two are in memory at most. */
const READ_BYTES = 256 * 1024

/** Bytes [start, end) of a segment; lets go of it when the stream ends, breaks or is destroyed. */
export function streamSegment(held: HeldSegment, start: number, end: number, signal: AbortSignal): Readable {
  let at = start
  let reading: Promise<void> = Promise.resolve()
  async function readNext(stream: Readable): Promise<void> {
    const bytes = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, end - at))
    const count = bytes.length === 0 ? 0 : await held.file.read(bytes, 0, bytes.length, at)
    at += count
    stream.push(count === 0 ? null : bytes.subarray(0, count))
  }
  const stream = new Readable({
    highWaterMark: READ_BYTES,
    read() {
      reading = readNext(this).catch((error: Error) => {
        this.destroy(error)
      })
    },
    destroy(error, done) {
      // The file is not closed under a read.
      reading.finally(() => {
        held[Symbol.dispose]()
        done(error)
      })
    },
  })
  // An abort before the caller listens would be an error that nobody hears, which ends the process. Callers hear it all the same.
  return addAbortSignal(signal, stream).on('error', () => undefined)
}
