import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import {
  createExecLinks,
  findExecLink,
  holdsPlanning,
  noteAnswer,
  noteDown,
  noteUp,
  noteWaiting,
  takePlanning,
} from './exec-links.ts'
import { pagePlannedPaths, putPlannedPaths } from './exec-paths.ts'

const LINK = { recordId: 'r', linkId: 1, clusterId: 'c', clusterName: 'beta', localRepo: 'files', repoType: 'GENERIC' }

eachDatabase('links of a run', (make) => {
  it('given two planners of one link, when both write their paths, then those of the later one are there alone', async () => {
    await using db = await make()
    await db.transact((trx) => createExecLinks(trx, [LINK]))
    const begin = () => db.transact((trx) => takePlanning(trx, 'r', 1))
    const write = (token: number, path: string) =>
      db.transact(async (trx) => {
        if (!(await holdsPlanning(trx, 'r', 1, token))) return false
        await putPlannedPaths(trx, { recordId: 'r', linkId: 1, shardNo: 1 }, [{ path, expect: null }])
        return true
      })
    const first = (await begin())!
    const second = (await begin())!
    const wrote = await Promise.all([write(first, '/x'), write(second, '/x'), write(first, '/y'), write(second, '/z')])
    assert.deepEqual(wrote, [false, true, false, true])
    const paths = await pagePlannedPaths(db.read, { recordId: 'r', linkId: 1, shardNo: 1 }, undefined, 10)
    assert.deepEqual(
      paths.map(({ path }) => path),
      ['/x', '/z'],
    )
    await db.transact((trx) => trx.updateTable('exec_link').set({ state: 'COPYING' }).execute())
    assert.equal(await begin(), undefined)
    assert.equal(await write(second, '/later'), false)
  })

  it('given a target that does not answer, when it takes something, then the time of the outage begins anew; when it only answers, nothing got through all the same', async () => {
    await using db = await make()
    await db.transact((trx) => createExecLinks(trx, [LINK]))
    await db.transact((trx) => trx.updateTable('exec_link').set({ state: 'COPYING' }).execute())
    const down = (now: number, progressed = false) =>
      db.transact((trx) => noteDown(trx, 'r', 1, { now, progressed, reason: 'cut' }))
    assert.deepEqual(await down(1_000), { since: 1_000, stalledSince: 1_000, attempts: 1 })
    assert.deepEqual(await down(2_000), { since: 1_000, stalledSince: 1_000, attempts: 2 })
    const wait = () => db.transact((trx) => noteWaiting(trx, 'r', 1, { now: 2_500, reason: 'left alone' }))
    assert.deepEqual(await wait(), { since: 1_000, stalledSince: 1_000, attempts: 2 })
    assert.equal((await findExecLink(db.read, 'r', 1))?.error_reason, 'left alone')
    await db.transact((trx) => noteUp(trx, 'r', 1))
    assert.equal((await findExecLink(db.read, 'r', 1))?.error_reason, null)
    assert.deepEqual(await down(3_000), { since: 3_000, stalledSince: 3_000, attempts: 1 })
    assert.deepEqual(await down(4_000, true), { since: 4_000, stalledSince: 4_000, attempts: 1 })
    await db.transact((trx) => noteAnswer(trx, 'r', 1))
    assert.deepEqual(await down(5_000), { since: 5_000, stalledSince: 4_000, attempts: 2 })
  })
})
