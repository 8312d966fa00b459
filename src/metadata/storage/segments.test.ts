import assert from 'node:assert/strict'
import { it } from 'node:test'
import { digestOf } from '../../../test/helpers/blobs.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { hasCode, isRetryable } from '../../core/errors.ts'
import type { MetadataDatabase } from '../database.ts'
import { claimBlobs, knownBlobs, lockUnneeded, markUnneeded, unpackBlobs } from './blobs.ts'
import {
  type BlobMove,
  claimPackedBlobs,
  detachWithdrawn,
  findPacked,
  moveBlobs,
  type PackedBlob,
  pageSegment,
} from './packed-blobs.ts'
import { createSegmentIndex } from './segment-index.ts'
import {
  countLive,
  deleteIfUnnamed,
  insertSegment,
  markCompacting,
  pageRetired,
  pageSealed,
  retireIfUnnamed,
  saveLiveBytes,
  sealOpenSegments,
  sealSegment,
  sumSegments,
} from './segments.ts'

const placeIn = (segment: number, offset: number, owner = 'one') => ({ segment, owner, offset })
const packed = (text: string, segment: number, offset: number, owner = 'one'): PackedBlob => ({
  digest: digestOf(text),
  sizeBytes: text.length,
  place: placeIn(segment, offset, owner),
})
const begin = (db: MetadataDatabase, owner = 'one') => db.transact((trx) => insertSegment(trx, owner, 1))
const claim = (db: MetadataDatabase, at: number, ...blobs: PackedBlob[]) =>
  db.transact((trx) => claimPackedBlobs(trx, blobs, at))
const mark = (db: MetadataDatabase, touchedBefore: number, ...texts: string[]) =>
  db.transact((trx) => markUnneeded(trx, texts.map(digestOf), touchedBefore))
async function placeOf(db: MetadataDatabase, text: string) {
  return (await findPacked(db.read, [digestOf(text)], 'promised'))[0]?.place
}
const isGivenUp = (error: unknown) => hasCode(error, 'RECEIVE_FAILED') && isRetryable(error)

eachDatabase('segments and packed blobs', (make) => {
  it('given new blobs, when claimed at places, then they are known and found there', async () => {
    await using db = await make()
    const segment = await begin(db)
    const blobs = Array.from({ length: 700 }, (_, at) => packed(`text ${at}`, segment, 44 + at * 100))
    await claim(db, 10, ...blobs, blobs[3]!)
    const digests = blobs.map(({ digest }) => digest)
    assert.equal((await knownBlobs(db.read, digests)).size, 700)
    const found = await findPacked(db.read, digests, 'promised')
    const byOffset = found.sort((a, b) => a.place.offset - b.place.offset)
    assert.deepEqual(byOffset, blobs)
    await claim(db, 10)
    assert.deepEqual(await findPacked(db.read, [], 'promised'), [])
  })

  it('given rows that are promised, marked or absent, when claimed at places, then only a promised one keeps what it has', async () => {
    await using db = await make()
    const [one, two] = [await begin(db), await begin(db)]
    await claim(db, 10, packed('packed', one, 44), packed('marked', one, 144))
    await db.transact((trx) => claimBlobs(trx, [packed('own', 0, 0), packed('own marked', 0, 0)], 10))
    await mark(db, 20, 'marked', 'own marked')
    const all = ['packed', 'marked', 'own', 'own marked', 'absent']
    await claim(db, 30, ...all.map((text, at) => packed(text, two, 44 + at * 100)))
    assert.deepEqual(await placeOf(db, 'packed'), placeIn(one, 44))
    assert.deepEqual(await placeOf(db, 'marked'), placeIn(two, 144))
    assert.equal(await placeOf(db, 'own'), undefined)
    assert.deepEqual(await placeOf(db, 'own marked'), placeIn(two, 344))
    assert.deepEqual(await placeOf(db, 'absent'), placeIn(two, 444))
    assert.equal((await knownBlobs(db.read, all.map(digestOf))).size, 5)
    await mark(db, 30, ...all)
    assert.equal((await knownBlobs(db.read, all.map(digestOf))).size, 5)
  })

  it('given packed rows, when claimed for files of their own, then a promised one keeps its place and a marked one loses it', async () => {
    await using db = await make()
    const segment = await begin(db)
    await claim(db, 10, packed('packed', segment, 44), packed('marked', segment, 144))
    await mark(db, 20, 'marked')
    const both = [packed('packed', 0, 0), packed('marked', 0, 0)]
    const claimed = await db.transact((trx) => claimBlobs(trx, both, 30))
    assert.deepEqual([...claimed.packed], [digestOf('packed')])
    assert.deepEqual([...claimed.uncertain], [digestOf('marked')])
    assert.equal(await placeOf(db, 'marked'), undefined)
    await db.transact((trx) => unpackBlobs(trx, [digestOf('packed')]))
    assert.equal(await placeOf(db, 'packed'), undefined)
    assert.equal((await knownBlobs(db.read, [digestOf('packed')])).size, 1)
  })

  it('given segments that are sealed, given up or unknown, when blobs are claimed there, then only below the end of a sealed one', async () => {
    await using db = await make()
    const [sealed, compacting] = [await begin(db), await begin(db)]
    await db.transact(async (trx) => {
      await sealSegment(trx, { segment: sealed, owner: 'one' }, 50, 5)
      await sealSegment(trx, { segment: compacting, owner: 'one' }, 50, 5)
      await markCompacting(trx, compacting)
    })
    await claim(db, 10, packed('123456', sealed, 44))
    await assert.rejects(claim(db, 10, packed('1234567', sealed, 44)), isGivenUp)
    await assert.rejects(claim(db, 10, packed('x', compacting, 44)), isGivenUp)
    await assert.rejects(claim(db, 10, packed('y', compacting + 1, 44)), isGivenUp)
    assert.equal((await knownBlobs(db.read, ['1234567', 'x', 'y'].map(digestOf))).size, 0)
  })

  it('given open segments of two owners, when one starts again, then its own are sealed at their last blob, or forgotten', async () => {
    await using db = await make()
    const [named, unnamed, others] = [await begin(db), await begin(db), await begin(db, 'two')]
    await claim(db, 10, packed('abc', named, 44), packed('defgh', named, 91))
    const ended = await db.transact((trx) => sealOpenSegments(trx, { owner: 'one' }, 20))
    assert.deepEqual(ended, [
      { segment: named, bytes: 96 },
      { segment: unnamed, bytes: 0 },
    ])
    assert.deepEqual(await db.transact((trx) => sealOpenSegments(trx, { owner: 'one' }, 20)), [])
    await assert.rejects(claim(db, 10, packed('late', named, 96)), isGivenUp)
    await assert.rejects(claim(db, 10, packed('late', unnamed, 44)), isGivenUp)
    await claim(db, 10, packed('other', others, 44, 'two'))
    assert.deepEqual(await pageSealed(db.read, 20, 0, 10), [])
    const sealed = await pageSealed(db.read, 21, 0, 10)
    assert.deepEqual(sealed, [{ segment: named, owner: 'one', sizeBytes: 96, liveBytes: 96 }])
    assert.deepEqual(await pageSealed(db.read, 21, named, 10), [])
  })

  it('given open segments of any age, when those of before a time are sealed, then the others stay open', async () => {
    await using db = await make()
    const old = await db.transact((trx) => insertSegment(trx, 'gone', 10))
    const young = await db.transact((trx) => insertSegment(trx, 'gone', 11))
    await claim(db, 10, packed('abc', old, 44, 'gone'))
    const ended = await db.transact((trx) => sealOpenSegments(trx, { begunBefore: 11 }, 20))
    assert.deepEqual(ended, [{ segment: old, bytes: 47 }])
    await assert.rejects(claim(db, 10, packed('late', old, 47, 'gone')), isGivenUp)
    await claim(db, 10, packed('late', young, 44, 'gone'))
  })

  it('given blobs of a segment, when moved, then those go that are still promised there', async () => {
    await using db = await make()
    const [old, next] = [await begin(db), await begin(db)]
    const texts = ['stays', 'marked', 'moved by another']
    await claim(db, 10, ...texts.map((text, at) => packed(text, old, 44 + at * 100)))
    await mark(db, 20, 'marked')
    const page = await pageSegment(db.read, old, -1, 10)
    assert.deepEqual(
      page.map(({ standing }) => standing),
      ['promised', 'withdrawn', 'promised'],
    )
    const moves = page.map(
      (blob, at): BlobMove => ({
        ...blob,
        from: at === 2 ? placeIn(old, 7) : blob.place,
        place: placeIn(next, 44 + at * 50),
      }),
    )
    assert.equal(await db.transact((trx) => moveBlobs(trx, moves)), 1)
    assert.deepEqual(await placeOf(db, 'stays'), placeIn(next, 44))
    assert.deepEqual(await placeOf(db, 'moved by another'), placeIn(old, 244))
    assert.deepEqual(await countLive(db.read, old), { blobs: 2, bytes: 22 })
    assert.equal(await db.transact((trx) => deleteIfUnnamed(trx, old)), false)
    await db.transact((trx) => detachWithdrawn(trx, old, page))
    assert.deepEqual(await countLive(db.read, old), { blobs: 1, bytes: 16 })
    assert.equal(await db.transact((trx) => moveBlobs(trx, [])), 0)
    await db.transact((trx) => detachWithdrawn(trx, old, []))
  })

  it('given a segment that no row names, when deleted, then it is gone; its number is not given again', async () => {
    await using db = await make()
    const segment = await begin(db)
    assert.equal(await db.transact((trx) => deleteIfUnnamed(trx, segment)), true)
    assert.equal(await db.transact((trx) => deleteIfUnnamed(trx, segment)), false)
    assert.ok((await begin(db)) > segment)
    assert.deepEqual(await countLive(db.read, segment), { blobs: 0, bytes: 0 })
  })

  it('given a compacted segment, when a row still names it, then it is not retired; retired ones are found by their time', async () => {
    await using db = await make()
    const old = await begin(db)
    await claim(db, 10, packed('live', old, 44))
    await db.transact(async (trx) => {
      await sealSegment(trx, { segment: old, owner: 'one' }, 500, 5)
      await markCompacting(trx, old)
    })
    const retire = () => db.transact((trx) => retireIfUnnamed(trx, old, 20))
    assert.equal(await retire(), false)
    const next = await begin(db)
    const [blob] = await pageSegment(db.read, old, -1, 10)
    await db.transact((trx) => moveBlobs(trx, [{ ...blob!, from: blob!.place, place: placeIn(next, 44) }]))
    assert.equal(await retire(), true)
    assert.deepEqual(await pageSealed(db.read, 100, 0, 10), [])
    assert.deepEqual(await pageRetired(db.read, 20, 0, 10), [])
    const retired = { segment: old, owner: 'one', sizeBytes: 500, liveBytes: 0 }
    assert.deepEqual(await pageRetired(db.read, 21, 0, 10), [retired])
    assert.deepEqual(await pageRetired(db.read, 21, old, 10), [])
    await assert.rejects(claim(db, 30, packed('late', old, 44)), isGivenUp)
    assert.deepEqual(await sumSegments(db.read), { segments: 2, bytes: 500, deadBytes: 500 })
  })

  it('given a number that was given to another owner, when the first one claims, seals or forgets it, then nothing happens', async () => {
    await using db = await make()
    const index = createSegmentIndex({ db, clock: { now: () => 1 } })
    const segment = await index.begin('two')
    await assert.rejects(claim(db, 10, packed('lost', segment, 44, 'one')), isGivenUp)
    await assert.rejects(
      claim(db, 10, packed('fine', segment, 44, 'two'), packed('lost', segment, 44, 'one')),
      isGivenUp,
    )
    await index.seal({ segment, owner: 'one' }, 0)
    await index.forget({ segment, owner: 'one' })
    await claim(db, 10, packed('fine', segment, 44, 'two'))
    assert.equal((await index.placesOf([digestOf('fine')])).get(digestOf('fine'))?.owner, 'two')
  })

  it('given segments that are begun, when forgotten, then those go in which nothing lies', async () => {
    await using db = await make()
    const index = createSegmentIndex({ db, clock: { now: () => 1 } })
    const [unused, named] = [await begin(db), await begin(db)]
    await claim(db, 10, packed('x', named, 44))
    for (const segment of [unused, named]) await index.forget({ segment, owner: 'one' })
    await assert.rejects(claim(db, 10, packed('y', unused, 44)), isGivenUp)
    await claim(db, 10, packed('y', named, 144))
  })

  it('given marked blobs of both kinds, when locked for removal, then each is asked for by its kind', async () => {
    await using db = await make()
    await claim(db, 10, packed('packed', await begin(db), 44))
    await db.transact((trx) => claimBlobs(trx, [packed('own', 0, 0)], 10))
    await mark(db, 20, 'packed', 'own')
    const locked = (home: 'file' | 'segment') =>
      db.transact(async (trx) => (await lockUnneeded(trx, home, 100, 10)).map(({ digest }) => digest))
    assert.deepEqual(await locked('segment'), [digestOf('packed')])
    assert.deepEqual(await locked('file'), [digestOf('own')])
  })

  it('given segments, when summed, then dead bytes are those that were not counted as alive', async () => {
    await using db = await make()
    assert.deepEqual(await sumSegments(db.read), { segments: 0, bytes: 0, deadBytes: 0 })
    const segment = await begin(db)
    await begin(db)
    await db.transact(async (trx) => {
      await sealSegment(trx, { segment, owner: 'one' }, 1_000, 5)
      await saveLiveBytes(trx, segment, 400)
    })
    assert.deepEqual(await sumSegments(db.read), { segments: 2, bytes: 1_000, deadBytes: 600 })
  })

  it('given the index, when asked for places, then they come with size and owner, of one blob as of many', async () => {
    await using db = await make()
    const index = createSegmentIndex({ db, clock: { now: () => 1 } })
    const segment = await index.begin('me')
    await claim(db, 10, packed('a', segment, 44, 'me'), packed('gone', segment, 144, 'me'))
    await mark(db, 20, 'gone')
    const place = { segment, offset: 44, sizeBytes: 1, owner: 'me' }
    assert.deepEqual([...(await index.placesOf([digestOf('a')]))], [[digestOf('a'), place]])
    assert.deepEqual([...(await index.placesOf(['a', 'gone', 'x'].map(digestOf)))], [[digestOf('a'), place]])
    assert.equal((await index.placesOf([digestOf('gone')])).size, 0)
    assert.equal((await index.withdrawnPlaceOf(digestOf('gone')))?.offset, 144)
    assert.equal(await index.withdrawnPlaceOf(digestOf('a')), undefined)
    await index.seal({ segment, owner: 'me' }, 200)
    assert.deepEqual(await index.sealLeftOpen('me'), [])
  })

  it('given packed claims of the same blobs in opposite order, when made at once, then all succeed and agree', async () => {
    await using db = await make()
    const segments = [await begin(db), await begin(db)]
    const texts = Array.from({ length: 60 }, (_, at) => `${at}`)
    const of = (segment: number) => texts.map((text, at) => packed(text, segment, 44 + at * 100))
    await Promise.all([
      claim(db, 10, ...of(segments[0]!)),
      claim(db, 11, ...of(segments[1]!).reverse()),
      claim(db, 12, ...of(segments[1]!)),
    ])
    const found = await findPacked(db.read, texts.map(digestOf), 'promised')
    assert.equal(new Set(found.map(({ place }) => place.segment)).size, 1)
  })
})
