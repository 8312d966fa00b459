import assert from 'node:assert/strict'
import { it } from 'node:test'
import { digestOf } from '../../../test/helpers/blobs.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import type { Digest } from '../../core/digest.ts'
import type { MetadataDatabase } from '../database.ts'
import {
  type BlobRow,
  claimBlobs,
  deleteBlobRows,
  knownBlobs,
  lockUnneeded,
  markUnneeded,
  noteOrphans,
  pageUntouched,
  rowsAmong,
  touchBlobs,
  unreferencedAmong,
} from './blobs.ts'

const blob = (text: string): BlobRow => ({ digest: digestOf(text), sizeBytes: text.length })
const sorted = (digests: Iterable<Digest>): Digest[] => [...digests].sort()
const claim = (db: MetadataDatabase, at: number, ...texts: string[]) =>
  db.transact((trx) => claimBlobs(trx, texts.map(blob), at))
const mark = (db: MetadataDatabase, touchedBefore: number, ...texts: string[]) =>
  db.transact((trx) => markUnneeded(trx, texts.map(digestOf), touchedBefore))
const unneeded = (db: MetadataDatabase, before: number) =>
  db.transact(async (trx) => (await lockUnneeded(trx, 'file', before, 100)).map(({ digest }) => digest))

eachDatabase('metadata/blobs', (make) => {
  it('given new, live and marked blobs, when claimed, then all can be relied on and only the live one is certain', async () => {
    await using db = await make()
    await claim(db, 10, 'live', 'marked')
    await mark(db, 20, 'marked')
    const { uncertain } = await claim(db, 30, 'new', 'live', 'marked', 'new')
    assert.deepEqual(sorted(uncertain), sorted([digestOf('new'), digestOf('marked')]))
    const all = ['new', 'live', 'marked'].map(digestOf)
    assert.deepEqual(sorted(await knownBlobs(db.read, all)), sorted(all))
    assert.deepEqual(await unneeded(db, 100), [])
  })

  it('given more blobs than one statement takes, when claimed, touched and looked for, then none is forgotten', async () => {
    await using db = await make()
    const blobs = Array.from({ length: 1_201 }, (_, number) => blob(`${number}`))
    const digests = blobs.map(({ digest }) => digest)
    assert.equal((await db.transact((trx) => claimBlobs(trx, blobs, 10))).uncertain.size, 1_201)
    assert.equal((await db.transact((trx) => claimBlobs(trx, blobs, 20))).uncertain.size, 0)
    assert.equal((await db.transact((trx) => touchBlobs(trx, digests, 30))).size, 1_201)
    assert.equal((await knownBlobs(db.read, digests)).size, 1_201)
    assert.equal(await db.transact((trx) => noteOrphans(trx, [...blobs, blob('x')], 40)), 1)
  })

  it('given blobs of which some are marked or unknown, when touched, then the live ones are told and kept from marking', async () => {
    await using db = await make()
    await claim(db, 10, 'live', 'marked')
    await mark(db, 20, 'marked')
    const digests = ['live', 'marked', 'unknown'].map(digestOf)
    assert.deepEqual([...(await db.transact((trx) => touchBlobs(trx, digests, 30))).keys()], [digestOf('live')])
    assert.deepEqual([...(await knownBlobs(db.read, digests))], [digestOf('live')])
    await mark(db, 30, 'live')
    assert.deepEqual(await unneeded(db, 100), [digestOf('marked')])
  })

  it('given files without a row, when noted, then they are unneeded since then and nobody relies on them', async () => {
    await using db = await make()
    await claim(db, 10, 'known')
    assert.equal(await db.transact((trx) => noteOrphans(trx, [blob('known'), blob('orphan')], 50)), 1)
    assert.equal(await db.transact((trx) => noteOrphans(trx, [blob('orphan')], 60)), 0)
    const both = ['known', 'orphan'].map(digestOf)
    assert.deepEqual([...(await knownBlobs(db.read, both))], [digestOf('known')])
    assert.equal((await rowsAmong(db.read, both)).size, 2)
    assert.deepEqual(await unneeded(db, 50), [])
    assert.deepEqual(await unneeded(db, 51), [digestOf('orphan')])
  })

  it('given untouched blobs, when paged, then each comes once, ascending, and only those before the time', async () => {
    await using db = await make()
    const old = Array.from({ length: 7 }, (_, number) => `old ${number}`)
    await claim(db, 10, ...old)
    await claim(db, 20, 'young')
    const found: Digest[] = []
    for (let after: Digest | undefined; ; after = found.at(-1)) {
      const page = await pageUntouched(db.read, 20, after, 3)
      if (page.length === 0) break
      found.push(...page)
    }
    assert.deepEqual(found, sorted(old.map(digestOf)))
    assert.deepEqual(sorted(await unreferencedAmong(db.read, found)), found)
  })

  it('given rows, when deleted, then they are gone; no digests at all is fine everywhere', async () => {
    await using db = await make()
    await claim(db, 10, 'a', 'b')
    await db.transact((trx) => deleteBlobRows(trx, [digestOf('a')]))
    assert.deepEqual([...(await rowsAmong(db.read, ['a', 'b'].map(digestOf)))], [digestOf('b')])
    assert.equal((await knownBlobs(db.read, [])).size, 0)
    assert.equal((await rowsAmong(db.read, [])).size, 0)
    assert.equal((await unreferencedAmong(db.read, [])).length, 0)
    await db.transact(async (trx) => {
      assert.equal((await touchBlobs(trx, [], 20)).size, 0)
      assert.equal((await claimBlobs(trx, [], 20)).uncertain.size, 0)
      assert.equal(await noteOrphans(trx, [], 20), 0)
      await deleteBlobRows(trx, [])
    })
  })

  it('given two transactions over the same blobs in opposite order, when run at once, then both succeed', async () => {
    await using db = await make()
    const texts = Array.from({ length: 50 }, (_, number) => `${number}`)
    await claim(db, 10, ...texts)
    const backwards = [...texts].reverse()
    await Promise.all([
      claim(db, 20, ...texts),
      claim(db, 21, ...backwards),
      db.transact((trx) => touchBlobs(trx, texts.map(digestOf), 22)),
      db.transact((trx) => touchBlobs(trx, backwards.map(digestOf), 23)),
    ])
  })
})
