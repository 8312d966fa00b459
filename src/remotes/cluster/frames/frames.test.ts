import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { anyFrame, BEGIN, documentOf, entryOf, fileOf } from '../../../../test/helpers/frames.ts'
import { digestFromBytes } from '../../../core/digest.ts'
import { hasCode } from '../../../core/errors.ts'
import { makeHlc } from '../../../core/hlc.ts'
import { packBundle } from './bundle.ts'
import type { Frame, SourceFrame } from './frame.ts'
import { createFrameEncoder, encodeFrame } from './frame-encoder.ts'
import { FRAME_NUMBER } from './frame-kinds.ts'
import { FRAME_BYTES } from './frame-limits.ts'
import { readSourceFrames, readTargetFrames } from './frame-reader.ts'

interface Golden {
  readonly frames: readonly string[]
  /** Of the first three examples. */
  readonly bundle: string
}

const INLINE = 65_536
const FROM_TARGET: readonly Frame['type'][] = ['ack', 'credit', 'fenced', 'refused']
const readerOf = ({ type }: Pick<Frame, 'type'>) =>
  FROM_TARGET.includes(type) ? readTargetFrames() : readSourceFrames(INLINE)

function decodeAll(reader: ReturnType<typeof readerOf>, bytes: Buffer): Frame[] {
  const frames = reader.push(bytes)
  reader.end()
  return frames
}
const isBroken = (error: unknown) => hasCode(error, 'ARTIFACT_BROKEN', 'CLUSTER_VERSION_UNSUPPORTED')
const withByte = (bytes: Buffer, at: number, value: number): Buffer => {
  const copy = Buffer.from(bytes)
  copy[at] = value
  return copy
}
const refused = (bytes: Buffer, why: RegExp, reader = readSourceFrames(INLINE)) =>
  assert.throws(
    () => decodeAll(reader, bytes),
    (error: Error) => isBroken(error) && why.test(error.message),
  )

const row = { is: 'row', id: Buffer.from('0102030405060708', 'hex') } as const
const about = { item: 7, origin: 'cluster-a', hlc: makeHlc(1_700_000_000_000, 3), expect: row }
/** One of every type; the golden file holds their bytes. */
const EXAMPLES: readonly Frame[] = [
  entryOf(1, {
    ...{ md5: 'd41d8cd98f00b204e9800998ecf8427e', crc64: '18446744073709551615', via: ['b', 'c'], expiresAt: 2 ** 41 },
    ...{ metadata: [{ key: 'größe', value: { a: [1, null] } }], expect: row },
  }),
  entryOf(2, { content: undefined, sizeBytes: 2 ** 40, metadata: [], expect: { is: 'unknown' } }),
  { type: 'delete', ...about, path: '/gone', deletedBy: 'ann' },
  { type: 'metadata', ...about, path: '/kept', metadata: [{ key: 'k', value: 1 }], modifiedBy: 'bob', modifiedAt: 5 },
  { type: 'barrier', seq: 2 ** 53 - 1 },
  {
    ...{ type: 'version', ...about, packageKey: 'npm://left-pad', version: '1.0.0' },
    document: documentOf({ files: [fileOf('/a'), fileOf('/b', { role: 'main', md5: null, metadata: null })] }),
  },
  {
    ...{ type: 'content', item: 8, digest: digestFromBytes(Buffer.alloc(32, 9)) },
    content: Buffer.from('some bytes'),
  },
  { type: 'begin', begin: BEGIN },
  {
    ...{ type: 'ack', hi: 500, seq: 12 },
    exceptions: [
      {
        item: 3,
        result: 'kept',
        reason: '',
        remote: { content: [1, -1, 2 ** 31 - 1, -(2 ** 31)], metadata: [0, 0, 0, 0] },
      },
      { item: 400, result: 'refused', reason: 'no room', remote: null },
    ],
  },
  { type: 'credit', bytes: 300 },
  { type: 'ping', token: 127 },
  { type: 'fenced', fence: 128 },
  { type: 'end' },
  { type: 'refused', code: 250133, status: 412, reason: 'another epoch' },
]

describe('frames', () => {
  it('given the golden bytes, when decoded and encoded again, then frames and bytes are the same', async () => {
    const golden = JSON.parse(await readFile(new URL('golden-frames.json', import.meta.url), 'utf8')) as Golden
    assert.deepEqual(
      EXAMPLES.map((frame) => encodeFrame(frame).toString('hex')),
      golden.frames,
    )
    for (const [index, hex] of golden.frames.entries()) {
      const frame = EXAMPLES[index]!
      assert.deepEqual(decodeAll(readerOf(frame), Buffer.from(hex, 'hex')), [frame])
    }
    // Another release of zstd may pack the same frames into other bytes.
    assert.deepEqual(decodeAll(readSourceFrames(INLINE), Buffer.from(golden.bundle, 'hex')), EXAMPLES.slice(0, 3))
    assert.deepEqual(new Set(EXAMPLES.map(({ type }) => type)), new Set(Object.keys(FRAME_NUMBER)))
  })

  it('given any frames, when encoded and decoded in pieces of any size, then they are the same', () => {
    const pieces = fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(anyFrame, pieces, (frame, sizes) => {
        const reader = readerOf(frame)
        const bytes = Buffer.concat([encodeFrame({ type: 'ping', token: 1 }), encodeFrame(frame)])

        const frames: Frame[] = []
        for (let at = 0, n = 0; at < bytes.length; n++) {
          const end = at + sizes[n % sizes.length]!
          frames.push(...reader.push(bytes.subarray(at, end)))
          at = end
        }
        reader.end()
        assert.deepEqual(frames, [{ type: 'ping', token: 1 }, frame])
      }),
      { numRuns: 1_000 },
    )
  })

  it('given a frame that is cut anywhere, when decoded, then it is refused', () => {
    for (const frame of EXAMPLES) {
      const bytes = encodeFrame(frame)
      for (let end = 1; end < bytes.length; end++) {
        assert.throws(() => decodeAll(readerOf(frame), bytes.subarray(0, end)), isBroken)
        const shorter = Buffer.from(bytes.subarray(0, end))
        if (end < 5) continue
        shorter.writeUInt32BE(end - 4)
        // An inline content is as long as its frame says, which its own size has to confirm.
        assert.throws(() => decodeAll(readerOf(frame), shorter), isBroken, `${frame.type} cut at ${end}`)
      }
    }
  })

  it('given any frame with bytes changed, when decoded, then it is a frame, waits for more, or is refused', () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(anyFrame, changes, (frame, all) => {
        const bytes = Buffer.from(encodeFrame(frame))
        for (const [at, value] of all) bytes[at % bytes.length] = value
        for (const reader of [readSourceFrames(INLINE), readTargetFrames()]) {
          try {
            decodeAll(reader, bytes)
          } catch (error) {
            if (!isBroken(error)) throw error
          }
        }
      }),
      { numRuns: 2_000 },
    )
  })

  it('given what is not a frame, when decoded, then the refusal names it', () => {
    const ping = encodeFrame({ type: 'ping', token: 1 })
    const entry = encodeFrame(entryOf(1))
    refused(withByte(ping, 4, 99), /frame type 99 is not known/)
    refused(withByte(ping, 5, 2), /flags 0x2 of frame type 10 are not known/)
    refused(withByte(ping, 5, 1), /flags 0x1 of frame type 10/)
    refused(withByte(ping, 9, 1), /about no item, not about 1/)
    refused(withByte(entry, 9, 0), /frame type 1 has no item/)
    refused(withByte(entry, 10, 0x70), /precondition 3 is not known/)
    refused(encodeFrame({ type: 'credit', bytes: 1 }), /does not belong in this direction/)
    refused(entry, /does not belong in this direction/, readTargetFrames() as never)
    refused(Buffer.concat([encodeFrame({ type: 'end' }), ping]), /something follows its END/)
    refused(encodeFrame({ type: 'begin', begin: { ...BEGIN, protocol: 1 } }), /speaks sync protocol 1, this cluster 2/)
    for (const [field, value] of [
      ['fence', -1],
      ['fence', 2 ** 53],
      ['run', 2 ** 48],
      ['run', 0.5],
      ['earlierRuns', [2 ** 48]],
      ['earlierRuns', Array(1_001).fill(1)],
      ['stream', 'a\0b'],
      ['stream', 'a\u0085b'],
      ['project', '\ud800'],
      ['sourceId', 'x'.repeat(257)],
    ] as const) {
      refused(
        encodeFrame({ type: 'begin', begin: { ...BEGIN, [field]: value } }),
        new RegExp(`no usable \\[${field}\\]`),
      )
    }
    const deep = `${'['.repeat(1_000)}${']'.repeat(1_000)}`
    const nested = encodeFrame(entryOf(1, { metadata: [{ key: 'k', value: JSON.parse(deep) }] }))
    refused(nested, /nested too deeply/)
    refused(encodeFrame(entryOf(1, { metadata: { length: 1, toJSON: () => ({}) } as never })), /no list of entries/)
  })

  it('given a frame that says it is too large, when its first bytes come, then it is refused before the rest', () => {
    const head = (bytes: number, type: number) => {
      const prefix = Buffer.alloc(5)
      prefix.writeUInt32BE(bytes - 4)
      prefix[4] = type
      return prefix
    }
    assert.throws(() => readSourceFrames(INLINE).push(head(FRAME_BYTES + 1, FRAME_NUMBER.delete)), isBroken)
    assert.throws(() => readSourceFrames(INLINE).push(head(FRAME_BYTES + INLINE + 1, FRAME_NUMBER.entry)), isBroken)
    assert.deepEqual(readSourceFrames(INLINE).push(head(FRAME_BYTES + INLINE, FRAME_NUMBER.entry)), [])
    assert.throws(() => readSourceFrames(INLINE).push(head(4, FRAME_NUMBER.end)), isBroken)
    const encoder = createFrameEncoder()
    const { item: _, ...large } = entryOf(1, { path: `/${'x'.repeat(FRAME_BYTES)}` })
    assert.throws(() => encoder.addItem(large, 1), RangeError)
    assert.equal(encoder.bytes, 0)
  })

  it('given a large content, when encoded, then it is not copied, and decoding leaves it where it came', () => {
    const content = Buffer.alloc(60_000, 1)
    const encoder = createFrameEncoder()
    encoder.add(entryOf(1, { content, sizeBytes: content.length }))
    const pieces = encoder.take()
    assert.equal(pieces[1], content)
    const chunk = Buffer.concat(pieces)
    const [frame] = readSourceFrames(INLINE).push(chunk)
    assert.equal((frame as { content: Buffer }).content.buffer, chunk.buffer)
  })
})

describe('bundles', () => {
  const items = Array.from({ length: 20 }, (_, index) => entryOf(index + 1))
  const plain = Buffer.concat(items.map(encodeFrame))
  const decode = (bytes: Buffer): SourceFrame[] => readSourceFrames(INLINE).push(bytes)

  it('given frames in a bundle, when decoded, then they come as without it, and use up as much credit', () => {
    const bundle = packBundle(plain)
    assert.ok(bundle.length < plain.length / 2)
    const reader = readSourceFrames(INLINE)
    assert.deepEqual(reader.push(bundle), items)
    assert.equal(reader.creditBytes, plain.length)
  })

  it('given a bundle that lies about its size, holds another, or is broken, when decoded, then it is refused', () => {
    const bundle = packBundle(plain)
    const lying = (bytes: number) => {
      const copy = Buffer.from(bundle)
      copy.writeUInt32BE(bytes, 10)
      return copy
    }
    for (const bytes of [0, 1, plain.length - 1, plain.length + 1, FRAME_BYTES, FRAME_BYTES + 1, 2 ** 32 - 1]) {
      assert.throws(() => decode(lying(bytes)), isBroken, `${bytes}`)
    }
    assert.throws(() => decode(packBundle(bundle)), /bundle within a bundle/)
    assert.throws(() => decode(packBundle(encodeFrame({ type: 'end' }))), /frame type 12 within a bundle/)
    assert.throws(() => decode(packBundle(plain.subarray(1))), isBroken)
    assert.throws(() => decode(packBundle(plain.subarray(0, -1))), /ends inside a frame/)
    assert.throws(() => decode(packBundle(Buffer.alloc(8 * FRAME_BYTES))), isBroken)
    for (let at = 4; at < bundle.length; at++) {
      try {
        decode(withByte(bundle, at, bundle[at]! ^ 0xff))
      } catch (error) {
        if (!isBroken(error)) throw error
      }
    }
  })

  it('given many bundles at once, when read in slices, then each is unpacked when its turn comes', () => {
    const content = Buffer.alloc(60_000)
    const bundles = [1, 2, 3].map((item) =>
      packBundle(encodeFrame(entryOf(item, { content, sizeBytes: content.length }))),
    )
    const reader = readSourceFrames(INLINE)
    const slices = reader.slices(Buffer.concat([encodeFrame({ type: 'barrier', seq: 1 }), ...bundles]))
    const seen: number[] = []
    let before = 0
    for (const slice of slices) {
      assert.equal(slice.length, 1)
      seen.push(reader.creditBytes - before > 60_000 ? 60_000 : reader.creditBytes)
      before = reader.creditBytes
    }
    assert.deepEqual(seen, [11, 60_000, 60_000, 60_000])
  })

  it('given more frames than a slice takes, when read, then no slice is larger, and none is lost', () => {
    const many = Array.from({ length: 1_000 }, (_, index) => encodeFrame(entryOf(index + 1)))
    for (const chunk of [Buffer.concat(many), packBundle(Buffer.concat(many))]) {
      const lengths = [...readSourceFrames(INLINE).slices(chunk)].map(({ length }) => length)
      assert.deepEqual(lengths, [256, 256, 256, 232])
    }
  })

  it('given a small chunk of very many frames about nothing, when read, then it is refused after a few', () => {
    const barrier = encodeFrame({ type: 'barrier', seq: 1 })
    const many = (count: number) => Buffer.concat(Array.from({ length: count }, () => barrier))
    assert.equal(decode(packBundle(many(256))).length, 256)
    assert.equal(decode(Buffer.concat([many(256), packBundle(many(256))])).length, 512)
    for (const chunk of [many(257), packBundle(many(95_000))]) {
      assert.throws(() => decode(chunk), /more than 256 frames about no item/)
    }
    const about = { path: '', origin: '', deletedBy: '', hlc: makeHlc(0, 0), expect: { is: 'absent' } } as const
    const deletions = Array.from({ length: 8_193 }, (_, index) =>
      encodeFrame({ type: 'delete', item: index + 1, ...about }),
    )
    assert.throws(() => decode(packBundle(Buffer.concat(deletions))), /a bundle of over 8192 frames/)
    assert.equal(decode(packBundle(Buffer.concat(deletions.slice(1)))).length, 8_192)
  })

  it('given as many acknowledgements as there may be, when a source reads them at once, then all come', () => {
    const answer = [
      encodeFrame({ type: 'ack', hi: 1, seq: 0, exceptions: [] }),
      encodeFrame({ type: 'credit', bytes: 1 }),
    ]
    const answers = Buffer.concat(Array.from({ length: 1_000 }, () => answer).flat())
    assert.equal(readTargetFrames().push(answers).length, 2_000)
  })
})
