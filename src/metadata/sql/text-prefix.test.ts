import assert from 'node:assert/strict'
import { it } from 'node:test'
import { successor } from './text-prefix.ts'

it('given a prefix, when the text after all texts with it is asked for, then it is the next in order of UTF-8 bytes', () => {
  assert.equal(successor('ab'), 'ac')
  assert.equal(successor('a.b('), 'a.b)')
  assert.equal(successor('a%_'), 'a%`')
  assert.equal(successor('a\u{10ffff}'), 'b')
  assert.equal(successor('\ud7ff'), '\ue000')
  assert.equal(successor('\u{1f600}'), '\u{1f601}')
  assert.equal(successor(''), undefined)
  assert.equal(successor('\u{10ffff}'), undefined)
})
