import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { freeBytes, freeing, giveBytes, giveChunks } from './given-chunks.ts'

const sourceOf = (chunk: Buffer): Readable => Readable.from([chunk], { objectMode: false })

describe('given chunks', () => {
  it('given a source that gives its chunks, when one is freed, then its memory is gone', () => {
    const chunk = Buffer.alloc(100_000, 1)
    freeing(giveChunks(sourceOf(chunk)))(chunk)
    assert.equal(chunk.length, 0)
  })

  it('given any other source, when a chunk is freed, then it stays', () => {
    const chunk = Buffer.alloc(100_000, 1)
    freeing(sourceOf(chunk))(chunk)
    assert.equal(chunk.length, 100_000)
  })

  it('given a chunk that is a part of something, when it is freed, then the whole stays', () => {
    const whole = Buffer.alloc(100_000, 1)
    const chunk = whole.subarray(0, 50_000)
    freeing(giveChunks(sourceOf(chunk)))(chunk)
    assert.equal(whole[0], 1)
  })

  it('given bytes, when they are freed without being given, then they stay; given, all their memory is gone', () => {
    const whole = Buffer.alloc(100_000, 1)
    const bytes = whole.subarray(0, 99_999)
    freeBytes(bytes)
    assert.equal(bytes[0], 1)
    freeBytes(giveBytes(bytes))
    assert.equal(whole.length, 0)
  })
})
