import assert from 'node:assert/strict'
import { it } from 'node:test'
import { manualClock } from '../../test/helpers/clock.ts'
import { eachDatabase, type MakeDatabase } from '../../test/helpers/databases.ts'
import { type AuditEvent, createAuditLog } from './audit-log.ts'

const DAY_MS = 86_400_000
const FIRST_PAGE = { pageNumber: 1, pageSize: 1000 }

async function world(make: MakeDatabase, maxRefusals?: number) {
  const db = await make()
  const clock = manualClock()
  const raise = (error: unknown) => {
    throw error
  }
  const limit = maxRefusals === undefined ? {} : { maxRefusals }
  const log = createAuditLog({ db, clock, reserveDays: 30, onError: raise, ...limit })
  return { clock, log, all: () => log.page({}, FIRST_PAGE), [Symbol.asyncDispose]: () => db[Symbol.asyncDispose]() }
}
const DONE: AuditEvent = {
  ...{ userId: 'root', appId: null, address: '1.1.1.1', action: 'POST /auth/api/user/create', project: null },
  ...{ repo: null, resource: 'userId=ann', outcome: 'SUCCESS', code: 0, traceId: 't' },
}
const REFUSED: AuditEvent = { ...DONE, userId: 'ann', outcome: 'REFUSED', code: 250113, project: 'p' }

eachDatabase('audit log', (make) => {
  it('given a change, when it is recorded, then the row is there when it resolves', async () => {
    await using w = await world(make)
    await w.log.record(DONE)
    const { records } = await w.all()
    const at = w.clock.now()
    assert.deepEqual(records, [{ ...DONE, id: records[0]!.id, at, lastAt: at, times: 1 }])
  })

  it('given equal refusals, when written, then they are one row that counts them', async () => {
    await using w = await world(make)
    const at = w.clock.now()
    for (let round = 0; round < 3; round++) {
      w.log.refused({ ...REFUSED, traceId: `t${round}` })
      await w.clock.advance(100)
    }
    w.log.refused({ ...REFUSED, code: 250114 })
    await w.log.flush()
    const { records } = await w.all()
    assert.deepEqual(records.map((row) => [row.code, row.times, row.at, row.lastAt, row.traceId]).sort(), [
      [250113, 3, at, at + 200, 't0'],
      [250114, 1, at + 300, at + 300, 't'],
    ])
  })

  it('given an attacker who varies everything, when written, then the rows are few and none of the refusals is uncounted', async () => {
    await using w = await world(make)
    for (let n = 0; n < 10_000; n++) {
      w.log.refused({ ...REFUSED, userId: `u${n}`, resource: `path=${n}`, address: `10.0.${n >> 8}.${n % 256}` })
      w.log.probed({ address: `10.1.${n >> 8}.${n % 256}`, code: 250114, traceId: 't' })
    }
    await w.log.flush()
    const { records, totalRecords } = await w.all()
    assert.ok(totalRecords <= 500, `${totalRecords}`)
    const counted = (code: number) =>
      records.filter((row) => row.code === code).reduce((sum, row) => sum + row.times, 0)
    assert.deepEqual([counted(250113), counted(250114)], [10_000, 10_000])
  })

  it('given requests without credentials, when time passes, then they are one row per address and ten minutes', async () => {
    await using w = await world(make)
    const stop = new AbortController()
    const running = w.log.run(stop.signal)
    for (let n = 0; n < 70; n++) {
      await w.clock.untilSleeping()
      w.log.probed({ address: '1.1.1.1', code: 250114, traceId: 't' })
      await w.clock.advance(10_000)
    }
    await w.clock.untilSleeping()
    stop.abort()
    await running
    const { records } = await w.all()
    assert.deepEqual(
      records.map(({ userId, times }) => [userId, times]),
      [
        ['anonymous', 10],
        ['anonymous', 60],
      ],
    )
  })

  it('given a server that stops, when it ends, then what was gathered is written', async () => {
    await using w = await world(make)
    const stop = new AbortController()
    const running = w.log.run(stop.signal)
    w.log.refused(REFUSED)
    stop.abort()
    await running
    assert.equal((await w.all()).totalRecords, 1)
  })

  it('given rows of many kinds, when filtered, then those that match come newest first', async () => {
    await using w = await world(make)
    const start = w.clock.now()
    const events: AuditEvent[] = [
      DONE,
      { ...DONE, userId: 'ann', action: 'DELETE /auth/api/user/delete/:uid', appId: 'app' },
      { ...DONE, project: 'p', outcome: 'FAILED', code: 251005 },
    ]
    for (const event of events) {
      await w.log.record(event)
      await w.clock.advance(1000)
    }
    w.log.refused(REFUSED)
    await w.log.flush()
    const times = async (filter: Parameters<typeof w.log.page>[0]) =>
      (await w.log.page(filter, FIRST_PAGE)).records.map(({ at }) => (at - start) / 1000)
    assert.deepEqual(await times({}), [3, 2, 1, 0])
    assert.deepEqual(await times({ userId: 'ann' }), [3, 1])
    assert.deepEqual(await times({ appId: 'app' }), [1])
    assert.deepEqual(await times({ action: 'DELETE /auth' }), [1])
    assert.deepEqual(await times({ project: 'p' }), [3, 2])
    assert.deepEqual(await times({ outcome: 'FAILED' }), [2])
    assert.deepEqual(await times({ code: 250113 }), [3])
    assert.deepEqual(await times({ from: start + 1000, to: start + 3000 }), [2, 1])
    const second = await w.log.page({}, { pageNumber: 2, pageSize: 3 })
    assert.deepEqual([second.totalRecords, second.records.length], [4, 1])
  })

  it('given old rows and too many refusals, when swept, then only those go', async () => {
    await using w = await world(make, 2)
    await w.log.record(DONE)
    await w.clock.advance(29 * DAY_MS)
    for (let n = 0; n < 4; n++) {
      w.log.refused({ ...REFUSED, resource: `${n}` })
      await w.log.flush()
      await w.log.record({ ...DONE, resource: `${n}` })
      await w.clock.advance(DAY_MS / 2)
    }
    const { signal } = new AbortController()
    assert.equal(await w.log.sweep(signal), 3)
    const { records } = await w.all()
    assert.deepEqual(
      records.map(({ outcome, resource }) => `${outcome} ${resource}`),
      ['SUCCESS 3', 'REFUSED 3', 'SUCCESS 2', 'REFUSED 2', 'SUCCESS 1', 'SUCCESS 0'],
    )
    assert.equal(await w.log.sweep(signal), 0)
  })
})
