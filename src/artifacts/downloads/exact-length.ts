import { type Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { giveOn } from '../../storage/given-chunks.ts'

/**
 * The stream, which fails when it ends after another number of bytes than expected: a receiver who was told a length would wait
 * for the rest for ever, or take a cut file for a whole one.
 */
export function exactLength(source: Readable, expectedBytes: number): Readable {
  let bytes = 0
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length
      done(bytes > expectedBytes ? wrongLength(expectedBytes, bytes) : null, chunk)
    },
    flush: (done) => done(bytes < expectedBytes ? wrongLength(expectedBytes, bytes) : null),
  })
  // Whoever reads `counted` sees the failure; destroying it destroys the source.
  void pipeline(source, counted).catch(() => {})
  return giveOn(source, counted)
}

const wrongLength = (expectedBytes: number, bytes: number) =>
  new Error(
    `the stored content has another length: expected ${expectedBytes} bytes, got ${bytes}${bytes > expectedBytes ? ' or more' : ''}`,
  )
