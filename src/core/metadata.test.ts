import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hasCode } from './errors.ts'
import { checkMetadata } from './metadata.ts'

describe('checkMetadata', () => {
  it('given half a surrogate pair in any text of an entry, when checked, then METADATA_INVALID', () => {
    for (const entry of [
      { key: '\ud800', value: 1 },
      { key: 'a', value: ['\udc00'] },
      { key: 'a', value: 1, color: '\ud800' },
    ]) {
      assert.throws(
        () => checkMetadata([entry]),
        (error) => hasCode(error, 'METADATA_INVALID') && error.message.isWellFormed(),
      )
    }
    checkMetadata([{ key: 'a', value: '\u{1f600}' }])
  })

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
