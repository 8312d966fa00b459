import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hasCode } from '../../core/errors.ts'
import { parseByteRange } from './byte-range.ts'

describe('core.md 15 item 6: parseByteRange', () => {
  const TABLE: readonly (readonly [string, readonly [number, number] | 'whole' | 'refused'])[] = [
    ['bytes=0-0', [0, 1]],
    ['bytes=0-', [0, 10]],
    ['bytes=5-', [5, 10]],
    ['bytes=9-9', [9, 10]],
    ['bytes=2-4', [2, 5]],
    ['bytes=2-999999', [2, 10]],
    ['bytes=-1', [9, 10]],
    ['bytes=-10', [0, 10]],
    ['bytes=-999999', [0, 10]],
    ['Bytes = 1 - 2', [1, 3]],
    ['bytes=0-99999999999999999999999999', [0, 10]],
    ['bytes=10-', 'refused'],
    ['bytes=999999-', 'refused'],
    ['bytes=5-4', 'refused'],
    ['bytes=-0', 'refused'],
    ['bytes=-', 'refused'],
    ['bytes=', 'refused'],
    ['bytes=0-1,3-4', 'refused'],
    ['bytes=a-b', 'refused'],
    ['bytes=0x1-2', 'refused'],
    ['bytes=1-2-3', 'refused'],
    ['bytes 0-1', 'refused'],
    ['garbage', 'refused'],
    ['', 'refused'],
    ['items=0-1', 'whole'],
  ]
  for (const [header, expected] of TABLE) {
    it(`given a file of 10 bytes and ${JSON.stringify(header)}, when parsed, then ${JSON.stringify(expected)}`, () => {
      if (expected === 'refused') {
        assert.throws(
          () => parseByteRange(header, 10),
          (error) => hasCode(error, 'RANGE_INVALID') && error.detail.sizeBytes === 10,
        )
      } else {
        const range = expected === 'whole' ? undefined : { start: expected[0], end: expected[1] }
        assert.deepEqual(parseByteRange(header, 10), range)
      }
    })
  }

  it('given an empty file, when any range is asked for, then it is refused; without a header it is served whole', () => {
    for (const header of ['bytes=0-', 'bytes=0-0', 'bytes=-1']) {
      assert.throws(
        () => parseByteRange(header, 0),
        (error) => hasCode(error, 'RANGE_INVALID'),
      )
    }
    assert.equal(parseByteRange(undefined, 0), undefined)
  })
})
