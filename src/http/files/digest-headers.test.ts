import assert from 'node:assert/strict'
import { it } from 'node:test'
import { digestOf } from '../../../test/helpers/blobs.ts'
import { digestHex } from '../../core/digest.ts'
import { checksumHeaders } from './digest-headers.ts'

it('given a row whose crc64 is no number, when its headers are made, then that one is left out', () => {
  const sha256 = { 'x-checksum-sha256': digestHex(digestOf('x')) }
  for (const [crc64, shown] of [
    ['18446744073709551615', { 'x-checksum-crc64ecma': '18446744073709551615' }],
    ['no number\n<b>', {}],
    [null, {}],
  ] as const) {
    assert.deepEqual(checksumHeaders({ digest: digestOf('x'), md5: null, crc64 }), { ...sha256, ...shown })
  }
})
