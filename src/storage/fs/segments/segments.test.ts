import assert from 'node:assert/strict'
import { appendFile, open, readdir, readFile, rm } from 'node:fs/promises'
import { it } from 'node:test'
import { bytesOf, seededBytes, streamOf, textOf } from '../../../../test/helpers/blobs.ts'
import { type TempDir, tempDir } from '../../../../test/helpers/temp.ts'
import { type Digest, digestHex, digestOfBytes } from '../../../core/digest.ts'
import { hasCode } from '../../../core/errors.ts'
import type { BlobStore, PackPlace } from '../../blob-store.ts'
import { createMemorySegmentIndex, type MemorySegmentIndex } from '../../memory/segment-index.ts'
import { RECORD_HEADER_BYTES } from '../../segments/record.ts'
import { openFsBlobStore } from '../blob-store.ts'
import { segmentPath } from './segment-directory.ts'
import { createSegmentFiles } from './segment-files.ts'

const signal = new AbortController().signal
const contentOf = (bytes: string | Buffer) => ({ digest: digestOfBytes(bytes), bytes: Buffer.from(bytes) })
const isUnknown = (error: unknown) => hasCode(error, 'BLOB_UNKNOWN')

interface Packed {
  readonly digest: Digest
  readonly place: PackPlace
}
async function pack(store: BlobStore, index: MemorySegmentIndex, text: string | Buffer): Promise<Packed> {
  const { digest, bytes } = contentOf(text)
  const [place] = await store.putMany([{ digest, bytes }], signal)
  index.promise({ digest, sizeBytes: bytes.length }, place)
  return { digest, place: place! }
}
const openStore = (dir: TempDir, index: MemorySegmentIndex, owner = 'one', onError = (_error: unknown) => {}) =>
  openFsBlobStore({ root: dir.path, owner, index, onError })
const pathOf = (dir: TempDir, { place }: Packed, owner = 'one') =>
  segmentPath(dir.path, { owner, segment: place.segment })
async function overwrite(path: string, at: number, text: string): Promise<void> {
  await using file = await open(path, 'r+')
  await file.write(Buffer.from(text), 0, text.length, at)
}

it('given a torn tail, when the store starts again, then the segment ends at the last blob that a row names', async () => {
  await using dir = await tempDir()
  const index = createMemorySegmentIndex()
  await using before = await openStore(dir, index)
  const named = await pack(before, index, 'named')
  await before.putMany([contentOf('never acknowledged')], signal)
  await appendFile(pathOf(dir, named), 'half a rec')

  await using store = await openStore(dir, index)
  assert.equal(index.segments.get(named.place.segment)?.bytes, named.place.offset + 5)
  assert.equal(await textOf(await store.open(named.digest, undefined, signal)), 'named')
  assert.notEqual((await pack(store, index, 'next')).place.segment, named.place.segment)
})

it('given an open segment that no row names, when the store starts again, then it is forgotten, and its file is a stray', async () => {
  await using dir = await tempDir()
  const index = createMemorySegmentIndex()
  await using before = await openStore(dir, index)
  await before.putMany([contentOf('never acknowledged')], signal)
  await using _store = await openStore(dir, index)
  assert.equal(index.segments.size, 0)
  assert.deepEqual(await readdir(dir.file('.segments', 'one')), ['1'])
})

it('given one start on an older state of the index, or on an empty one, when started on the right one again, then nothing is lost', async () => {
  await using dir = await tempDir()
  const index = createMemorySegmentIndex()
  const older = createMemorySegmentIndex()
  await using before = await openStore(dir, index)
  const first = await pack(before, index, 'first')
  await older.begin('one')
  older.promise({ digest: first.digest, sizeBytes: 5 }, first.place)
  const second = await pack(before, index, 'second')
  for (const wrong of [older, createMemorySegmentIndex()]) {
    await using store = await openStore(dir, wrong)
    await pack(store, wrong, 'written by mistake')
    await using _again = await openStore(dir, wrong)
  }
  await using store = await openStore(dir, index)
  assert.equal(await textOf(await store.open(first.digest, undefined, signal)), 'first')
  assert.equal(await textOf(await store.open(second.digest, undefined, signal)), 'second')
})

it('given a segment that rows name and that is gone or short, when the store starts, then it says so and starts', async () => {
  await using dir = await tempDir()
  const index = createMemorySegmentIndex()
  await using before = await openStore(dir, index)
  const lost = await pack(before, index, 'lost')
  await rm(pathOf(dir, lost))
  const errors: unknown[] = []
  await using store = await openStore(dir, index, 'one', (error) => errors.push(error))
  assert.match(String(errors), /Segment \[one\/1\] has blobs and is gone/)
  assert.equal(await store.find(lost.digest, signal), undefined)
  await assert.rejects(store.open(lost.digest, undefined, signal), isUnknown)
})

it('given two stores on one root, when both pack, then each has its own segment, reads the other’s and leaves it alone at its start', async () => {
  await using dir = await tempDir()
  const index = createMemorySegmentIndex()
  await using one = await openStore(dir, index, 'one')
  await using two = await openStore(dir, index, 'two')
  const ofOne = await pack(one, index, 'of one')
  const ofTwo = await pack(two, index, 'of two')
  assert.notEqual(ofOne.place.segment, ofTwo.place.segment)
  assert.equal(await textOf(await two.open(ofOne.digest, undefined, signal)), 'of one')
  assert.equal(await textOf(await one.open(ofTwo.digest, undefined, signal)), 'of two')
  await appendFile(pathOf(dir, ofTwo, 'two'), 'under way')
  await using again = await openStore(dir, index, 'one')
  assert.equal(await textOf(await again.open(ofTwo.digest, undefined, signal)), 'of two')
  assert.match((await readFile(pathOf(dir, ofTwo, 'two'))).toString('latin1'), /under way$/)
})

it('given a blob that moves after a reader looked it up, when its old segment is gone, then the reader finds the new place', async () => {
  await using dir = await tempDir()
  const index = createMemorySegmentIndex()
  await using writer = await openStore(dir, index)
  const old = await pack(writer, index, 'moved')
  await using other = await openStore(dir, index, 'two')
  const moved = await other.putMany([contentOf('moved')], signal)
  const reading = (move: () => void): MemorySegmentIndex => ({
    ...index,
    async placesOf(digests) {
      const places = await index.placesOf(digests)
      move()
      return places
    },
  })
  let isMoved = false
  const move = () => {
    if (isMoved) return
    isMoved = true
    index.promise({ digest: old.digest, sizeBytes: 5 }, moved[0])
  }
  await rm(pathOf(dir, old))
  for (const read of ['open', 'find', 'readMany'] as const) {
    isMoved = false
    index.promise({ digest: old.digest, sizeBytes: 5 }, old.place)
    await using store = await openStore(dir, reading(move), 'three')
    if (read === 'open') assert.equal(await textOf(await store.open(old.digest, undefined, signal)), 'moved')
    if (read === 'find') assert.notEqual(await store.find(old.digest, signal), undefined)
    if (read === 'readMany') {
      const found = await store.readMany([{ digest: old.digest, sizeBytes: 5 }], signal)
      assert.equal(found.get(old.digest)?.toString(), 'moved')
    }
  }
})

it('given a packed blob whose bytes are wrong, when read with others, then it alone is left out, or comes from its own file', async () => {
  await using dir = await tempDir()
  const index = createMemorySegmentIndex()
  await using store = await openStore(dir, index)
  const good = await pack(store, index, 'good')
  const wrong = await pack(store, index, 'wrong')
  await overwrite(pathOf(dir, wrong), wrong.place.offset, 'WRONG')
  const wanted = [
    { digest: good.digest, sizeBytes: 4 },
    { digest: wrong.digest, sizeBytes: 5 },
  ]
  assert.deepEqual([...(await store.readMany(wanted, signal)).keys()], [good.digest])
  await using staged = await store.receive(streamOf('wrong'), {}, signal)
  await staged.publish(signal)
  assert.equal((await store.readMany(wanted, signal)).get(wrong.digest)?.toString(), 'wrong')
})

it('given a record of which only the header is wrong, when many are read, then its bytes come: sha256 says that they are right', async () => {
  await using dir = await tempDir()
  const index = createMemorySegmentIndex()
  await using store = await openStore(dir, index)
  for (const [at, back] of [1, 40, RECORD_HEADER_BYTES].entries()) {
    const { digest, place } = await pack(store, index, `text ${at}`)
    await overwrite(pathOf(dir, { digest, place }), place.offset - back, '\x7f')
    assert.equal((await store.readMany([{ digest, sizeBytes: 6 }], signal)).get(digest)?.toString(), `text ${at}`)
  }
})

it('given a withdrawn blob, when put into quarantine, then a copy of its bytes lies there', async () => {
  await using dir = await tempDir()
  const index = createMemorySegmentIndex()
  await using store = await openStore(dir, index)
  const wrong = await pack(store, index, 'wrong')
  await overwrite(pathOf(dir, wrong), wrong.place.offset, 'WRONG')
  index.withdraw(wrong.digest)
  await store.quarantine(wrong.digest, signal)
  assert.equal((await readFile(dir.file('.quarantine', digestHex(wrong.digest)))).toString(), 'WRONG')
})

it('given a small range of a packed blob, when a file of its own lies about as well, then either is right', async () => {
  await using dir = await tempDir()
  for (const isAtHand of [true, false]) {
    const index = createMemorySegmentIndex()
    await using store = await openFsBlobStore({ root: dir.path, owner: 'one', index: { ...index, isAtHand } })
    const { digest } = await pack(store, index, 'packed')
    assert.equal(await textOf(await store.open(digest, { start: 0, end: 6 }, signal)), 'packed')
    await using staged = await store.receive(streamOf('packed'), {}, signal)
    await staged.publish(signal)
    assert.equal(await textOf(await store.open(digest, { start: 0, end: 6 }, signal)), 'packed')
  }
})

it('given foreign names among the segments, when listed, then they are none', async () => {
  await using dir = await tempDir()
  const index = createMemorySegmentIndex()
  await using store = await openStore(dir, index)
  const { place } = await pack(store, index, 'x')
  await appendFile(dir.file('.segments', 'one', 'README'), 'no segment')
  await appendFile(dir.file('.segments', 'note'), 'no owner')
  assert.deepEqual(await Array.fromAsync(store.listSegments(signal)), [
    { owner: 'one', segment: place.segment, sizeBytes: place.offset + 1 },
  ])
})

it('given more segments than are kept open, when all are read over and over, then each gives its bytes', async () => {
  await using dir = await tempDir()
  const index = createMemorySegmentIndex()
  await using store = await openFsBlobStore({ root: dir.path, owner: 'one', index, segmentBytes: 1 })
  const packed: Packed[] = []
  for (let at = 0; at < 9; at++) packed.push(await pack(store, index, seededBytes(at, 100)))
  const files = createSegmentFiles(dir.path, 2)
  for (const turn of [1, 2, 3]) {
    await Promise.all(
      packed.map(async ({ place }, at) => {
        using held = await files.hold({ owner: 'one', segment: place.segment })
        const bytes = Buffer.alloc(100)
        assert.equal(await held?.file.read(bytes, 0, 100, place.offset), 100)
        assert.ok(bytes.equals(seededBytes(at, 100)), `turn ${turn}`)
      }),
    )
  }
  files.close()
})

it('given a stream that is destroyed before it is read, when the segment is removed, then nothing holds its file', async () => {
  await using dir = await tempDir()
  const index = createMemorySegmentIndex()
  await using store = await openStore(dir, index)
  const { digest, place } = await pack(store, index, seededBytes(1, 500_000))
  const stream = await store.open(digest, undefined, signal)
  const closed = new Promise((resolve) => stream.once('close', resolve))
  stream.destroy()
  await closed
  await store.removeSegment({ owner: 'one', segment: place.segment })
  await assert.rejects(async () => bytesOf(await store.open(digest, undefined, signal)), isUnknown)
})
