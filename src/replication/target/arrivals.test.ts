import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { streamOf } from '../../../test/helpers/blobs.ts'
import { makeSqlite } from '../../../test/helpers/databases.ts'
import { streamTarget } from '../../../test/helpers/stream-target.ts'
import { tempDir } from '../../../test/helpers/temp.ts'
import { digestOfBytes } from '../../core/digest.ts'
import { hasCode } from '../../core/errors.ts'
import { openFsUploadSpool } from '../../storage/fs/upload-spool.ts'
import { createBlobReceiver } from './receive-blobs.ts'
import { createUploadReceiver } from './receive-uploads.ts'

const CONTENT = Buffer.from('0123456789')
const DIGEST = digestOfBytes(CONTENT)

describe('bytes that arrive by requests of their own', () => {
  it('given a blob, when it comes twice, then the second time counts as redundant', async (t) => {
    await using db = await makeSqlite()
    const { deps, store, counted } = await streamTarget(db)
    const blobs = createBlobReceiver({ ...deps, store })
    await blobs.put(DIGEST, streamOf(CONTENT), 10, t.signal)
    assert.deepEqual(counted, { received: 10, redundant: 0 })
    await blobs.put(DIGEST, streamOf(CONTENT), 10, t.signal)
    assert.deepEqual(counted, { received: 20, redundant: 10 })
  })

  it('given parts, when one that is done comes again, then it counts as redundant', async (t) => {
    await using db = await makeSqlite()
    const { deps, clock, counted } = await streamTarget(db)
    await using dir = await tempDir()
    const spool = await openFsUploadSpool({ root: dir.path, clock })
    const uploads = createUploadReceiver({ ...deps, spool, clock, partSizeBytes: 6 })
    await uploads.open(DIGEST, 10, t.signal)
    await uploads.putPart(DIGEST, 1, streamOf(CONTENT.subarray(6)), t.signal)
    await uploads.putPart(DIGEST, 1, streamOf(CONTENT.subarray(6)), t.signal)
    await uploads.putPart(DIGEST, 0, streamOf(CONTENT.subarray(0, 6)), t.signal)
    assert.deepEqual(counted, { received: 14, redundant: 4 })
  })

  it('given a disk that is full, when a blob comes, then the source hears it in words', async (t) => {
    await using db = await makeSqlite()
    const { deps, store } = await streamTarget(db)
    const receive = () => Promise.reject(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }))
    const blobs = createBlobReceiver({ ...deps, store: { ...store, receive } })
    const isFull = (error: unknown) => hasCode(error, 'STORAGE_UNAVAILABLE') && /is full/.test(error.message)
    await assert.rejects(blobs.put(DIGEST, streamOf(CONTENT), 10, t.signal), isFull)
  })
})
