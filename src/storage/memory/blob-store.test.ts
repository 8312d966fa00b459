import type { Digest } from '../../core/digest.ts'
import { blobStoreContract } from '../blob-store.contract.ts'
import { createMemoryBlobStore, type MemorySegments } from './blob-store.ts'
import { createMemorySegmentIndex } from './segment-index.ts'

blobStoreContract('memory', async () => {
  const blobs = new Map<Digest, Buffer>()
  const index = createMemorySegmentIndex()
  const segments: MemorySegments = new Map()
  return {
    index,
    store: createMemoryBlobStore(blobs, index, segments),
    leftovers: async () => 0,
    restart: async () => createMemoryBlobStore(blobs, index, segments),
    async [Symbol.asyncDispose]() {},
  }
})
