import assert from 'node:assert/strict'
import { it } from 'node:test'
import { artifactServices, makeRepository, path } from '../../../test/helpers/artifacts.ts'
import { brokenStream, hangingStream, streamOf } from '../../../test/helpers/blobs.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { hasCode } from '../../core/errors.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { createSegmentIndex } from '../../metadata/storage/segment-index.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import { createMemoryBlobStore } from '../../storage/memory/blob-store.ts'
import { createBlobIntake } from '../blobs/blob-intake.ts'
import { createFilePlacement } from './file-placement.ts'
import { createGroupedUploads } from './grouped-uploads.ts'
import { createUploads, type FileUpload } from './uploads.ts'

function uploadServices(db: MetadataDatabase, wrap: (inner: BlobStore) => BlobStore = (inner) => inner) {
  const services = artifactServices(db)
  const { clock, hlc } = services
  const blobs = wrap(createMemoryBlobStore(new Map(), createSegmentIndex({ db, clock })))
  const intake = createBlobIntake({ db, store: blobs, clock })
  const placement = createFilePlacement({ db, intake, clock, hlc })
  const grouped = createGroupedUploads({ db, intake, clock, hlc })
  return { ...services, uploads: createUploads({ db, blobs, placement, grouped }) }
}
const fileAt = (text: string, more: Partial<FileUpload> = {}): FileUpload => ({
  path: path(text),
  overwrite: 'refuse',
  digest: undefined,
  md5: undefined,
  expiresDays: 0,
  metadata: [],
  ...more,
})

eachDatabase('uploads', (make) => {
  it('given a file that is not welcome, when uploaded, then its body is never opened', async (t) => {
    await using db = await make()
    const { uploads, ...services } = uploadServices(db)
    const repository = await makeRepository(services)
    const unopened = () => assert.fail('the body was opened')
    await uploads.upload(repository, fileAt('/d/there'), () => streamOf('x'), 'alice', t.signal)
    for (const [file, code] of [
      [fileAt('/d/there'), 'NODE_EXISTED'],
      [fileAt('/d'), 'NODE_CONFLICT'],
      [fileAt('/d', { overwrite: 'replace' }), 'NODE_CONFLICT'],
      [fileAt('/d/there/below'), 'NODE_CONFLICT'],
      [fileAt('/'), 'NODE_CONFLICT'],
      [fileAt('/x', { metadata: [{ key: '', value: 1 }] }), 'METADATA_INVALID'],
      [fileAt('/x', { metadata: [{ key: 'forbidStatus', value: false }] }), 'METADATA_INVALID'],
    ] as const) {
      await assert.rejects(uploads.upload(repository, file, unopened, 'alice', t.signal), (e) => hasCode(e, code))
    }
  })

  it('given a file that appears while the body is coming, when the body is in, then NODE_EXISTED and the first one stays', async (t) => {
    await using db = await make()
    const { uploads, ...services } = uploadServices(db)
    const repository = await makeRepository(services)
    const body = hangingStream('late')
    const late = uploads.upload(repository, fileAt('/x'), () => body, 'bob', t.signal)
    await uploads.upload(repository, fileAt('/x'), () => streamOf('early'), 'alice', t.signal)
    body.push(null)
    await assert.rejects(late, (error) => hasCode(error, 'NODE_EXISTED'))
    assert.equal((await services.nodes.get(repository, path('/x'))).createdBy, 'alice')
  })

  it('given a commit, when it is done, then the staged bytes were kept until then and are dropped afterwards', async (t) => {
    await using db = await make()
    const events: string[] = []
    const watched = (inner: BlobStore): BlobStore => ({
      ...inner,
      async receive(source, options, signal) {
        const staged = await inner.receive(source, options, signal)
        const dispose = async () => {
          const rows = await db.read.selectFrom('node').select('id').execute()
          events.push(`dropped with ${rows.length} rows`)
          await staged[Symbol.asyncDispose]()
        }
        return { ...staged, [Symbol.asyncDispose]: dispose }
      },
    })
    const { uploads, ...services } = uploadServices(db, watched)
    const repository = await makeRepository(services)
    await uploads.upload(repository, fileAt('/x'), () => streamOf('x'), 'alice', t.signal)
    assert.deepEqual(events, ['dropped with 1 rows'])
  })

  it('given a body that breaks off, when uploaded, then RECEIVE_FAILED; given a store that fails, then its own error', async (t) => {
    await using db = await make()
    const { uploads, ...services } = uploadServices(db)
    const repository = await makeRepository(services)
    const broken = brokenStream(new Error('ECONNRESET'), 'half')
    await assert.rejects(
      uploads.upload(repository, fileAt('/x'), () => broken, 'alice', t.signal),
      (error) => hasCode(error, 'RECEIVE_FAILED') && error.message.includes('ECONNRESET'),
    )
    const full = (inner: BlobStore): BlobStore => ({
      ...inner,
      receive: async () => {
        throw new Error('ENOSPC: no space left on device')
      },
    })
    const failing = uploadServices(db, full).uploads
    await assert.rejects(
      failing.upload(repository, fileAt('/x'), () => streamOf('x'), 'alice', t.signal),
      (error) => error instanceof Error && error.message.startsWith('ENOSPC') && !hasCode(error, 'RECEIVE_FAILED'),
    )
    assert.equal(await services.nodes.find(repository, path('/x')), undefined)
  })

  it('given a client that goes away after its last byte, when the signal aborts, then nothing becomes visible', async (t) => {
    await using db = await make()
    const gone = new AbortController()
    const leaving = (inner: BlobStore): BlobStore => ({
      ...inner,
      async receive(source, options, signal) {
        const staged = await inner.receive(source, options, signal)
        gone.abort(new Error('the client went away'))
        return staged
      },
    })
    const { uploads, ...services } = uploadServices(db, leaving)
    const repository = await makeRepository(services)
    const signal = AbortSignal.any([gone.signal, t.signal])
    await assert.rejects(uploads.upload(repository, fileAt('/x'), () => streamOf('x'), 'alice', signal))
    assert.equal(await services.nodes.find(repository, path('/x')), undefined)
  })

  it('given a row stamped by a cluster whose clock is ahead, when overwritten here, then the new stamp is later still', async (t) => {
    await using db = await make()
    const { uploads, ...services } = uploadServices(db)
    const repository = await makeRepository(services)
    await uploads.upload(repository, fileAt('/x'), () => streamOf('one'), 'alice', t.signal)
    await db.transact((trx) => trx.updateTable('node').set({ hlc: '0fffffffffff0001', origin: 7 }).execute())
    const replace = fileAt('/x', { overwrite: 'replace' })
    const node = await uploads.upload(repository, replace, () => streamOf('two'), 'alice', t.signal)
    assert.ok(node.hlc > '0fffffffffff0001')
    assert.deepEqual([node.origin, node.viaLink], [0, null])
  })

  it('given the same bytes at two paths, when uploaded, then there is one blob', async (t) => {
    await using db = await make()
    const { uploads, ...services } = uploadServices(db)
    const repository = await makeRepository(services)
    await uploads.upload(repository, fileAt('/x'), () => streamOf('same'), 'alice', t.signal)
    await uploads.upload(repository, fileAt('/y'), () => streamOf('same'), 'alice', t.signal)
    assert.equal((await db.read.selectFrom('blob').selectAll().execute()).length, 1)
  })
})
