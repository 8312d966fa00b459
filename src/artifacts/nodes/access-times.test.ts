import assert from 'node:assert/strict'
import { it } from 'node:test'
import { artifactServices, fileWrite, makeRepository, path } from '../../../test/helpers/artifacts.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import { createAccessTimes } from './access-times.ts'
import { putFiles } from './node-writer.ts'

eachDatabase('access times', (make) => {
  it('given reads, when five seconds pass, then they are written together; once more when it stops', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    const writes = [fileWrite(on, '/a'), fileWrite(on, '/b')]
    const [a, b] = await db.transact((trx) => putFiles(trx, repository, writes, new Map(), 0))
    const errors: unknown[] = []
    const times = createAccessTimes({ db, clock: on.clock, onError: (error) => errors.push(error) })
    const stop = new AbortController()
    const running = times.run(stop.signal)
    const seen = async (at: string) => (await on.nodes.get(repository, path(at))).accessedAt
    times.note(a!)
    const noted = on.clock.now()
    assert.equal(await seen('/a'), null)
    await on.clock.advance(5_000)
    await on.clock.untilSleeping()
    assert.deepEqual([await seen('/a'), await seen('/b')], [noted, null])
    times.note(b!)
    stop.abort()
    await running
    assert.deepEqual([await seen('/b'), errors], [on.clock.now(), []])
  })

  it('given a database that fails, when flushed by the loop, then the error is told and the loop goes on', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const errors: unknown[] = []
    const failing = { ...db, transact: async () => Promise.reject(new Error('no disk')) }
    const times = createAccessTimes({ db: failing, clock: on.clock, onError: (error) => errors.push(error) })
    const stop = new AbortController()
    const running = times.run(stop.signal)
    times.note({ id: 1, accessedAt: null } as NodeRecord)
    await on.clock.advance(5_000)
    await on.clock.untilSleeping()
    assert.equal(String(errors[0]), 'Error: no disk')
    stop.abort()
    await running
  })
})
