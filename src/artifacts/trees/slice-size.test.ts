import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createSliceSize } from './slice-size.ts'

describe('size of slices', () => {
  it('given slices that take too long, when the next is asked for, then it has half the rows, but never fewer than 20', () => {
    const size = createSliceSize('sqlite')
    const seen = Array.from({ length: 5 }, () => {
      size.took(500)
      return size.rows
    })
    assert.deepEqual(seen, [50, 25, 20, 20, 20])
  })

  it('given quick slices, when the next is asked for, then it grows by a quarter at most, up to 250 rows', () => {
    const size = createSliceSize('postgres')
    const seen = Array.from({ length: 6 }, () => {
      size.took(1)
      return size.rows
    })
    assert.deepEqual(seen, [125, 156, 195, 244, 250, 250])
  })

  it('given no time at all, when the next is asked for, then nothing changes', () => {
    const size = createSliceSize('sqlite', 7)
    size.took(0)
    assert.equal(size.rows, 7)
  })

  it('given a slice, when its pause is asked for, then SQLite rests as long, up to 40 ms, and PostgreSQL not at all', () => {
    assert.deepEqual(
      [5, 500].map((ms) => createSliceSize('sqlite').pauseAfter(ms)),
      [5, 40],
    )
    assert.equal(createSliceSize('postgres').pauseAfter(500), 0)
  })
})
