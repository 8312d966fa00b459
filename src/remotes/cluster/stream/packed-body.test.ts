import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { zstdDecompressSync } from 'node:zlib'
import { chunksOf, type PullSource, pulledFrom } from '../../../core/pull-source.ts'
import { createBundler } from './bundler.ts'
import { createLineRate } from './line-rate.ts'
import { packedBody } from './packed-body.ts'

const chunked = (bytes: Buffer, size = 10_000) =>
  pulledFrom(
    Readable.from(
      Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) => bytes.subarray(n * size, (n + 1) * size)),
    ),
  )

describe('bodies on a slow line', () => {
  it('given contents that shrink, when packed, then they unpack to the same, and the headers say how much', async (t) => {
    const text = Buffer.from('many words '.repeat(50_000))
    const { body, bodyBytes, headers } = await packedBody(chunked(text), text.length, t.signal)
    const packed = await buffer(body as Readable)
    assert.ok(packed.length < text.length / 10)
    assert.deepEqual(zstdDecompressSync(packed), text)
    assert.deepEqual(
      [bodyBytes, headers],
      [undefined, { 'content-encoding': 'zstd', 'x-decoded-length': String(text.length) }],
    )
  })

  it('given contents that do not, or none, when packed, then they go as they are', async (t) => {
    for (const bytes of [randomBytes(300_000), Buffer.alloc(0)]) {
      const { body, bodyBytes, headers } = await packedBody(chunked(bytes), bytes.length, t.signal)
      assert.deepEqual(await buffer(chunksOf(body as PullSource, 50_000, t.signal)), bytes)
      assert.deepEqual([bodyBytes, headers], [bytes.length, {}])
    }
  })

  it('given a source that breaks, early or late, when packed, then its error comes out', async (t) => {
    const breaking = (after: number) =>
      pulledFrom(
        Readable.from(
          (async function* () {
            for (let n = 0; n < after; n++) yield Buffer.alloc(50_000)
            throw new Error('the disk is gone')
          })(),
        ),
      )
    await assert.rejects(packedBody(breaking(0), 1_000_000, t.signal), /the disk is gone/)
    const { body } = await packedBody(breaking(5), 1_000_000, t.signal)
    await assert.rejects(buffer(body as Readable), /the disk is gone/)
  })
})

describe('the rate of a line', () => {
  it('given 4 MiB that were blocked most of the time, when slower than 100 MB/s, then the line is slow, and fast again later', () => {
    const line = createLineRate()
    assert.equal(line.isSlow, false)
    line.add(4 * 1024 * 1024, 90, 100)
    assert.equal(line.isSlow, true)
    line.add(1024, 0, 1_000)
    assert.equal(line.isSlow, true)
    line.add(4 * 1024 * 1024, 10, 20)
    assert.equal(line.isSlow, false)
  })

  it('given a line that was ready while the target was slow, when measured, then it is not slow', () => {
    const line = createLineRate()
    line.add(5 * 1024 * 1024, 100, 1_000)
    assert.equal(line.isSlow, false)
  })

  it('given a slow line, when frames shrink and the target understands, then they go as a bundle; else as they are', () => {
    const slow = { add: () => undefined, begin: () => () => undefined, isSlow: true }
    const frames = [Buffer.alloc(40_000, 1), Buffer.alloc(40_000, 2)]
    assert.ok(createBundler(slow, () => true).wrap(frames)[0]!.length < 1_000)
    assert.equal(createBundler(slow, () => false).wrap(frames), frames)
    assert.equal(createBundler({ ...slow, isSlow: false }, () => true).wrap(frames), frames)
    const noise = [randomBytes(40_000)]
    assert.deepEqual(createBundler(slow, () => true).wrap(noise), noise)
  })
})
