import { Readable } from 'node:stream'
import { constants, createZstdCompress } from 'node:zlib'
import { chunksOf, type PullSource } from '../../../core/pull-source.ts'
import { shrinks } from '../frames/bundle.ts'

/** A body as it goes out, and the headers that say how. */
export interface OutgoingBody {
  readonly body: Readable | PullSource
  /** Undefined: not known before its end. */
  readonly bodyBytes: number | undefined
  readonly headers: Readonly<Record<string, string>>
}

/** With `content-encoding: zstd`: how many bytes come out, in decimal. The target takes no more and no less. */
export const DECODED_LENGTH = 'x-decoded-length'
const SAMPLE_BYTES = 64 * 1024
const LEVEL = 1
const CHUNK_BYTES = 256 * 1024

/** The body packed, when its first 64 KiB shrink by more than a tenth; else as it is. Errors of the source come out of it. */
export async function packedBody(source: PullSource, sizeBytes: number, signal: AbortSignal): Promise<OutgoingBody> {
  const sample = Buffer.allocUnsafe(SAMPLE_BYTES)
  const head = sample.subarray(0, await source.read(sample, signal))
  const whole = after(head, source)
  if (!shrinks(head)) return { body: whole, bodyBytes: sizeBytes, headers: {} }
  const chunks = Readable.from(chunksOf(whole, CHUNK_BYTES, signal), { objectMode: false })
  const packing = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: LEVEL } })
  chunks.on('error', (error) => packing.destroy(error))
  packing.on('close', () => chunks.destroy())
  const headers = { 'content-encoding': 'zstd', [DECODED_LENGTH]: String(sizeBytes) }
  return { body: chunks.pipe(packing), bodyBytes: undefined, headers }
}

/** What was read already, then the rest. */
function after(head: Buffer, rest: PullSource): PullSource {
  let at = 0
  return {
    async read(into, signal) {
      const copied = head.copy(into, 0, at)
      at += copied
      return copied === into.length ? copied : copied + (await rest.read(into.subarray(copied), signal))
    },
    [Symbol.asyncDispose]: () => rest[Symbol.asyncDispose](),
  }
}
