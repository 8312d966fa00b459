import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { streamOf } from '../../test/helpers/blobs.ts'
import { type Digest, digestOfBytes } from '../core/digest.ts'
import { hasCode } from '../core/errors.ts'
import { createMemoryBlobStore } from './memory/blob-store.ts'
import { createSmallBlobs } from './small-blobs.ts'

function stored(...texts: string[]) {
  const content = new Map<Digest, Buffer>(texts.map((text) => [digestOfBytes(text), Buffer.from(text)]))
  const inner = createMemoryBlobStore(content)
  let opened = 0
  const open: typeof inner.open = (...asked) => {
    opened++
    return inner.open(...asked)
  }
  return { content, store: { open, readMany: async () => new Map<Digest, Buffer>() }, opened: () => opened }
}

describe('small blobs', () => {
  it('given a blob that was read, when it is read again, then the store is not asked', async (t) => {
    const { store, opened } = stored('hello')
    const small = createSmallBlobs(store, 100)
    for (let time = 0; time < 3; time++) {
      assert.equal((await small.read(digestOfBytes('hello'), 5, t.signal)).toString(), 'hello')
    }
    assert.equal(opened(), 1)
  })

  it('given a store that gives it whole, when read, then no stream is opened', async (t) => {
    const { store, opened } = stored('hello')
    const digest = digestOfBytes('hello')
    const whole = { ...store, readMany: async () => new Map([[digest, Buffer.from('hello')]]) }
    assert.equal((await createSmallBlobs(whole, 100).read(digest, 5, t.signal)).toString(), 'hello')
    assert.equal(opened(), 0)
  })

  it('given more than fits, when read, then what was not used for the longest time is forgotten', async (t) => {
    const { store, opened } = stored('aaaa', 'bbbb', 'cccc')
    const small = createSmallBlobs(store, 8)
    for (const text of ['aaaa', 'bbbb', 'aaaa', 'cccc', 'aaaa']) await small.read(digestOfBytes(text), 4, t.signal)
    assert.equal(opened(), 3)
    await small.read(digestOfBytes('bbbb'), 4, t.signal)
    assert.equal(opened(), 4)
  })

  it('given stored bytes that are wrong, when read, then DIGEST_MISMATCH and they are not kept', async (t) => {
    const { store, content } = stored('right')
    const small = createSmallBlobs(store, 100)
    const digest = digestOfBytes('right')
    content.set(digest, Buffer.from('wrong'))
    await assert.rejects(small.read(digest, 5, t.signal) as Promise<Buffer>, (error) =>
      hasCode(error, 'DIGEST_MISMATCH'),
    )
    content.set(digest, Buffer.from('right'))
    assert.equal((await small.read(digest, 5, t.signal)).toString(), 'right')
  })

  it('given a store, when a blob is not there, then BLOB_UNKNOWN', async (t) => {
    const small = createSmallBlobs(stored().store, 100)
    await assert.rejects(small.read(digestOfBytes('x'), 1, t.signal) as Promise<Buffer>, (error) =>
      hasCode(error, 'BLOB_UNKNOWN'),
    )
  })

  it('given blobs of no bytes, when read, then they are empty', async (t) => {
    const { content } = stored('')
    const store = createMemoryBlobStore(content)
    await using staged = await store.receive(streamOf(''), {}, t.signal)
    assert.equal((await createSmallBlobs(store, 0).read(staged.digest, 0, t.signal)).length, 0)
  })
})
