import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { tempDir } from '../../../test/helpers/temp.ts'
import { createBlobList } from './blob-list.ts'
import { createDigestSet } from './digest-set.ts'
import { stretchesOf } from './kept-parts.ts'
import { openSpool } from './spool.ts'
import { chunksOfFile, createFileSpool } from './spooled-file.ts'

const keyOf = (index: number) => String(index).padStart(6, '0')
const partAt = (first: string, records = 1_000) => ({ id: first, first, sizeBytes: 1, records })
const digestAt = (index: number) => createHash('sha256').update(String(index)).digest()

describe('the spool of a snapshot', () => {
  it('given many records, when they are spooled, then they come back in chunks, and nothing is left', async () => {
    await using dir = await tempDir()
    const folder = dir.file('work', 'run')
    {
      await using spool = await openSpool(folder)
      const file = createFileSpool(spool, 'node.json')
      for (let index = 0; index < 2_500; index++) if (file.add(keyOf(index), `${index}\n`)) await file.flush()
      const done = await file.done()
      const chunks = await Array.fromAsync(chunksOfFile(spool, done))
      assert.deepEqual(
        chunks.map((chunk) => ('kept' in chunk ? 'kept' : [chunk.first, chunk.records])),
        [
          [keyOf(0), 1_000],
          [keyOf(1_000), 1_000],
          [keyOf(2_000), 500],
        ],
      )
      assert.equal(done.records, 2_500)
      assert.equal((await stat(folder)).mode & 0o777, 0o700)
      assert.equal((await stat(`${folder}/records`)).mode & 0o777, 0o600)
    }
    assert.deepEqual(await readdir(dir.file('work')), [])
  })

  it('given parts of a base, when records come in between, then the parts that follow begin where they did', async () => {
    await using dir = await tempDir()
    await using spool = await openSpool(dir.file('run'))
    const base = [partAt(keyOf(0)), partAt(keyOf(1_000)), partAt(keyOf(2_000), 10), partAt(keyOf(2_010))]
    const file = createFileSpool(spool, 'node.json', base)
    for (let index = 0; index < 3_000; index++) {
      if (file.add(keyOf(index), `${index}\n`)) await file.flush()
      if (index === 500 && file.add(`${keyOf(index)}+`, 'new\n')) await file.flush()
    }
    const { chunks } = await file.done()
    assert.deepEqual(
      chunks.map((chunk) => ('kept' in chunk ? 'kept' : [chunk.first, chunk.records])),
      [
        [keyOf(0), 1_001],
        [keyOf(1_000), 1_000],
        // A small part is joined with the next one.
        [keyOf(2_000), 1_000],
      ],
    )
  })

  it('given changed paths, when stretches are cut, then only parts whose range holds one are read', () => {
    const parts = ['/b', '/d', '/f', '/h'].map((first) => partAt(first))
    const [b, , f, h] = parts
    assert.deepEqual(stretchesOf(parts, ['/e']), [{ kept: b }, { lo: '/d', hi: '/f' }, { kept: f }, { kept: h }])
    assert.deepEqual(stretchesOf(parts, ['/a', '/d'])[0], { lo: '', hi: '/f' })
    assert.deepEqual(stretchesOf(parts, ['/z']).at(-1), { lo: '/h', hi: null })
    assert.deepEqual(stretchesOf([], ['/z']), [{ lo: '', hi: null }])
  })

  it('given digests, some twice, when they are listed, then each comes once, in order of its first coming', async () => {
    await using dir = await tempDir()
    await using spool = await openSpool(dir.file('run'))
    const list = createBlobList(spool)
    for (let index = 0; index < 10_000; index++) {
      if (list.add(digestAt(index % 6_000), index % 6_000)) await list.flush()
    }
    await list.flush()
    assert.deepEqual([list.count, list.bytes], [6_000, (6_000 * 5_999) / 2])
    const pages = await Array.fromAsync(list.pages(1_000))
    assert.ok(pages.every(({ length }) => length <= 1_000))
    assert.deepEqual(
      pages.flat().map(({ sizeBytes }) => sizeBytes),
      Array.from({ length: 6_000 }, (_, index) => index),
    )
    assert.equal(pages.flat()[7]!.digest, `sha256:${digestAt(7).toString('hex')}`)
  })

  it('given a set of digests, when it grows and is cleared, then it knows what it has', () => {
    const set = createDigestSet()
    for (let index = 0; index < 5_000; index++) assert.ok(set.add(digestAt(index)))
    for (let index = 0; index < 5_000; index++) assert.ok(!set.add(digestAt(index)))
    assert.equal(set.size, 5_000)
    set.clear()
    assert.ok(set.add(digestAt(1)))
  })
})
