import assert from 'node:assert/strict'
import { it } from 'node:test'
import { shorten, table } from './table.ts'

it('given text and numbers, when laid out, then text stands left and numbers stand right', () => {
  const text = table(
    ['name', 'bytes'],
    [
      ['a', 5],
      ['long name', 12_345],
    ],
  )
  assert.equal(text, ['name       bytes', '─────────  ─────', 'a              5', 'long name  12345'].join('\n'))
})

it('given a long cell, when shortened, then both of its ends stay', () => {
  assert.equal(shorten('abcdefgh', 5), 'ab…gh')
  assert.equal(shorten('abc', 5), 'abc')
})
