import assert from 'node:assert/strict'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { it } from 'node:test'
import { type TempDir, tempDir } from '../../../../test/helpers/temp.ts'
import { digestOfBytes } from '../../../core/digest.ts'
import type { PackPlace, SmallContent } from '../../blob-store.ts'
import { createMemorySegmentIndex } from '../../memory/segment-index.ts'
import { contentAt, RECORD_HEADER_BYTES } from '../../segments/record.ts'
import { makeDirectory } from '../directories.ts'
import { type OpenRawFile, openRawFile, type RawFile } from '../raw-file.ts'
import { ownerDirectory, segmentPath, segmentsOf } from './segment-directory.ts'
import { createSegmentWriter, type SegmentWriterConfig } from './segment-writer.ts'

const content = (text: string): SmallContent => ({ digest: digestOfBytes(text), bytes: Buffer.from(text) })
const errno = (code: string) => Object.assign(new Error(`${code}: the disk says no`), { code })
const isErrno = (code: string) => (error: unknown) => error instanceof Error && 'code' in error && error.code === code

async function writing(dir: TempDir, more: Partial<SegmentWriterConfig> = {}) {
  const root = dir.path
  const index = createMemorySegmentIndex()
  await makeDirectory(segmentsOf(root))
  await makeDirectory(ownerDirectory(root, 'one'))
  const errors: unknown[] = []
  const base = { root, owner: 'one', index, maxBytes: 1_000_000, openFile: openRawFile }
  const writer = createSegmentWriter({ ...base, onError: (error) => errors.push(error), ...more })
  const pathOf = (segment: number) => segmentPath(root, { owner: 'one', segment })
  async function assertStored({ digest, bytes }: SmallContent, { segment, offset }: PackPlace): Promise<void> {
    const read = contentAt(await readFile(pathOf(segment)), offset, digest, bytes.length)
    assert.ok(read?.equals(bytes), `${bytes} at ${segment}/${offset}`)
  }
  return { index, writer, errors, pathOf, assertStored, [Symbol.asyncDispose]: () => writer.close() }
}

/** A disk of which some calls go wrong. */
function wrapped(wrap: (file: RawFile) => Partial<RawFile>): OpenRawFile {
  return async (path, flags) => {
    const file = await openRawFile(path, flags)
    return { ...file, ...wrap(file) }
  }
}

it('given calls while a write is under way, when it ends, then they share the next write and its sync', async () => {
  await using dir = await tempDir()
  let syncs = 0
  const openFile = wrapped((file) => ({
    datasync: () => {
      syncs++
      return file.datasync()
    },
  }))
  await using on = await writing(dir, { openFile })
  const contents = Array.from({ length: 40 }, (_, at) => content(`text ${at}`))
  const first = on.writer.append([contents[0]!])
  await Promise.resolve()
  await Promise.resolve()
  const places = await Promise.all([first, ...contents.slice(1).map((each) => on.writer.append([each]))])
  assert.equal(syncs, 2)
  for (const [at, [place]] of places.entries()) await on.assertStored(contents[at]!, place!)
})

it('given a disk that takes a few bytes at a time, when written, then nothing is missing', async () => {
  await using dir = await tempDir()
  const openFile = wrapped((file) => ({
    writev: ([first], position) => file.writev([first!.subarray(0, 7)], position),
  }))
  await using on = await writing(dir, { openFile })
  const contents = ['hello', '', 'a longer text than seven bytes'].map(content)
  for (const [at, place] of (await on.writer.append(contents)).entries()) await on.assertStored(contents[at]!, place)
})

it('given more records than one write takes, when written, then each is at its place', async () => {
  await using dir = await tempDir()
  await using on = await writing(dir)
  const contents = Array.from({ length: 1_201 }, (_, at) => content(`text ${at}`))
  const places = await on.writer.append(contents)
  for (const at of [0, 499, 500, 999, 1_000, 1_200]) await on.assertStored(contents[at]!, places[at]!)
})

for (const [call, code] of [
  ['writev', 'ENOSPC'],
  ['writev', 'EIO'],
  ['datasync', 'EIO'],
] as const) {
  it(`given a ${call} that fails with ${code}, when others follow, then its callers hear it, and the next call begins another segment`, async () => {
    await using dir = await tempDir()
    let isBroken = false
    const openFile = wrapped((file) => ({
      [call]: async (...asked: Parameters<RawFile['writev']>) => {
        if (isBroken) throw errno(code)
        return call === 'writev' ? file.writev(...asked) : file.datasync()
      },
    }))
    await using on = await writing(dir, { openFile })
    const [before] = await on.writer.append([content('before')])
    isBroken = true
    const lost = await Promise.allSettled(['a', 'b'].map((text) => on.writer.append([content(text)])))
    for (const one of lost) assert.ok(one.status === 'rejected' && isErrno(code)(one.reason))
    isBroken = false
    const [after] = await on.writer.append([content('after')])
    assert.notEqual(after!.segment, before!.segment)
    await on.assertStored(content('before'), before!)
    await on.assertStored(content('after'), after!)
    const durable = RECORD_HEADER_BYTES + 'before'.length
    assert.equal(on.index.segments.get(before!.segment)?.bytes, durable)
    assert.equal((await stat(on.pathOf(before!.segment))).size, durable)
  })
}

it('given a write that fails half-way, when its bytes reached the file, then they are never named', async () => {
  await using dir = await tempDir()
  let left = 60
  const openFile = wrapped((file) => ({
    async writev([first], position) {
      if (left <= 0) throw errno('ENOSPC')
      const count = await file.writev([first!.subarray(0, left)], position)
      left -= count
      return count
    },
    truncate: async () => {
      throw errno('EIO')
    },
  }))
  await using on = await writing(dir, { openFile })
  await assert.rejects(on.writer.append([content('x'.repeat(100))]), isErrno('ENOSPC'))
  left = 1_000
  const [place] = await on.writer.append([content('later')])
  assert.deepEqual(place, { segment: 2, owner: 'one', offset: RECORD_HEADER_BYTES })
})

it('given a disk that cannot open files, when it can again, then packing goes on', async () => {
  await using dir = await tempDir()
  let isFull = true
  const openFile: OpenRawFile = async (...asked) => {
    if (isFull) throw errno('ENOSPC')
    return openRawFile(...asked)
  }
  await using on = await writing(dir, { openFile })
  await assert.rejects(on.writer.append([content('lost')]), isErrno('ENOSPC'))
  isFull = false
  const [place] = await on.writer.append([content('kept')])
  await on.assertStored(content('kept'), place!)
})

it('given a segment that is full, when more comes, then it is sealed at its end and another begins', async () => {
  await using dir = await tempDir()
  await using on = await writing(dir, { maxBytes: 100 })
  const places: PackPlace[] = []
  for (const text of ['a', 'b', 'c', 'd', 'e']) {
    places.push(...(await on.writer.append([content(text.repeat(20))])))
  }
  assert.deepEqual(
    places.map(({ segment }) => segment),
    [1, 1, 2, 2, 3],
  )
  assert.deepEqual(
    [...on.index.segments.values()].map(({ bytes }) => bytes),
    [128, 128, undefined],
  )
})

it('given a file of the next number, when a segment begins, then it is left alone and another number is taken', async () => {
  await using dir = await tempDir()
  await using on = await writing(dir)
  await writeFile(on.pathOf(1), 'of an older state of the database')
  const [place] = await on.writer.append([content('x')])
  assert.equal(place!.segment, 2)
  assert.equal((await readFile(on.pathOf(1))).toString(), 'of an older state of the database')
  assert.deepEqual([...on.index.segments.keys()], [2])
})

for (const call of ['open', 'writev', 'datasync'] as const) {
  it(`given a disk on which every ${call} fails, when many are refused, then neither files nor numbers are left`, async () => {
    await using dir = await tempDir()
    const fail = async () => {
      throw errno('ENOSPC')
    }
    const openFile: OpenRawFile = call === 'open' ? fail : wrapped(() => ({ [call]: fail }))
    await using on = await writing(dir, { openFile })
    for (const text of ['a', 'b', 'c']) await assert.rejects(on.writer.append([content(text)]), isErrno('ENOSPC'))
    assert.deepEqual(await readdir(ownerDirectory(dir.path, 'one')), [])
    assert.equal(on.index.segments.size, 0)
    assert.deepEqual(on.errors, [])
  })
}

it('given a segment that is left, when the next write comes, then it is sealed and another begins; others are left in vain', async () => {
  await using dir = await tempDir()
  await using on = await writing(dir)
  const [first] = await on.writer.append([content('a')])
  on.writer.leave({ segment: first!.segment + 1, owner: 'one' })
  const [same] = await on.writer.append([content('b')])
  assert.equal(same!.segment, first!.segment)
  on.writer.leave(same!)
  const [next] = await on.writer.append([content('c')])
  assert.notEqual(next!.segment, first!.segment)
  const [last] = await on.writer.append([content('d')])
  assert.equal(last!.segment, next!.segment)
  assert.equal(on.index.segments.get(first!.segment)?.bytes, 2 * (RECORD_HEADER_BYTES + 1))
})

it('given a seal that the index refuses, when the next write comes, then it is tried again and nobody is held up', async () => {
  await using dir = await tempDir()
  const index = createMemorySegmentIndex()
  let refusals = 1
  const seal: typeof index.seal = async (...asked) => {
    if (refusals-- > 0) throw new Error('the database is away')
    await index.seal(...asked)
  }
  await using on = await writing(dir, { maxBytes: 10, index: { ...index, seal } })
  for (const text of ['a', 'b', 'c']) await on.writer.append([content(text)])
  assert.equal(on.errors.length, 1)
  assert.equal(index.segments.get(1)?.bytes, RECORD_HEADER_BYTES + 1)
})
