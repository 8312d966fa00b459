import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Retention } from '../tasks/backup-task.ts'
import { type KeepableRun, retentionPlan } from './retention.ts'

const NONE: Retention = {
  keepLast: null,
  keepDaily: null,
  keepWeekly: null,
  keepMonthly: null,
  keepYearly: null,
  keepWithin: null,
}
const run = (date: string, changes: Partial<KeepableRun> = {}): KeepableRun => ({
  name: 'nightly',
  path: date,
  layout: 'REPOSITORY',
  startedAt: Date.parse(date),
  state: 'good',
  extent: 'full',
  runId: date,
  ...changes,
})
const moment = { now: Date.parse('2026-03-10T12:00:00Z'), timeZone: 'UTC' }
const kept = (runs: readonly KeepableRun[], retention: Partial<Retention>, at = moment): string[] =>
  retentionPlan(runs, { ...NONE, ...retention }, at).keep.map(({ run: { path } }) => path)

describe('retention plan', () => {
  it('given five runs, when the last two are kept, then the rest is removed', () => {
    const runs = [1, 2, 3, 4, 5].map((day) => run(`2026-03-0${day}T01:00:00Z`))
    const plan = retentionPlan(runs, { ...NONE, keepLast: 2 }, moment)
    assert.deepEqual(
      plan.keep.map(({ run: { path } }) => path),
      ['2026-03-05T01:00:00Z', '2026-03-04T01:00:00Z'],
    )
    assert.equal(plan.remove.length, 3)
  })

  it('given no good run among the newest, when the last one is kept, then the last good one stays, too', () => {
    const runs = [
      run('2026-03-01T01:00:00Z'),
      run('2026-03-02T01:00:00Z', { state: 'partial' }),
      run('2026-03-03T01:00:00Z', { state: 'partial' }),
    ]
    assert.deepEqual(kept(runs, { keepLast: 1 }), ['2026-03-03T01:00:00Z', '2026-03-01T01:00:00Z'])
  })

  it('given runs of a clock that was ahead, when the last two are kept, then these stay for their own reason and take nobody’s place', () => {
    const dates = ['2028-08-27', '2028-08-28', '2026-03-10', '2026-03-09', '2026-03-08']
    const runs = dates.map((day) => run(`${day}T01:00:00Z`))
    for (const rule of ['keepLast', 'keepDaily'] as const) {
      const plan = retentionPlan(runs, { ...NONE, [rule]: 2 }, moment)
      assert.deepEqual(
        plan.remove.map(({ path }) => path),
        ['2026-03-08T01:00:00Z'],
      )
      const ahead = plan.keep.filter(({ run: { startedAt } }) => startedAt > moment.now)
      assert.deepEqual(
        ahead.map(({ reasons }) => reasons),
        [['it is dated later than now'], ['it is dated later than now']],
      )
    }
  })

  it('given a run that was just made and counts as older, when the last one is kept, then it stays, too', () => {
    const runs = [run('2026-03-02T01:00:00Z'), run('2026-03-01T01:00:00Z'), run('2026-02-01T01:00:00Z')]
    const own = { ...moment, runId: '2026-03-01T01:00:00Z' }
    assert.deepEqual(kept(runs, { keepLast: 1 }, own), ['2026-03-02T01:00:00Z', '2026-03-01T01:00:00Z'])
  })

  it('given several runs a day, when days are kept, then the newest good one of each day with runs stays', () => {
    const runs = [
      run('2026-03-01T01:00:00Z'),
      run('2026-03-04T01:00:00Z'),
      run('2026-03-04T23:00:00Z', { state: 'partial' }),
      run('2026-03-05T01:00:00Z'),
      run('2026-03-05T02:00:00Z'),
    ]
    assert.deepEqual(kept(runs, { keepDaily: 2 }), ['2026-03-05T02:00:00Z', '2026-03-04T01:00:00Z'])
  })

  it('given runs around midnight, when days are kept, then they are days of the zone', () => {
    const runs = [run('2026-03-04T22:30:00Z'), run('2026-03-04T23:30:00Z')]
    const berlin = { ...moment, timeZone: 'Europe/Berlin' }
    assert.equal(kept(runs, { keepDaily: 2 }).length, 1)
    assert.equal(kept(runs, { keepDaily: 2 }, berlin).length, 2)
  })

  it('given two years of runs, when weeks, months and years are kept, then each has its newest', () => {
    const runs = ['2024-12-30', '2025-01-02', '2025-06-01', '2026-02-27', '2026-03-02', '2026-03-04'].map((day) =>
      run(`${day}T00:00:00Z`),
    )
    // 2024-12-30 and 2025-01-02 are of one ISO week.
    assert.deepEqual(
      kept(runs, { keepWeekly: 4 }).map((path) => path.slice(0, 10)),
      ['2026-03-04', '2026-02-27', '2025-06-01', '2025-01-02'],
    )
    assert.deepEqual(
      kept(runs, { keepMonthly: 2, keepYearly: 3 }).map((path) => path.slice(0, 10)),
      ['2026-03-04', '2026-02-27', '2025-06-01', '2024-12-30'],
    )
  })

  it('given keepWithin, when time goes by, then what is older goes, but for the last good one', () => {
    const runs = [run('2026-01-01T00:00:00Z'), run('2026-03-09T00:00:00Z'), run('2026-03-10T00:00:00Z')]
    assert.equal(kept(runs, { keepWithin: '2d' }).length, 2)
    assert.equal(kept(runs, { keepWithin: '3m' }).length, 3)
    const later = { ...moment, now: Date.parse('2027-01-01T00:00:00Z') }
    assert.deepEqual(kept(runs, { keepWithin: '24h' }, later), ['2026-03-10T00:00:00Z'])
  })

  it('given increments, when the last is kept, then all back to its full run are, and no more', () => {
    const folder = { layout: 'FOLDER' } as const
    const runs = [
      run('2026-03-01T00:00:00Z', folder),
      run('2026-03-02T00:00:00Z', folder),
      run('2026-03-03T00:00:00Z', { ...folder, extent: 'increment' }),
      run('2026-03-04T00:00:00Z', { layout: 'ZIP', extent: 'increment' }),
    ]
    assert.deepEqual(
      kept(runs, { keepLast: 1 }),
      runs
        .slice(1)
        .map(({ path }) => path)
        .reverse(),
    )
  })

  it('given several names, when one run is kept, then each name keeps one; what cannot be read is left alone', () => {
    const runs = [
      run('2026-03-01T00:00:00Z'),
      run('2026-03-02T00:00:00Z'),
      run('2026-03-01T00:00:00Z', { name: 'weekly' }),
      run('2026-02-01T00:00:00Z', { state: 'unknown' }),
    ]
    assert.equal(retentionPlan(runs, { ...NONE, keepLast: 1 }, moment).remove.length, 1)
  })
})
