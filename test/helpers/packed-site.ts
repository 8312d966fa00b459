import assert from 'node:assert/strict'
import { open } from 'node:fs/promises'
import { createBlobIntake, type PackedBlobs } from '../../src/artifacts/blobs/blob-intake.ts'
import { collectGarbage, purgeDeletedNodes } from '../../src/artifacts/blobs/garbage-collection.ts'
import { createScrub } from '../../src/artifacts/blobs/scrub.ts'
import { createSegmentCompaction, type SegmentCompactionDeps } from '../../src/artifacts/blobs/segment-compaction.ts'
import { createStraySegments } from '../../src/artifacts/blobs/stray-segments.ts'
import { deleteFiles, lockLive, putFiles } from '../../src/artifacts/nodes/node-writer.ts'
import { type Digest, digestHex } from '../../src/core/digest.ts'
import { isRetryable } from '../../src/core/errors.ts'
import { normalisePath } from '../../src/core/paths.ts'
import type { MetadataDatabase } from '../../src/metadata/database.ts'
import { knownBlobs } from '../../src/metadata/storage/blobs.ts'
import { findPacked } from '../../src/metadata/storage/packed-blobs.ts'
import { createSegmentIndex } from '../../src/metadata/storage/segment-index.ts'
import { openFsBlobStore } from '../../src/storage/fs/blob-store.ts'
import { artifactServices, fileWrite, makeRepository } from './artifacts.ts'
import { digestOf, streamOf, textOf } from './blobs.ts'
import type { MakeDatabase } from './databases.ts'
import { tempDir } from './temp.ts'

export const GRACE_MS = 60_000
const signal = new AbortController().signal

/** As after a change-over to a copy of the database that is some seconds behind: open segments are gone, and what lies in them. */
export async function loseOpenSegments(db: MetadataDatabase): Promise<void> {
  await db.transact(async (trx) => {
    const open = trx.selectFrom('segment').select('id').where('state', '=', 'open')
    const lost = trx.selectFrom('blob').select('sha256').where('segment', 'in', open)
    await trx.deleteFrom('node').where('sha256', 'in', lost).execute()
    await trx.deleteFrom('blob').where('segment', 'in', open).execute()
    await trx.deleteFrom('segment').where('state', '=', 'open').execute()
  })
}

/** Repository, blob store with segments and all that works on them; files are named after their content. */
export async function packedSite(make: MakeDatabase, segmentBytes = 1_000_000) {
  const db = await make()
  const dir = await tempDir()
  const services = artifactServices(db)
  const { clock, hlc } = services
  const repository = await makeRepository(services)
  const index = createSegmentIndex({ db, clock })
  const openStore = (owner = 'one') => openFsBlobStore({ root: dir.path, owner, index, segmentBytes })
  const store = await openStore()
  const intake = createBlobIntake({ db, store, clock })
  const alarms: string[] = []
  const scrub = createScrub({
    ...{ db, store, clock, bytesPerSecond: 1e9, intervalMs: 1e12 },
    onDamage: (_blob, kind) => alarms.push(kind),
  })

  async function commit(packed: PackedBlobs, texts: readonly string[], by = intake): Promise<void> {
    await db.transact(async (trx) => {
      const writes = texts.map((text) => fileWrite(services, `/${digestHex(digestOf(text))}`, text))
      const current = await lockLive(
        trx,
        repository.id,
        writes.map(({ path }) => path),
      )
      await by.claimPacked(trx, packed)
      await putFiles(trx, repository, writes, current, clock.now())
    })
  }
  const contents = (texts: readonly string[]) =>
    texts.map((text) => ({ digest: digestOf(text), bytes: Buffer.from(text) }))
  async function upload(...texts: string[]): Promise<void> {
    try {
      await commit(await intake.pack(contents(texts), signal), texts)
    } catch (error) {
      // Its segment was given up: in tests the grace time passes at once.
      if (!isRetryable(error)) throw error
      await upload(...texts)
    }
  }
  async function uploadAlone(text: string): Promise<void> {
    await using staged = await store.receive(streamOf(text), {}, signal)
    await intake.prepare([staged], signal)
    await db.transact((trx) => intake.claim(trx, [staged], signal))
  }
  async function remove(...texts: string[]): Promise<void> {
    await db.transact(async (trx) => {
      const paths = texts.map((text) => normalisePath(`/${digestHex(digestOf(text))}`))
      const rows = await lockLive(trx, repository.id, paths)
      const deletion = { by: 'alice', at: clock.now(), hlc: hlc.next(), origin: 0, viaLink: null }
      await deleteFiles(trx, repository, [...rows.values()], deletion)
    })
    await purgeDeletedNodes({ db, clock }, clock.now() + 1, signal)
  }
  const collect = () => collectGarbage({ db, store, clock, graceMs: GRACE_MS }, signal)
  const later = () => clock.advance(GRACE_MS + 1)
  const compaction = (more: Partial<SegmentCompactionDeps> = {}) => {
    const strays = createStraySegments({ db, store, clock, graceMs: GRACE_MS })
    return createSegmentCompaction({
      ...{ db, store, clock, graceMs: GRACE_MS, strays, examine: scrub.examine },
      ...more,
    })
  }
  const placeOf = async (text: string) => (await findPacked(db.read, [digestOf(text)], 'promised'))[0]?.place
  const pathOf = async (text: string) => dir.file('.segments', 'one', String((await placeOf(text))!.segment))
  async function spoil(text: string): Promise<void> {
    await using file = await open(await pathOf(text), 'r+')
    await file.write('WRONG', (await placeOf(text))!.offset)
  }
  async function assertWhole(...texts: string[]): Promise<void> {
    const digests = texts.map(digestOf)
    assert.deepEqual(await knownBlobs(db.read, digests), new Set(digests))
    for (const text of texts) assert.equal(await textOf(await store.open(digestOf(text), undefined, signal)), text)
    const many = await store.readMany(
      texts.map((text) => ({ digest: digestOf(text), sizeBytes: text.length })),
      signal,
    )
    assert.deepEqual(new Set(many.keys()), new Set(digests))
  }
  const segmentNumbers = async () =>
    (await Array.fromAsync(store.listSegments(signal))).map(({ segment }) => segment).sort()
  return {
    ...{ ...services, db, dir, store, openStore, intake, scrub, alarms, contents, commit, upload, uploadAlone, remove },
    ...{ collect, later, compaction, placeOf, pathOf, spoil, assertWhole, segmentNumbers },
    loseOpenSegment: () => loseOpenSegments(db),
    ownFile: (digest: Digest) =>
      dir.file(digestHex(digest).slice(0, 2), digestHex(digest).slice(2, 4), digestHex(digest)),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]()
      await db[Symbol.asyncDispose]()
      await dir[Symbol.asyncDispose]()
    },
  }
}
export type PackedSite = Awaited<ReturnType<typeof packedSite>>
