import { blockSpoolContract } from '../block-spool.contract.ts'
import { createMemoryBlockSpool } from './block-spool.ts'

blockSpoolContract('memory', async () => {
  const uploads = new Map<string, Map<string, Buffer>>()
  return {
    spool: createMemoryBlockSpool(uploads),
    count: async (uploadId) => uploads.get(uploadId)?.size ?? 0,
    restart: async () => createMemoryBlockSpool(uploads),
    async [Symbol.asyncDispose]() {},
  }
})
