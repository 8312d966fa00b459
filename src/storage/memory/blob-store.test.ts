import type { Digest } from '../../core/digest.ts'
import { blobStoreContract } from '../blob-store.contract.ts'
import { createMemoryBlobStore } from './blob-store.ts'

blobStoreContract('memory', async () => {
  const blobs = new Map<Digest, Buffer>()
  return {
    store: createMemoryBlobStore(blobs),
    leftovers: async () => 0,
    restart: async () => createMemoryBlobStore(blobs),
    async [Symbol.asyncDispose]() {},
  }
})
