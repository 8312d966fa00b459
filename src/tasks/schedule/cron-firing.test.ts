import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { cronFirings } from './cron-firing.ts'

const at = (text: string) => Temporal.Instant.from(text).epochMilliseconds

/** The next firings after `from`, as they are in UTC. */
function next(expression: string, from: string, count = 3, timeZone = 'UTC'): string[] {
  const found: string[] = []
  for (let ms: number | null = at(from); found.length < count; ) {
    ms = cronFirings(expression, timeZone)!.after(ms)
    if (ms === null) break
    found.push(Temporal.Instant.fromEpochMilliseconds(ms).toString())
  }
  return found
}

it('given weekdays, when they fire, then 5 fields count from Sunday 0 and 6 fields from Sunday 1', () => {
  // 2026-01-04 is a Sunday.
  for (const [expression, day] of [
    ['0 2 * * 0', '04'],
    ['0 2 * * 7', '04'],
    ['0 2 * * sun', '04'],
    ['0 2 * * 1', '05'],
    ['0 0 2 ? * 1', '04'],
    ['0 0 2 ? * SUN', '04'],
    ['0 0 2 ? * 2', '05'],
    ['0 0 2 ? * 7', '03'],
    ['0 0 2 ? * L', '03'],
  ] as const) {
    assert.deepEqual(next(expression, '2026-01-02T12:00:00Z', 1), [`2026-01-${day}T02:00:00Z`], expression)
  }
})

it('given the words of Quartz, when they fire, then on their days', () => {
  const from = '2026-01-01T12:00:00Z'
  const days = (expression: string) => next(expression, from).map((text) => text.slice(0, 10))
  assert.deepEqual(days('0 0 0 L * ?'), ['2026-01-31', '2026-02-28', '2026-03-31'])
  assert.deepEqual(days('0 0 0 LW * ?'), ['2026-01-30', '2026-02-27', '2026-03-31'])
  assert.deepEqual(days('0 0 0 15W * ?'), ['2026-01-15', '2026-02-16', '2026-03-16'])
  assert.deepEqual(days('0 0 0 ? * 6L'), ['2026-01-30', '2026-02-27', '2026-03-27'])
  assert.deepEqual(days('0 0 0 ? * 2#5'), ['2026-03-30', '2026-06-29', '2026-08-31'])
  assert.deepEqual(days('0 0 0 1 1 ? 2027-2030/2'), ['2027-01-01', '2029-01-01'])
  assert.deepEqual(days('0 0 0 29 2 ?'), ['2028-02-29', '2032-02-29', '2036-02-29'])
})

it('given ranges over the end and steps from a number, when they fire, then in order', () => {
  const hours = (expression: string, count: number) =>
    next(expression, '2026-01-01T12:00:00Z', count).map((text) => text.slice(11, 16))
  assert.deepEqual(hours('0 0 22-2/2 * * ?', 4), ['22:00', '00:00', '02:00', '22:00'])
  assert.deepEqual(hours('0 5/20 13 * * ?', 3), ['13:05', '13:25', '13:45'])
})

it('given days that no calendar has, when asked, then there is no firing', () => {
  for (const expression of ['0 0 0 30 2 ?', '0 0 0 31 2,4 ?', '0 0 0 1 1 ? 2020']) {
    assert.deepEqual(next(expression, '2026-01-01T00:00:00Z'), [], expression)
  }
})

it('given a zone with summer time, when clocks change, then each day has one firing and minutes go on', () => {
  const zone = 'Europe/Berlin'
  // 02:30 does not exist on 2026-03-29, and exists twice on 2026-10-25.
  assert.deepEqual(next('0 30 2 * * ?', '2026-03-28T12:00:00Z', 2, zone), [
    '2026-03-29T01:00:00Z',
    '2026-03-30T00:30:00Z',
  ])
  assert.deepEqual(next('0 30 2 * * ?', '2026-10-24T12:00:00Z', 2, zone), [
    '2026-10-25T00:30:00Z',
    '2026-10-26T01:30:00Z',
  ])
  assert.deepEqual(next('0 0/30 * * * ?', '2026-10-25T00:10:00Z', 4, zone), [
    '2026-10-25T00:30:00Z',
    '2026-10-25T01:00:00Z',
    '2026-10-25T01:30:00Z',
    '2026-10-25T02:00:00Z',
  ])
})

it('given any text of its characters, when asked, then it is refused or fires after the moment that was asked for', () => {
  const part = fc
    .array(fc.constantFrom(...'0123456789*/-,LW#?'), { minLength: 1, maxLength: 5 })
    .map((all) => all.join(''))
  const text = fc.array(fc.oneof(part, fc.constantFrom('*', '?', '0', '1')), { minLength: 5, maxLength: 7 })
  fc.assert(
    fc.property(text, fc.integer({ min: 0, max: at('2100-01-01T00:00:00Z') }), (parts, ms) => {
      const found = cronFirings(parts.join(' '), 'Europe/Berlin')?.after(ms) ?? null
      assert.ok(found === null || (found > ms && found % 1000 === 0))
    }),
    { numRuns: 300 },
  )
})
