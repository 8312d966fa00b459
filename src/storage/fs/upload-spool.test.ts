import { manualClock } from '../../../test/helpers/clock.ts'
import { tempDir } from '../../../test/helpers/temp.ts'
import { createMemorySegmentIndex } from '../memory/segment-index.ts'
import { uploadSpoolContract } from '../upload-spool.contract.ts'
import { openFsBlobStore } from './blob-store.ts'
import { openFsUploadSpool } from './upload-spool.ts'

uploadSpoolContract('fs', async () => {
  const dir = await tempDir()
  const clock = manualClock()
  const config = { root: dir.path, clock }
  return {
    clock,
    store: await openFsBlobStore({ root: dir.path, owner: 'one', index: createMemorySegmentIndex() }),
    spool: await openFsUploadSpool(config),
    restart: () => openFsUploadSpool(config),
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  }
})
