import { createHash } from 'node:crypto'
import { type Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Digest, digestFromBytes } from '../../core/digest.ts'

/**
 * The stream, of which the last piece comes only when the whole is as long as announced and hashes to the digest; else it breaks.
 * For content that is passed on and not kept.
 */
export function verifiedStream(
  source: Readable,
  { sizeBytes, digest }: { readonly sizeBytes: number | undefined; readonly digest: Digest | undefined },
  failed: (why: unknown) => Error,
): Readable {
  const hash = createHash('sha256')
  let bytes = 0
  let last: Buffer | undefined
  const failure = (): string | undefined => {
    if (sizeBytes !== undefined && bytes !== sizeBytes) return `it announced ${sizeBytes} bytes, and sent ${bytes}`
    if (digest !== undefined && digestFromBytes(hash.digest()) !== digest)
      return `it announced ${digest}, and sent something else`
    return undefined
  }
  const verified = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length
      hash.update(chunk)
      const ready = last
      last = chunk
      done(null, ready)
    },
    flush(done) {
      const why = failure()
      if (why === undefined) done(null, last)
      else done(failed(why))
    },
  })
  source.once('error', (error) => verified.destroy(failed(error)))
  // Whoever reads `verified` sees the failure; destroying it destroys the source.
  void pipeline(source, verified).catch(() => {})
  return verified
}
