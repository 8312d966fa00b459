import { readdir, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { manualClock } from '../../../test/helpers/clock.ts'
import { tempDir } from '../../../test/helpers/temp.ts'
import { createMemorySegmentIndex } from '../memory/segment-index.ts'
import { pushSpoolContract } from '../push-spool.contract.ts'
import { openFsBlobStore } from './blob-store.ts'
import { openFsPushSpool } from './push-spool.ts'

pushSpoolContract('fs', async () => {
  await using stack = new AsyncDisposableStack()
  const dir = stack.use(await tempDir())
  const clock = manualClock()
  const open = async (owner: string) => stack.use(await openFsPushSpool({ root: dir.path, owner, clock }))
  const store = stack.use(await openFsBlobStore({ root: dir.path, owner: 'one', index: createMemorySegmentIndex() }))
  const spool = await open('one')
  const held = stack.move()
  const opened = async (owner: string) => held.use(await openFsPushSpool({ root: dir.path, owner, clock }))
  return {
    ...{ clock, store, spool },
    restart: () => opened('one'),
    another: () => opened('two'),
    async tear(pushId, sizeBytes) {
      const top = dir.file('.pushes')
      for (const name of await readdir(top)) {
        if (name.split('.')[0] === pushId) await truncate(join(top, name), sizeBytes)
      }
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
})
