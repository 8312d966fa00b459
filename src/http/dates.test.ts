import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hasCode } from '../core/errors.ts'
import { LATEST_TIME_MS } from '../core/latest-time.ts'
import { createDates } from './dates.ts'

const MS = Date.UTC(2021, 4, 12, 12, 19, 8, 813)

describe('dates on the wire', () => {
  const utc = createDates('UTC')
  const shanghai = createDates('Asia/Shanghai')

  it('given a time, when formatted, then it has three fraction digits and no zone, in the zone of the server', () => {
    assert.equal(utc.format(MS), '2021-05-12T12:19:08.813')
    assert.equal(shanghai.format(MS), '2021-05-12T20:19:08.813')
    assert.equal(utc.format(Date.UTC(2021, 0, 1)), '2021-01-01T00:00:00.000')
    assert.equal(utc.format(null), null)
    assert.equal(shanghai.offset(MS), '+08:00')
  })

  const forms: readonly [unknown, number][] = [
    ['2021-05-12T20:19:08.813', MS],
    ['2021-05-12 20:19:08.813', MS],
    ['2021-05-12T20:19:08', MS - 813],
    ['2021-05-12T20:19:08.8', MS - 13],
    ['2021-05-12T20:19:08.813999999', MS],
    ['2021-05-12T12:19:08.813Z', MS],
    ['2021-05-12t12:19:08.813z', MS],
    ['2021-05-12T14:19:08.813+02:00', MS],
    ['2021-05-12T14:19:08.813+0200', MS],
    ['2021-05-12 07:19:08.813 -05:00', MS],
    [String(MS), MS],
    [MS, MS],
    [' 2021-05-12T20:19:08.813 ', MS],
  ]
  for (const [form, expected] of forms) {
    it(`given ${JSON.stringify(form)}, when parsed in Shanghai, then it is that moment`, () => {
      assert.equal(shanghai.parse('executeTime', form), expected)
    })
  }

  for (const [zone, last] of [
    ['UTC', Date.UTC(9999, 11, 31, 23, 59, 59, 999)],
    ['Asia/Shanghai', Date.UTC(9999, 11, 31, 15, 59, 59, 999)],
    ['America/New_York', Date.UTC(10_000, 0, 1, 4, 59, 59, 999)],
  ] as const) {
    it(`given the last moment of year 9999 in ${zone}, when parsed, then it is one and is shown so; the next is refused`, () => {
      const dates = createDates(zone)
      assert.equal(dates.parse('expireDate', '9999-12-31T23:59:59.999'), last)
      assert.equal(dates.format(last), '9999-12-31T23:59:59.999')
      assert.throws(() => dates.parse('expireDate', last + 1), /expireDate/)
    })
  }

  for (const zone of ['UTC', 'Asia/Shanghai', 'America/New_York']) {
    it(`given moments that no year of four digits has, when formatted in ${zone}, then the nearest that one has is shown`, () => {
      const dates = createDates(zone)
      for (const late of [LATEST_TIME_MS + 2 * 86_400_000, 2 ** 48 - 1, 2 ** 53 - 1, 1e300]) {
        assert.equal(dates.format(late), '9999-12-31T23:59:59.999')
      }
      for (const early of [-(2 ** 48), -1e300]) assert.equal(dates.format(early), '0000-01-01T00:00:00.000')
      assert.match(dates.format(LATEST_TIME_MS - 1), /^9999-12-3/)
    })
  }

  for (const bad of [
    '',
    'yesterday',
    '2021-05-12',
    '2021-13-01T00:00:00',
    '2021-02-30T00:00:00',
    '2021-05-12T25:00:00',
    '99999-01-01T00:00:00',
    '1e5',
    true,
    {},
    null,
    Number.NaN,
    1e20,
  ]) {
    it(`given ${JSON.stringify(bad)}, when parsed, then it is refused by name`, () => {
      assert.throws(
        () => utc.parse('executeTime', bad),
        (error) => hasCode(error, 'PARAMETER_INVALID') && error.message.includes('[executeTime]'),
      )
    })
  }

  it('given a local time that a change of the clocks skips or repeats, when parsed, then it is one moment', () => {
    const berlin = createDates('Europe/Berlin')
    assert.equal(berlin.parse('t', '2026-03-29T02:30:00'), Date.UTC(2026, 2, 29, 1, 30))
    assert.equal(berlin.parse('t', '2026-10-25T02:30:00'), Date.UTC(2026, 9, 25, 0, 30))
  })
})
