import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hasCode } from './errors.ts'
import { checkMetadata } from './metadata.ts'

describe('checkMetadata', () => {
  it('given a NUL in a key or anywhere in a value, when checked, then METADATA_INVALID', () => {
    for (const metadata of [
      [{ key: 'a\0', value: 1 }],
      [{ key: 'a', value: '\0' }],
      [{ key: 'a', value: { deep: ['x', { '\0': 1 }] } }],
    ]) {
      assert.throws(
        () => checkMetadata(metadata),
        (error) => hasCode(error, 'METADATA_INVALID'),
      )
    }
    checkMetadata([{ key: 'a', value: '\\u0000' }])
  })
})
