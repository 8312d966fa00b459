import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { AppError } from '../../core/errors.ts'
import { createDates } from '../../http/dates.ts'
import { createTimetable } from '../schedule/timetable.ts'
import { checkV1Request } from './v1-request.ts'

const NOW = Date.UTC(2026, 0, 1)
const time = { now: NOW, parseTime: createDates('UTC').parse, firings: createTimetable('UTC').firings }
const remoteClusterInfo = { url: 'http://bkrepo.com/replication', username: 'admin', password: 'password' }
const request = (fields: object = {}, setting: object = {}) =>
  checkV1Request(
    { localProjectId: 'ops', localRepoName: 'test', setting: { remoteClusterInfo, ...setting }, ...fields },
    time,
  )
const refusal = (code: string, name: string) => (error: unknown) =>
  (error as AppError).code === code && (error as AppError).detail.name === name

describe('requests of the older API', () => {
  it('given only what is needed, when checked, then the defaults are those of the older API', () => {
    const { setting, remote, ...rest } = request()
    assert.deepEqual(rest, {
      ...{ type: 'FULL', includeAllProject: false, localProject: 'ops', localRepo: 'test' },
      ...{ remoteProject: null, remoteRepo: null, validateConnectivity: true, includePermission: false },
    })
    assert.deepEqual(
      [setting.includeMetadata, setting.conflictStrategy, setting.executionStrategy],
      [true, 'SKIP', 'IMMEDIATELY'],
    )
    assert.deepEqual(remote, { ...remoteClusterInfo, certificate: undefined })
  })

  it('given all projects, when checked, then names count for nothing', () => {
    const { localProject, remoteProject } = request({ includeAllProject: true, remoteProjectId: 'not a name!' })
    assert.deepEqual([localProject, remoteProject], [null, null])
  })

  it('given plans, when checked, then at once goes before a time, and a time before cron', () => {
    const strategy = (executionPlan: object) => request({}, { executionPlan }).setting.executionStrategy
    const [executeTime, cronExpression] = ['2030-01-01T00:00:00', '0 0 3 * * ?']
    assert.equal(strategy({ cronExpression, executeTime }), 'IMMEDIATELY')
    assert.equal(strategy({ executeImmediately: false, cronExpression, executeTime }), 'SPECIFIED_TIME')
    assert.equal(strategy({ executeImmediately: false, cronExpression }), 'CRON_EXPRESSION')
  })

  it('given what is missing or wrong, when checked, then the refusal names it', () => {
    const later = (plan: object) => () => request({}, { executionPlan: { executeImmediately: false, ...plan } })
    assert.throws(later({}), refusal('PARAMETER_MISSING', 'cronExpression'))
    assert.throws(later({ cronExpression: ' ' }), refusal('PARAMETER_MISSING', 'cronExpression'))
    assert.throws(later({ cronExpression: 'x' }), refusal('PARAMETER_INVALID', 'cronExpression'))
    assert.throws(later({ executeTime: '2001-01-01T00:00:00' }), refusal('PARAMETER_INVALID', 'executeTime'))
    assert.throws(() => request({ localProjectId: '' }), refusal('PARAMETER_MISSING', 'localProjectId'))
    assert.throws(() => request({ setting: null }), refusal('PARAMETER_MISSING', 'setting'))
    assert.throws(() => request({}, { remoteClusterInfo: null }), refusal('PARAMETER_MISSING', 'remoteClusterInfo'))
    assert.throws(() => request({}, { remoteClusterInfo: {} }), refusal('PARAMETER_MISSING', 'url'))
    assert.throws(() => request({ remoteProjectId: '../x' }), refusal('PARAMETER_INVALID', 'remoteProjectId'))
    const toOne = { localRepoName: null, remoteRepoName: 'all-in-one' }
    assert.throws(() => request(toOne), refusal('PARAMETER_INVALID', 'remoteRepoName'))
    assert.throws(() => request({ type: 'OTHER' }), refusal('REQUEST_CONTENT_INVALID', 'type'))
  })
})
