import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DEFAULT_SETTING } from '../validate-setting.ts'
import { createTimetable, type Planned } from './timetable.ts'

const NOW = Date.UTC(2026, 0, 1, 12)
const MINUTE = 60_000
const HOUR = 60 * MINUTE

const { next } = createTimetable('UTC')

const task = (plan: Partial<Planned['setting']['executionPlan']>, change: Partial<Planned> = {}): Planned => ({
  replicaType: 'SCHEDULED',
  enabled: true,
  firedAt: null,
  setting: {
    executionStrategy: plan.cronExpression != null ? 'CRON_EXPRESSION' : 'SPECIFIED_TIME',
    executionPlan: { ...DEFAULT_SETTING.executionPlan, ...plan },
  },
  ...change,
})
const hourly = (change: Partial<Planned> = {}) => task({ cronExpression: '0 0 * * * ?' }, change)

describe('what is planned for a task', () => {
  it('given a cron expression, when asked, then its first firing after now, on the dot the one after it', () => {
    assert.equal(next(hourly(), NOW - 1), NOW)
    assert.equal(next(hourly(), NOW), NOW + HOUR)
    assert.equal(next(hourly({ firedAt: NOW }), NOW + 1), NOW + HOUR)
  })

  it('given a clock that was set back, when by little, then nothing fires again; when by much, then the schedule lives', () => {
    assert.equal(next(hourly({ firedAt: NOW }), NOW - 1_000), NOW + HOUR)
    assert.equal(next(hourly({ firedAt: NOW + 700 * 24 * HOUR }), NOW), NOW + HOUR)
  })

  it('given a specified time, when it is past, then it stays planned until a run was started for it', () => {
    const once = (firedAt: number | null) => task({ executeTime: NOW }, { firedAt })
    assert.equal(next(once(null), NOW - HOUR), NOW)
    assert.equal(next(once(null), NOW + HOUR), NOW)
    assert.equal(next(once(NOW), NOW + HOUR), null)
    assert.equal(next(once(NOW - HOUR), NOW - 1), NOW)
  })

  it('given a task that is off, of another type, or without a plan, when asked, then nothing is planned', () => {
    assert.equal(next(hourly({ enabled: false }), NOW), null)
    assert.equal(next(task({ executeTime: NOW }, { enabled: false }), NOW), null)
    for (const replicaType of ['REAL_TIME', 'RUN_ONCE', 'EDGE_PULL'] as const) {
      assert.equal(next(hourly({ replicaType }), NOW), null)
      assert.equal(next(task({ executeTime: NOW }, { replicaType }), NOW), null)
    }
    assert.equal(next({ ...hourly(), setting: DEFAULT_SETTING }, NOW), null)
  })
})
