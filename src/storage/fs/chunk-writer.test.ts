import assert from 'node:assert/strict'
import type { FileHandle } from 'node:fs/promises'
import { it } from 'node:test'
import { seededBytes } from '../../../test/helpers/blobs.ts'
import { createChunkWriter } from './chunk-writer.ts'

const MIB = 1024 * 1024

/** The two calls of a file that the writer makes; the bytes land in `bytes`. */
function scriptedFile(sizeBytes: number, script: Partial<Pick<FileHandle, 'datasync'>> & { mostBytes?: number }) {
  const bytes = Buffer.alloc(sizeBytes)
  const calls: number[] = []
  const writev = async (chunks: Buffer[], position: number) => {
    const whole = Buffer.concat(chunks)
    calls.push(chunks.length)
    const bytesWritten = whole.copy(bytes, position, 0, Math.min(script.mostBytes ?? whole.length, whole.length))
    return { bytesWritten, buffers: chunks }
  }
  const file = { writev, datasync: script.datasync ?? (async () => {}) } as unknown as FileHandle
  return { file, bytes, calls }
}

it('given many small chunks, when written, then they go to the disk together and in order', async () => {
  const { file, bytes, calls } = scriptedFile(100, {})
  const writer = createChunkWriter(Promise.resolve(file), 10)
  for (let at = 0; at < 90; at += 9) assert.equal(writer.write(seededBytes(1, 90).subarray(at, at + 9)), undefined)
  await writer.end()
  assert.ok(bytes.subarray(10).equals(seededBytes(1, 90)))
  assert.deepEqual(calls, [10])
})

it('given chunks of no bytes, when written, then they are no failure and nothing is written for them', async () => {
  const { file, bytes, calls } = scriptedFile(9, {})
  const writer = createChunkWriter(Promise.resolve(file), 0)
  for (const chunk of [Buffer.alloc(0), seededBytes(1, 9), Buffer.alloc(0)]) writer.write(chunk)
  await writer.end()
  assert.ok(bytes.equals(seededBytes(1, 9)))
  assert.deepEqual(calls, [1])
})

it('given a system that takes less than it is given, when written, then the rest follows', async () => {
  const { file, bytes } = scriptedFile(1000, { mostBytes: 7 })
  const writer = createChunkWriter(Promise.resolve(file), 0)
  for (let at = 0; at < 1000; at += 50) writer.write(seededBytes(2, 1000).subarray(at, at + 50))
  await writer.end()
  assert.ok(bytes.equals(seededBytes(2, 1000)))
})

it('given a disk that does not answer, when chunks come, then the writer is full after two batches', async () => {
  const opening = Promise.withResolvers<FileHandle>()
  const { file, bytes } = scriptedFile(4 * MIB, {})
  const writer = createChunkWriter(opening.promise, 0)
  const content = seededBytes(3, 4 * MIB)
  assert.equal(writer.write(content.subarray(0, MIB)), undefined)
  assert.equal(writer.write(content.subarray(MIB, 1.5 * MIB)), undefined)
  const full = writer.write(content.subarray(1.5 * MIB, 2 * MIB))
  assert.ok(full instanceof Promise)
  opening.resolve(file)
  await full
  writer.write(content.subarray(2 * MIB))
  await writer.end()
  assert.ok(bytes.equals(content))
})

it('given a write that fails, when it was not the last one, then the writer says so and writes no more', async () => {
  const writer = createChunkWriter(Promise.reject(new Error('disk full')), 0)
  writer.write(seededBytes(4, MIB))
  await writer.idle()
  assert.throws(() => writer.write(Buffer.from('more')), /disk full/)
  await assert.rejects(writer.end(), /disk full/)
})

it('given a sync on the way that fails, when the last one succeeds, then the error is told all the same', async () => {
  let syncs = 0
  const datasync = async () => {
    if (++syncs === 1) throw new Error('write-back failed')
  }
  const { file } = scriptedFile(64 * MIB, { datasync })
  const writer = createChunkWriter(Promise.resolve(file), 0)
  writer.write(Buffer.alloc(64 * MIB))
  await writer.idle()
  assert.equal(syncs, 1)
  await assert.rejects(writer.end(), /write-back failed/)
})
