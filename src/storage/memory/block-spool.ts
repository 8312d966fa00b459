import { Readable } from 'node:stream'
import { AppError } from '../../core/errors.ts'
import type { BlockSpool } from '../block-spool.ts'
import { collectBytes } from './collected-bytes.ts'

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
    async put(uploadId, name, source, options, signal) {
      check(uploadId, name)
      const { bytes, digests } = await collectBytes(source, options, signal)
      const blocks = uploads.get(uploadId) ?? new Map<string, Buffer>()
      uploads.set(uploadId, blocks.set(name, bytes))
      return { ...digests, sizeBytes: bytes.length }
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
