import { Readable } from 'node:stream'
import { AppError } from '../../core/errors.ts'
import { refuseLonger, refuseShorter } from '../announced-size.ts'
import type { BlockSpool } from '../block-spool.ts'
import { readChunks } from '../chunk-reader.ts'
import { createContentHashes } from '../content-hashes.ts'

const NAME = /^[A-Za-z0-9_-]{1,64}$/

/** For tests. A second spool on the same map is the first one after a restart. */
export function createMemoryBlockSpool(uploads = new Map<string, Map<string, Buffer>>()): BlockSpool {
  const check = (...names: string[]) => {
    const bad = names.find((name) => !NAME.test(name))
    if (bad !== undefined) throw new Error(`not a name of an upload or a block: ${bad}`)
  }
  async function* read(uploadId: string, names: readonly string[], signal: AbortSignal): AsyncGenerator<Buffer> {
    for (const name of names) {
      signal.throwIfAborted()
      const bytes = uploads.get(uploadId)?.get(name)
      if (bytes === undefined) {
        throw new AppError(
          'UPLOAD_INCONSISTENT',
          `A block of upload [${uploadId}] was replaced or removed meanwhile`,
          {},
        )
      }
      if (bytes.length > 0) yield bytes
    }
  }
  return {
    async put(uploadId, name, source, { sizeBytes: announced, onBytes, ...hashed }, signal) {
      check(uploadId, name)
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
      const blocks = uploads.get(uploadId) ?? new Map<string, Buffer>()
      uploads.set(uploadId, blocks.set(name, Buffer.concat(chunks)))
      return { ...hashes.result(), sizeBytes }
    },
    open: (uploadId, names, signal) => Readable.from(read(uploadId, names, signal), { objectMode: false }),
    async remove(uploadId, name) {
      check(uploadId, name)
      uploads.get(uploadId)?.delete(name)
    },
    async removeUpload(uploadId) {
      check(uploadId)
      uploads.delete(uploadId)
    },
    async *list(signal) {
      for (const uploadId of [...uploads.keys()].sort()) {
        signal.throwIfAborted()
        yield uploadId
      }
    },
  }
}
