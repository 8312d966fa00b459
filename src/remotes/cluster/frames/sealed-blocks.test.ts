import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { seededBytes } from '../../../../test/helpers/blobs.ts'
import { hasCode } from '../../../core/errors.ts'
import { createSealReader, seal } from './sealed-blocks.ts'

const PIECES = [1, 0, 5, 300_000, 262_144, 7].map((bytes, seed) => seededBytes(seed, bytes))
const PLAIN = Buffer.concat(PIECES)
const WIRE = Buffer.concat(seal(PIECES))

function read(wire: Buffer, pieceBytes: number): Buffer {
  const reader = createSealReader()
  const parts: Buffer[] = []
  for (let at = 0; at < wire.length; at += pieceBytes) parts.push(...reader.push(wire.subarray(at, at + pieceBytes)))
  reader.end()
  return Buffer.concat(parts)
}
const isBroken = (error: unknown) => hasCode(error, 'ARTIFACT_BROKEN')

describe('sealed blocks', () => {
  for (const pieceBytes of [1, 11, 4_096, 10_000_000]) {
    it(`given blocks in pieces of ${pieceBytes} bytes, when read, then all bytes are there`, () => {
      assert.ok(read(WIRE, pieceBytes).equals(PLAIN))
    })
  }

  it('given any one bit that is turned over, when read, then that is noticed', () => {
    const wire = Buffer.concat(seal([Buffer.from('some bytes')]))
    for (let bit = 0; bit < wire.length * 8; bit++) {
      const bad = Buffer.from(wire)
      bad[bit >> 3] = bad[bit >> 3]! ^ (1 << (bit & 7))
      assert.throws(() => read(bad, 1_000), isBroken, `bit ${bit}`)
    }
  })

  it('given a length that was changed, when its head is there, then nothing is waited for', () => {
    const bad = Buffer.from(WIRE)
    bad[1] = bad[1]! ^ 1
    assert.throws(() => createSealReader().push(bad.subarray(0, 12)), isBroken)
  })

  it('given an end inside a block, or a block without bytes, when read, then refused', () => {
    assert.throws(() => read(WIRE.subarray(0, WIRE.length - 1), 1_000), isBroken)
    assert.throws(() => read(WIRE.subarray(0, 12), 1_000), isBroken)
    assert.deepEqual(seal([]), [])
    assert.deepEqual(seal([Buffer.alloc(0)]), [])
  })
})
