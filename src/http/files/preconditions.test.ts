import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { describe, it } from 'node:test'
import { checkPreconditions, rangeApplies, type Verdict } from './preconditions.ts'

const state = { etag: '"aa"', modifiedAt: Date.UTC(2026, 0, 2, 3, 4, 5, 678) }
const SAME = 'Fri, 02 Jan 2026 03:04:05 GMT'
const BEFORE = 'Fri, 02 Jan 2026 03:04:04 GMT'
const AFTER = 'Fri, 02 Jan 2026 03:04:06 GMT'

describe('checkPreconditions', () => {
  const TABLE: readonly (readonly [IncomingHttpHeaders, Verdict])[] = [
    [{}, 'proceed'],
    [{ 'if-none-match': '"aa"' }, 'unchanged'],
    [{ 'if-none-match': 'W/"aa"' }, 'unchanged'],
    [{ 'if-none-match': '"bb", "aa"' }, 'unchanged'],
    [{ 'if-none-match': '*' }, 'unchanged'],
    [{ 'if-none-match': '"bb"' }, 'proceed'],
    [{ 'if-none-match': 'garbage' }, 'proceed'],
    [{ 'if-modified-since': SAME }, 'unchanged'],
    [{ 'if-modified-since': AFTER }, 'unchanged'],
    [{ 'if-modified-since': BEFORE }, 'proceed'],
    [{ 'if-modified-since': 'garbage' }, 'proceed'],
    [{ 'if-none-match': '"bb"', 'if-modified-since': AFTER }, 'proceed'],
    [{ 'if-match': '"aa"' }, 'proceed'],
    [{ 'if-match': '*' }, 'proceed'],
    [{ 'if-match': 'W/"aa"' }, 'failed'],
    [{ 'if-match': '"bb"' }, 'failed'],
    [{ 'if-match': '"bb"', 'if-none-match': '"aa"' }, 'failed'],
    [{ 'if-unmodified-since': BEFORE }, 'failed'],
    [{ 'if-unmodified-since': SAME }, 'proceed'],
    [{ 'if-match': '"aa"', 'if-unmodified-since': BEFORE }, 'proceed'],
  ]
  for (const [headers, expected] of TABLE) {
    it(`given ${JSON.stringify(headers)}, when checked, then ${expected}`, () => {
      assert.equal(checkPreconditions(headers, state), expected)
    })
  }
})

describe('rangeApplies', () => {
  for (const [header, expected] of [
    [undefined, true],
    ['"aa"', true],
    ['"bb"', false],
    ['W/"aa"', false],
    [SAME, true],
    [AFTER, false],
    ['garbage', false],
  ] as const) {
    it(`given If-Range ${header}, when asked, then ${expected}`, () => {
      assert.equal(rangeApplies(header === undefined ? {} : { 'if-range': header }, state), expected)
    })
  }
})
