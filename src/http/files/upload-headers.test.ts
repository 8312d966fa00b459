import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hasCode } from '../../core/errors.ts'
import { metadataMap } from '../../core/metadata.ts'
import { parseUploadHeaders } from './upload-headers.ts'

const base64 = (text: string) => Buffer.from(text).toString('base64')
const metadataOf = (headers: Record<string, string>) => metadataMap(parseUploadHeaders(headers).metadata)

describe('parseUploadHeaders', () => {
  it('given no header, when parsed, then the defaults hold', () => {
    assert.deepEqual(parseUploadHeaders({}), {
      digest: undefined,
      md5: undefined,
      crc64: undefined,
      overwrite: undefined,
      expiresDays: 0,
      metadata: [],
    })
  })

  it('given digests in upper case, when parsed, then they are compared in lower case', () => {
    const { digest, md5 } = parseUploadHeaders({
      'x-bkrepo-sha256': 'AB'.repeat(32),
      'x-bkrepo-md5': 'CD'.repeat(16),
    })
    assert.equal(digest, `sha256:${'ab'.repeat(32)}`)
    assert.equal(md5, 'cd'.repeat(16))
  })

  it('given a digest that is none, when parsed, then it is a mismatch before a byte is read', () => {
    for (const [name, value] of [
      ['x-bkrepo-sha256', 'wrong'],
      ['x-bkrepo-sha256', 'g'.repeat(64)],
      ['x-bkrepo-md5', 'ab'],
    ] as const) {
      assert.throws(
        () => parseUploadHeaders({ [name]: value }),
        (error) => hasCode(error, 'DIGEST_MISMATCH'),
      )
    }
  })

  it('given a CRC, when parsed, then it is an unsigned decimal without leading zeros, and anything else is a mismatch', () => {
    const crcOf = (value: string) => parseUploadHeaders({ 'x-bkrepo-crc64ecma': value }).crc64
    assert.equal(crcOf('00995'), '995')
    for (const bad of ['-1', '0x1', '18446744073709551616', 'abc']) {
      assert.throws(
        () => crcOf(bad),
        (error) => hasCode(error, 'DIGEST_MISMATCH') && error.message.includes('crc64ecma'),
      )
    }
  })

  it('given OVERWRITE in several spellings, when parsed, then true and false count and anything else is refused by name', () => {
    for (const [value, expected] of [
      ['true', 'replace'],
      ['TRUE', 'replace'],
      ['false', 'refuse'],
      ['', undefined],
    ] as const) {
      assert.equal(parseUploadHeaders({ 'x-bkrepo-overwrite': value }).overwrite, expected)
    }
    for (const bad of ['1', 'yes', 'tru', 'true, false']) {
      assert.throws(
        () => parseUploadHeaders({ 'x-bkrepo-overwrite': bad }),
        (error) => hasCode(error, 'PARAMETER_INVALID') && error.message.includes('X-BKREPO-OVERWRITE'),
      )
    }
  })

  it('given days to live, when parsed, then whole numbers pass and anything else is refused by name', () => {
    assert.equal(parseUploadHeaders({ 'x-bkrepo-expires': '30' }).expiresDays, 30)
    for (const bad of ['-1', '1.5', 'soon', '999999', '1e3']) {
      assert.throws(
        () => parseUploadHeaders({ 'x-bkrepo-expires': bad }),
        (error) => hasCode(error, 'PARAMETER_INVALID') && error.message.includes('X-BKREPO-EXPIRES'),
      )
    }
  })

  it('given single metadata headers, when parsed, then values are percent-decoded, raw where that fails, UTF-8 where sent raw', () => {
    assert.deepEqual(
      metadataOf({
        'x-bkrepo-meta-a': 'x%20y%2Bz',
        'x-bkrepo-meta-b': '100%',
        'x-bkrepo-meta-c': Buffer.from('é').toString('latin1'),
        'x-bkrepo-meta-d.e': '',
      }),
      { a: 'x y+z', b: '100%', c: 'é', 'd.e': '' },
    )
  })

  it('given packed metadata, when parsed, then keys keep their case, both sides are decoded and it outweighs single headers', () => {
    const packed = base64('Key=1&b%3D=%E4%BD%A0+%26&&empty=&flag&b%3D=last')
    assert.deepEqual(metadataOf({ 'x-bkrepo-meta': packed, 'x-bkrepo-meta-empty': 'was full' }), {
      empty: '',
      Key: '1',
      'b=': 'last',
      flag: '',
    })
  })

  it('given packed metadata that is no base64 or no text, when parsed, then it is refused by name', () => {
    for (const bad of ['***', Buffer.from([0xff, 0xfe]).toString('base64')]) {
      assert.throws(
        () => parseUploadHeaders({ 'x-bkrepo-meta': bad }),
        (error) => hasCode(error, 'PARAMETER_INVALID') && error.message.includes('X-BKREPO-META'),
      )
    }
  })

  it('given a Content-Range, when parsed, then it is refused: a part would replace the whole', () => {
    assert.throws(
      () => parseUploadHeaders({ 'content-range': 'bytes 0-1/9' }),
      (error) => hasCode(error, 'PARAMETER_INVALID'),
    )
  })
})
