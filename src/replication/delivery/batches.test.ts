import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inBatches } from './batches.ts'
import type { FileItem } from './work-item.ts'

const KIB = 1024
const MIB = KIB * KIB
const LIMITS = { files: 500, inlineMaxBytes: 64 * KIB }

const sized = (...sizes: number[]): FileItem[] =>
  sizes.map((sizeBytes) => ({ kind: 'file', file: { sizeBytes, metadataLength: 2 } }) as FileItem)
const some = (count: number, sizeBytes: number) => sized(...Array<number>(count).fill(sizeBytes))

async function batchSizes(...pages: FileItem[][]): Promise<number[]> {
  async function* all() {
    yield* pages
  }
  const sizes: number[] = []
  for await (const batch of inBatches(all(), LIMITS)) sizes.push(batch.length)
  return sizes
}

describe('batches of files', () => {
  it('given no files, when batched, then there is no batch', async () => {
    assert.deepEqual(await batchSizes([], []), [])
  })
  it('given pages of any size, when batched, then a batch has 500 files whatever the pages are', async () => {
    assert.deepEqual(await batchSizes(some(300, 1), some(300, 1), some(450, 1)), [500, 500, 50])
  })
  it('given contents that are sent with their files, when batched, then a batch holds 4 MiB of them', async () => {
    assert.deepEqual(await batchSizes(some(130, 64 * KIB)), [64, 64, 2])
  })
  it('given contents that are not held in memory, when batched, then a batch has up to 64 MiB', async () => {
    assert.deepEqual(await batchSizes(some(10, 16 * MIB)), [4, 4, 2])
  })
  it('given a file that is larger than a batch, when batched, then it is one by itself, and order stays', async () => {
    assert.deepEqual(await batchSizes(sized(1, 1, 100 * MIB, 1)), [2, 1, 1])
  })
  it('given very much metadata, when batched, then a batch has 2.5 million characters of it', async () => {
    const items = some(5, 1).map((item) => ({ ...item, file: { ...item.file, metadataLength: 1_000_000 } }))
    assert.deepEqual(await batchSizes(items), [2, 2, 1])
  })
})
