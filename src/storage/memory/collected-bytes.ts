import type { Readable } from 'node:stream'
import { refuseLonger, refuseShorter } from '../announced-size.ts'
import type { ReceiveOptions } from '../blob-store.ts'
import { readChunks } from '../chunk-reader.ts'
import { type ContentDigests, createContentHashes } from '../content-hashes.ts'

/** All of a stream, with its digests, as the stores of tests keep it. @throws what `BlobStore.receive` throws. */
export async function collectBytes(
  source: Readable,
  { sizeBytes: announced, onBytes, ...hashed }: ReceiveOptions,
  signal: AbortSignal,
): Promise<{ readonly bytes: Buffer; readonly digests: ContentDigests }> {
  const hashes = createContentHashes(hashed)
  const chunks: Buffer[] = []
  let sizeBytes = 0
  const take = (chunk: Buffer) => {
    sizeBytes += chunk.length
    refuseLonger(sizeBytes, announced)
    hashes.update(chunk)
    chunks.push(Buffer.from(chunk))
    onBytes?.(chunk.length)
    return undefined
  }
  await readChunks(source, take, signal)
  refuseShorter(sizeBytes, announced)
  return { bytes: Buffer.concat(chunks), digests: hashes.result() }
}
