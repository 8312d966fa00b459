import assert from 'node:assert/strict'
import { it } from 'node:test'
import { artifactServices, fileWrite, makeRepository } from '../../../test/helpers/artifacts.ts'
import { digestOf, streamOf } from '../../../test/helpers/blobs.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { tempDir } from '../../../test/helpers/temp.ts'
import type { ContentName } from '../../core/content-name.ts'
import { hasCode } from '../../core/errors.ts'
import { keepLoose } from '../../metadata/storage/loose-blobs.ts'
import { createSegmentIndex } from '../../metadata/storage/segment-index.ts'
import { openFsBlobStore } from '../../storage/fs/blob-store.ts'
import { openFsPushSpool } from '../../storage/fs/push-spool.ts'
import { createBlobIntake } from '../blobs/blob-intake.ts'
import { collectGarbage } from '../blobs/garbage-collection.ts'
import { deleteFiles, lockLive, putFiles } from '../nodes/node-writer.ts'
import { createImageBlobs } from './image-blobs.ts'
import { blobPath, type ImageName } from './image-paths.ts'
import type { ImagePlace } from './image-place.ts'
import { createImageUploads } from './image-uploads.ts'
import { sweepLooseBlobs } from './loose-blob-sweep.ts'
import { createSmallImageBlobs } from './small-image-blobs.ts'
import { createUploadIds } from './upload-ids.ts'

const HOUR_MS = 3_600_000
const { signal } = new AbortController()
const TEXTS = { small: 'small', large: 'L'.repeat(70_000) } as const
const nameOf = (text: string): ContentName => digestOf(text) as string as ContentName

eachDatabase('blobs of images', (make) => {
  async function site() {
    await using stack = new AsyncDisposableStack()
    const db = stack.use(await make())
    const dir = stack.use(await tempDir())
    const services = artifactServices(db)
    const { clock, hlc, repositories, retirement } = services
    const repository = await makeRepository(services)
    const index = createSegmentIndex({ db, clock })
    const store = stack.use(await openFsBlobStore({ root: dir.path, owner: 'one', index }))
    const spool = stack.use(await openFsPushSpool({ root: dir.path, owner: 'one', clock }))
    const intake = createBlobIntake({ db, store, clock })
    const random = { bytes: (count: number) => crypto.getRandomValues(Buffer.alloc(count)) }
    const uploads = createImageUploads({
      ...{ db, intake, spool, clock },
      small: createSmallImageBlobs({ db, intake, clock, smallBlobs: { remember: () => {} } }),
      ids: createUploadIds({ secretKey: Buffer.alloc(32, 1), clock, random }),
      onLeftover(error) {
        throw error
      },
    })
    const place = (image: string): ImagePlace => ({ repository, image: image as ImageName })
    const deps = { db, store, clock, graceMs: HOUR_MS }
    const held = stack.move()
    return {
      ...{ db, clock, hlc, store, spool, uploads, place, repository, repositories, retirement, services },
      blobs: createImageBlobs({ db, clock, hlc }),
      push: (image: string, text: string) =>
        uploads.push(
          place(image),
          nameOf(text),
          { start: undefined, sizeBytes: Buffer.byteLength(text), openBody: () => streamOf(text) },
          signal,
        ),
      collect: () => collectGarbage(deps, signal),
      sweep: () => sweepLooseBlobs({ db, clock, keptMs: 24 * HOUR_MS }, signal),
      has: async (text: string) => (await store.find(digestOf(text), signal)) !== undefined,
      [Symbol.asyncDispose]: () => held.disposeAsync(),
    }
  }
  type Site = Awaited<ReturnType<typeof site>>
  /** Past the grace time of the collection, twice: it marks, then removes. */
  const collectAll = async (on: Site) => {
    for (let round = 0; round < 2; round++) {
      await on.clock.advance(2 * HOUR_MS)
      await on.collect()
    }
  }
  const isUnknown = (error: unknown) => hasCode(error, 'BLOB_UNKNOWN')
  /** As a manifest does that names the blob. */
  async function makeNode({ db, services, repository, clock }: Site, image: string, text: string): Promise<void> {
    const path = blobPath(image as ImageName, nameOf(text))
    await db.transact(async (trx) => {
      const current = await lockLive(trx, repository.id, [path])
      await putFiles(trx, repository, [fileWrite(services, path, text)], current, clock.now())
    })
  }

  for (const [kind, text] of Object.entries(TEXTS)) {
    it(`given a ${kind} blob that no manifest names, when garbage is collected, then it stays until it is swept, and goes then`, async () => {
      await using on = await site()
      await on.push('a', text)
      await collectAll(on)
      assert.equal((await on.blobs.get(on.place('a'), nameOf(text))).sizeBytes, text.length)
      assert.equal(await on.has(text), true)
      assert.equal(await on.sweep(), 0)
      await on.clock.advance(21 * HOUR_MS)
      assert.equal(await on.sweep(), 1)
      await assert.rejects(on.blobs.get(on.place('a'), nameOf(text)), isUnknown)
      await collectAll(on)
      assert.equal(await on.has(text), false)
    })

    it(`given a ${kind} blob, when it is pushed or mounted again in time, then it is kept from then on`, async () => {
      await using on = await site()
      await on.push('a', text)
      await on.clock.advance(23 * HOUR_MS)
      assert.equal(await on.blobs.mount(on.place('b'), nameOf(text), on.place('a')), true)
      await on.push('c', text)
      await on.clock.advance(2 * HOUR_MS)
      assert.equal(await on.sweep(), 1)
      await collectAll(on)
      for (const image of ['b', 'c']) await on.blobs.get(on.place(image), nameOf(text))
      await assert.rejects(on.blobs.get(on.place('a'), nameOf(text)), isUnknown)
      assert.equal(await on.has(text), true)
    })
  }

  it('given a blob that was marked as garbage, when pushed or mounted, then a push brings it back and a mount finds nothing', async () => {
    await using on = await site()
    const text = TEXTS.large
    await on.push('a', text)
    await on.db.transact((trx) => trx.updateTable('blob').set({ unneeded_since: on.clock.now() }).execute())
    assert.equal(await on.blobs.mount(on.place('b'), nameOf(text), on.place('a')), false)
    await on.push('b', text)
    assert.equal(await on.blobs.mount(on.place('c'), nameOf(text), on.place('a')), true)
  })

  it('given more loose rows than one statement takes, when swept or their repository goes, then none is left', async () => {
    await using on = await site()
    await on.push('a', TEXTS.small)
    const { digest, sizeBytes } = await on.blobs.get(on.place('a'), nameOf(TEXTS.small))
    const rows = Array.from({ length: 1_200 }, (_, at) => ({
      ...{ repoId: on.repository.id, image: `many/${at}`, name: nameOf(TEXTS.small), digest, sizeBytes },
    }))
    await on.db.transact((trx) => keepLoose(trx, [...rows, ...rows], on.clock.now()))
    await on.clock.advance(25 * HOUR_MS)
    assert.equal(await on.sweep(), 1_201)
    for (const image of ['a', 'b', 'c']) await on.push(image, TEXTS.small)
    await on.repositories.delete('demo', 'files', 'with-content', 'admin')
    await on.retirement.run(signal)
    assert.deepEqual(await on.db.read.selectFrom('loose_blob').selectAll().execute(), [])
  })

  it('given a blob that is a node, when a version claims it, then it cannot be deleted; otherwise node and row go', async () => {
    await using on = await site()
    const name = nameOf(TEXTS.small)
    await on.push('a', TEXTS.small)
    await makeNode(on, 'a', TEXTS.small)
    const path = blobPath('a' as ImageName, name)
    const claim = { version_id: 1, repo_id: on.repository.id, path, role: 'layer', ord: 0 }
    await on.db.transact((trx) => trx.insertInto('version_file').values(claim).execute())
    await assert.rejects(on.blobs.remove(on.place('a'), name, 'alice'), (error) => hasCode(error, 'METHOD_NOT_ALLOWED'))
    assert.notEqual((await on.blobs.get(on.place('a'), name)).node, undefined)
    await on.db.transact((trx) => trx.deleteFrom('version_file').execute())
    await on.blobs.remove(on.place('a'), name, 'alice')
    await assert.rejects(on.blobs.get(on.place('a'), name), isUnknown)
    await assert.rejects(on.blobs.remove(on.place('a'), name, 'alice'), isUnknown)
  })

  it('given other bytes at the path of a blob, when asked for the blob, then they are not it', async () => {
    await using on = await site()
    const { repository, clock, hlc, services } = on
    const path = blobPath('a' as ImageName, nameOf('wanted'))
    await on.db.transact(async (trx) => {
      await putFiles(trx, repository, [fileWrite(services, path, 'other')], new Map(), clock.now())
    })
    await assert.rejects(on.blobs.get(on.place('a'), nameOf('wanted')), isUnknown)
    await on.push('a', 'wanted')
    assert.equal((await on.blobs.get(on.place('a'), nameOf('wanted'))).node, undefined)
    await on.db.transact(async (trx) => {
      const rows = await lockLive(trx, repository.id, [path])
      const deletion = { by: 'a', at: clock.now(), hlc: hlc.next(), origin: 0, viaLink: null }
      await deleteFiles(trx, repository, [...rows.values()], deletion)
    })
  })

  it('given an upload that is a week old, when gone on with, then it is unknown, and its bytes are swept', async () => {
    await using on = await site()
    const chunk = { start: undefined, sizeBytes: 1, openBody: () => streamOf('x') }
    const { id } = on.uploads.begin(on.place('a'))
    const begun = await on.uploads.append(on.place('a'), id, chunk, signal)
    assert.equal(begun.length, 1)
    assert.equal(await on.uploads.sweep(signal), 0)
    // The file system has a clock of its own.
    await on.clock.advance(100 * 365 * 24 * HOUR_MS)
    for (const name of [id, begun.id]) {
      await assert.rejects(on.uploads.append(on.place('a'), name, chunk, signal), (error) =>
        hasCode(error, 'UPLOAD_UNKNOWN'),
      )
    }
    assert.equal(await on.uploads.sweep(signal), 1)
    assert.deepEqual(await Array.fromAsync(on.spool.list(signal)), [])
  })
})
