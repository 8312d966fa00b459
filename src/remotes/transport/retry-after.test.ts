import assert from 'node:assert/strict'
import { it } from 'node:test'
import { retryAfterMs } from './retry-after.ts'

it('given Retry-After in seconds, as a time, or as something else, when read, then milliseconds or nothing', () => {
  const date = 'Sat, 21 Nov 2026 11:00:00 GMT'
  assert.equal(retryAfterMs({}), undefined)
  assert.equal(retryAfterMs({ 'retry-after': '120' }), 120_000)
  assert.equal(retryAfterMs({ 'retry-after': 'Sat, 21 Nov 2026 11:00:30 GMT', date }), 30_000)
  assert.equal(retryAfterMs({ 'retry-after': 'Sat, 21 Nov 2026 10:00:30 GMT', date }), 0)
  for (const value of ['soon', '-1', '1e99', '99999999999'])
    assert.equal(retryAfterMs({ 'retry-after': value, date }), undefined)
})
