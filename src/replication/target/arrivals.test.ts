import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { streamOf } from '../../../test/helpers/blobs.ts'
import { makeSqlite } from '../../../test/helpers/databases.ts'
import { streamTarget } from '../../../test/helpers/stream-target.ts'
import { tempDir } from '../../../test/helpers/temp.ts'
import { digestOfBytes } from '../../core/digest.ts'
import { hasCode } from '../../core/errors.ts'
import { openFsUploadSpool } from '../../storage/fs/upload-spool.ts'
import { createBlobReceiver } from './receive-blobs.ts'
import { createUploadReceiver, MAX_UPLOAD_BYTES } from './receive-uploads.ts'

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

  it('given parts that are whole, when the source goes away while they are placed, then they are not lost', async (t) => {
    await using db = await makeSqlite()
    const { deps, clock } = await streamTarget(db)
    await using dir = await tempDir()
    const spool = await openFsUploadSpool({ root: dir.path, clock })
    const gone = new AbortController()
    const complete = async (...args: Parameters<typeof spool.complete>) => {
      const whole = await spool.complete(...args)
      gone.abort()
      return whole
    }
    const uploads = createUploadReceiver({ ...deps, spool: { ...spool, complete }, clock, partSizeBytes: 10 })
    await uploads.open(DIGEST, 10, t.signal)
    await uploads.putPart(DIGEST, 0, streamOf(CONTENT), t.signal)
    await uploads.complete(DIGEST, gone.signal)
    assert.equal((await uploads.open(DIGEST, 10, t.signal)).complete, true)
  })

  it('given an upload larger than any, or one that the disk does not take, when it is opened, then it is refused and nothing is left', async (t) => {
    await using db = await makeSqlite()
    const { deps, clock } = await streamTarget(db)
    await using dir = await tempDir()
    const spool = await openFsUploadSpool({ root: dir.path, clock })
    const uploads = createUploadReceiver({ ...deps, spool, clock, partSizeBytes: 6 })
    const before = await readdir(dir.path, { recursive: true })
    for (const sizeBytes of [MAX_UPLOAD_BYTES + 1, 17 * 1024 ** 4, Number.MAX_SAFE_INTEGER]) {
      await assert.rejects(uploads.open(DIGEST, sizeBytes, t.signal), (error) => hasCode(error, 'PARAMETER_INVALID'))
    }
    const create = async (...args: Parameters<typeof spool.create>) => {
      await spool.create(...args)
      throw Object.assign(new Error('EFBIG: file too large, ftruncate /secret/path'), { code: 'EFBIG' })
    }
    const failing = createUploadReceiver({ ...deps, spool: { ...spool, create }, clock, partSizeBytes: 6 })
    await assert.rejects(
      failing.open(DIGEST, 10, t.signal),
      (error) => hasCode(error, 'STORAGE_UNAVAILABLE') && error.retryable && !/secret/.test(error.message),
    )
    assert.deepEqual(await readdir(dir.path, { recursive: true }), before)
    assert.deepEqual(await db.read.selectFrom('upload').select('upload_id').execute(), [])
  })

  it('given a disk that is full, when a blob comes, then the source hears it in words', async (t) => {
    await using db = await makeSqlite()
    const { deps, store } = await streamTarget(db)
    const receive = () => Promise.reject(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }))
    const blobs = createBlobReceiver({ ...deps, store: { ...store, receive } })
    const isFull = (error: unknown) => hasCode(error, 'STORAGE_UNAVAILABLE') && /no space left/.test(error.message)
    await assert.rejects(blobs.put(DIGEST, streamOf(CONTENT), 10, t.signal), isFull)
  })
})
