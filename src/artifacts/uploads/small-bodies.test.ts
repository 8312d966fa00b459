import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { brokenStream, digestOf, streamOf } from '../../../test/helpers/blobs.ts'
import { hasCode } from '../../core/errors.ts'
import { createSmallBodies, SMALL_BYTES } from './small-bodies.ts'

describe('small bodies', () => {
  it('given a size that is not announced or not small, or a sender that waits, when reserved, then there is no memory for it', () => {
    const bodies = createSmallBodies()
    assert.equal(bodies.reserve({ sizeBytes: undefined }), undefined)
    assert.equal(bodies.reserve({ sizeBytes: SMALL_BYTES + 1 }), undefined)
    assert.notEqual(bodies.reserve({ sizeBytes: SMALL_BYTES }), undefined)
    assert.notEqual(bodies.reserve({ sizeBytes: 0 }), undefined)
    assert.equal(bodies.reserve({ sizeBytes: 1, sending: 'when-invited' }), undefined)
  })

  it('given bodies that take all the memory, when one is done, then there is room for another', () => {
    const bodies = createSmallBodies()
    const taken = Array.from({ length: 1_000 }, () => bodies.reserve({ sizeBytes: SMALL_BYTES })).filter(
      (body) => body !== undefined,
    )
    assert.equal(taken.length, 256)
    taken[0]![Symbol.dispose]()
    assert.notEqual(bodies.reserve({ sizeBytes: SMALL_BYTES }), undefined)
    assert.equal(bodies.reserve({ sizeBytes: 1 }), undefined)
  })

  it('given a body, when read, then its bytes and the hashes that were asked for come back', async (t) => {
    const bodies = createSmallBodies()
    using body = bodies.reserve({ sizeBytes: 5 })!
    const { bytes, digest, md5, crc64 } = await body.read(streamOf('he', 'llo'), { withMd5: true }, t.signal)
    assert.equal(bytes.toString(), 'hello')
    assert.deepEqual([digest, md5, crc64], [digestOf('hello'), '5d41402abc4b2a76b9719d911017c592', undefined])
    using nothing = bodies.reserve({ sizeBytes: 0 })!
    assert.equal((await nothing.read(streamOf(), {}, t.signal)).digest, digestOf(''))
  })

  it('given a body that is longer or shorter than announced, or breaks, when read, then it is refused', async (t) => {
    using body = createSmallBodies().reserve({ sizeBytes: 3 })!
    for (const text of ['four', 'tw']) {
      await assert.rejects(body.read(streamOf(text), {}, t.signal), (error) => hasCode(error, 'ARTIFACT_BROKEN'))
    }
    await assert.rejects(body.read(brokenStream(new Error('ECONNRESET'), 'x'), {}, t.signal), /ECONNRESET/)
  })
})
