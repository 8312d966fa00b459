import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { seededBytes } from '../../test/helpers/blobs.ts'
import { createCrc64, parseCrc64 } from './crc64.ts'

const POLYNOMIAL = 0xc96c5795d7870f42n
const ONES = 0xffff_ffff_ffff_ffffn

/** By the book: one bit at a time. */
function bitwise(bytes: Uint8Array): bigint {
  let crc = ONES
  for (const byte of bytes) {
    crc ^= BigInt(byte)
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1n) === 1n ? (crc >> 1n) ^ POLYNOMIAL : crc >> 1n
  }
  return crc ^ ONES
}
function crcOf(...chunks: readonly (Uint8Array | string)[]): string {
  const crc = createCrc64()
  for (const chunk of chunks) crc.update(Buffer.from(chunk))
  return crc.value()
}

describe('crc64', () => {
  it('given the published test vectors, when computed, then they come out', () => {
    assert.equal(crcOf('123456789'), BigInt('0x995DC9BBDF1939FA').toString())
    assert.equal(crcOf(), '0')
    assert.equal(crcOf(''), '0')
  })

  it('given bytes of any length, when computed whole and cut anywhere, then both are what the definition gives', () => {
    const bytes = seededBytes(7, 70)
    for (let length = 0; length <= bytes.length; length++) {
      const some = bytes.subarray(0, length)
      const expected = bitwise(some).toString()
      assert.equal(crcOf(some), expected, `${length} bytes`)
      for (const cut of [1, 3, 8, 13]) assert.equal(crcOf(some.subarray(0, cut), some.subarray(cut)), expected)
    }
  })

  it('given a value in the middle, when more comes, then it goes on', () => {
    const crc = createCrc64()
    crc.update(Buffer.from('1234'))
    assert.equal(crc.value(), bitwise(Buffer.from('1234')).toString())
    crc.update(Buffer.from('56789'))
    assert.equal(crc.value(), '11051210869376104954')
  })

  it('given text of a header, when parsed, then unsigned decimals of 64 bits pass, without leading zeros', () => {
    assert.equal(parseCrc64('0'), '0')
    assert.equal(parseCrc64('007'), '7')
    assert.equal(parseCrc64('18446744073709551615'), '18446744073709551615')
    for (const bad of ['', '-1', '18446744073709551616', '0x1', '1.0', 'abc', ' 1', '1'.repeat(21)]) {
      assert.equal(parseCrc64(bad), undefined, bad)
    }
  })
})
