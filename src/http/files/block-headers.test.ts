import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type ErrorCode, hasCode } from '../../core/errors.ts'
import { parseBlockHeaders, parseSize, requireSize, uploadIdOf } from './block-headers.ts'

const ID = { 'x-bkrepo-upload-id': 'abc' }
const SEPARATE = { 'upload-type': 'SEPARATE-UPLOAD' }
const refusedAs = (code: ErrorCode, word: string) => (error: unknown) =>
  hasCode(error, code) && error.message.includes(word)

describe('parseBlockHeaders', () => {
  it('given none of the headers, when parsed, then the body is a whole file', () => {
    assert.equal(parseBlockHeaders({}), undefined)
    assert.equal(parseBlockHeaders({ 'x-bkrepo-sha256': 'x', 'upload-type': ' ' }), undefined)
  })

  it('given blocks of both styles, when parsed, then style, id and position come out', () => {
    assert.deepEqual(parseBlockHeaders({ ...ID, 'x-bkrepo-sequence': ' 7 ' }), {
      style: 'NUMBERED',
      uploadId: 'abc',
      position: 7,
    })
    assert.deepEqual(parseBlockHeaders({ ...ID, 'upload-type': 'separate-upload', 'x-bkrepo-offset': '0' }), {
      style: 'SEPARATE',
      uploadId: 'abc',
      position: 0,
    })
  })

  for (const [headers, code, word] of [
    [{ 'x-bkrepo-upload-id': ' ', 'x-bkrepo-sequence': '1' }, 'UPLOAD_ID_EMPTY', 'X-BKREPO-UPLOAD-ID'],
    [{ 'x-bkrepo-sequence': '1' }, 'UPLOAD_ID_EMPTY', 'X-BKREPO-UPLOAD-ID'],
    [{ ...SEPARATE, 'x-bkrepo-offset': '0' }, 'UPLOAD_ID_EMPTY', 'X-BKREPO-UPLOAD-ID'],
    [ID, 'HEADER_MISSING', 'X-BKREPO-SEQUENCE'],
    [{ ...ID, ...SEPARATE }, 'UPLOAD_HEADER_MISSING', 'X-BKREPO-OFFSET'],
    [{ ...ID, 'x-bkrepo-sequence': '0' }, 'PARAMETER_INVALID', 'X-BKREPO-SEQUENCE'],
    [{ ...ID, 'x-bkrepo-sequence': '-1' }, 'PARAMETER_INVALID', 'X-BKREPO-SEQUENCE'],
    [{ ...ID, 'x-bkrepo-sequence': '1.5' }, 'PARAMETER_INVALID', 'X-BKREPO-SEQUENCE'],
    [{ ...ID, 'x-bkrepo-sequence': '100001' }, 'PARAMETER_INVALID', 'X-BKREPO-SEQUENCE'],
    [{ ...ID, ...SEPARATE, 'x-bkrepo-offset': '-1' }, 'PARAMETER_INVALID', 'X-BKREPO-OFFSET'],
    [{ ...ID, ...SEPARATE, 'x-bkrepo-offset': '1e3' }, 'PARAMETER_INVALID', 'X-BKREPO-OFFSET'],
    [{ ...ID, 'upload-type': 'CHUNKED-UPLOAD' }, 'OPTION_NOT_BUILT', 'CHUNKED-UPLOAD'],
    [{ ...ID, 'upload-type': 'other' }, 'PARAMETER_INVALID', 'UPLOAD-TYPE'],
  ] as const) {
    it(`given ${JSON.stringify(headers)}, when parsed, then ${code}`, () => {
      assert.throws(() => parseBlockHeaders(headers), refusedAs(code, word))
    })
  }

  it('given sizes, when parsed, then whole numbers pass, and where one is needed its absence is told', () => {
    assert.equal(parseSize({}), undefined)
    assert.equal(parseSize({ 'x-bkrepo-size': '12' }), 12)
    assert.equal(requireSize({ 'x-bkrepo-size': '0' }), 0)
    assert.throws(() => parseSize({ 'x-bkrepo-size': 'many' }), refusedAs('PARAMETER_INVALID', 'X-BKREPO-SIZE'))
    assert.throws(() => requireSize({}), refusedAs('UPLOAD_HEADER_MISSING', 'X-BKREPO-SIZE'))
    assert.throws(() => uploadIdOf({}), refusedAs('UPLOAD_ID_EMPTY', 'X-BKREPO-UPLOAD-ID'))
  })
})
