import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { brokenStream, hangingStream, streamOf, textOf } from '../../../test/helpers/blobs.ts'
import { exactLength } from './exact-length.ts'

describe('exactLength', () => {
  it('given as many bytes as expected, when read, then they pass', async () => {
    assert.equal(await textOf(exactLength(streamOf('ab', 'cd'), 4)), 'abcd')
    assert.equal(await textOf(exactLength(streamOf(), 0)), '')
  })

  it('given fewer or more bytes, or a source that breaks, when read, then it fails', async () => {
    await assert.rejects(textOf(exactLength(streamOf('abc'), 4)), /expected 4 bytes, got 3/)
    await assert.rejects(textOf(exactLength(streamOf('abc', 'de'), 4)), /expected 4 bytes, got 5/)
    await assert.rejects(textOf(exactLength(brokenStream(new Error('EIO'), 'ab'), 4)), /EIO/)
  })

  it('given a reader that goes away, when the stream is destroyed, then so is the source', async () => {
    const source = hangingStream('ab')
    const closed = new Promise((resolve) => source.on('close', resolve))
    exactLength(source, 4).destroy()
    await closed
    assert.equal(source.destroyed, true)
  })
})
