import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { it } from 'node:test'
import { hasCode } from '../../../core/errors.ts'
import { type Entry, entryKey } from './entry.ts'
import { decodeIndex, encodeIndex } from './index-table.ts'

const object = { id: 'ab'.repeat(16), sizeBytes: 7 * 2 ** 40 }
const keyOf = (number: number) => entryKey('content', hash('sha256', `${number}`, 'buffer'))
const entries = (count: number): Entry[] =>
  Array.from({ length: count }, (_, number) => ({
    key: keyOf(number),
    object: object.id,
    offset: 5 * 2 ** 40 + number,
    storedBytes: number + 20,
    plainBytes: number,
  }))

it('given 100,000 entries, when an index of them is read back, then each is found, and none that is not in it', () => {
  const table = decodeIndex(encodeIndex([object], entries(100_000)))
  for (let number = 0; number < 100_000; number += 97) {
    const { object: id, offset, storedBytes, plainBytes } = table.find(keyOf(number))!
    assert.deepEqual([id, offset, storedBytes, plainBytes], [object.id, 5 * 2 ** 40 + number, number + 20, number])
    assert.equal(table.find(keyOf(number + 100_000)), undefined)
    assert.equal(table.find(entryKey('records', keyOf(number).subarray(0, 32))), undefined)
  }
  assert.deepEqual(table.objects, [object])
})

it('given no entries, when an index of them is read back, then it is empty', () => {
  const table = decodeIndex(encodeIndex([], []))
  assert.deepEqual([table.rows, table.objects, table.find(keyOf(1))], [0, [], undefined])
})

it('given bytes that are no index, when they are read, then they are refused', () => {
  const bytes = encodeIndex([object], entries(3))
  const outside = Buffer.from(bytes)
  outside.writeUInt32BE(9, 8 + 22 + 33)
  for (const wrong of [bytes.subarray(1), Buffer.alloc(3), Buffer.alloc(8, 0xff)]) {
    assert.throws(
      () => decodeIndex(wrong),
      (error) => hasCode(error, 'ARTIFACT_BROKEN'),
    )
  }
  assert.throws(
    () => decodeIndex(outside).entryAt(0),
    (error) => hasCode(error, 'ARTIFACT_BROKEN'),
  )
})
