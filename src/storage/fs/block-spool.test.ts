import { readdir } from 'node:fs/promises'
import { tempDir } from '../../../test/helpers/temp.ts'
import { blockSpoolContract } from '../block-spool.contract.ts'
import { openFsBlockSpool } from './block-spool.ts'

blockSpoolContract('fs', async () => {
  const dir = await tempDir()
  return {
    spool: await openFsBlockSpool({ root: dir.path }),
    count: async (uploadId) => (await readdir(dir.file('.blocks', uploadId)).catch(() => [])).length,
    restart: () => openFsBlockSpool({ root: dir.path }),
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  }
})
