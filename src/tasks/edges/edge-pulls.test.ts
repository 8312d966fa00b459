import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import {
  makeRepositories,
  type ReplicationServices,
  replicationServices,
  sampleTask,
} from '../../../test/helpers/replication-services.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { updateCluster } from '../../metadata/replication/clusters.ts'
import { createExecLinks, endExecLink } from '../../metadata/replication/exec-links.ts'
import { findRecord } from '../../metadata/replication/records.ts'
import { NO_OVERVIEW, readSnapshot } from '../record.ts'
import { closeRecord } from '../runs.ts'
import { createEdgePulls } from './edge-pulls.ts'

/** A centre with edges, and a task that all of them have to pull. */
async function centre(db: MetadataDatabase, signal: AbortSignal, ...edges: string[]) {
  const services = replicationServices(db)
  await makeRepositories(db, 'generic-local')
  const ids = new Map<string, string>()
  for (const name of edges) {
    const body = { name, url: 'http://127.0.0.1:1', type: 'EDGE', detectType: 'REPORT', username: 'till' }
    ids.set(name, (await services.clusters.create(body, 'admin', signal)).id)
  }
  const body = { ...sampleTask('pull', [], 'generic-local'), replicaType: 'EDGE_PULL' }
  const { key } = await services.tasks.create(body, 'admin', signal)
  const pulls = createEdgePulls({ db, runs: services.runs })
  return { services, pulls, key, pull: (name: string, task?: string) => pulls.pull(ids.get(name)!, task), ids }
}

/** Ends the run in progress: edges that are named got everything. */
async function end({ db, clock }: ReplicationServices, recordId: string, well: readonly string[]): Promise<void> {
  const { task } = readSnapshot((await findRecord(db.read, recordId))!)
  const links = task.targets.map(({ id, name }, n) => ({
    ...{ recordId, linkId: n + 1, clusterId: id, clusterName: name, localRepo: 'generic-local', repoType: 'GENERIC' },
  }))
  const failed = task.targets.some(({ name }) => !well.includes(name))
  await db.transact(async (trx) => {
    await createExecLinks(trx, links as never)
    for (const { linkId, clusterName } of links) {
      const isWell = well.includes(clusterName)
      const how = { state: isWell ? 'DONE' : 'FAILED', errorReason: isWell ? null : 'away', now: clock.now() } as const
      await endExecLink(trx, recordId, linkId, how)
    }
    const result = {
      recordId,
      status: failed ? 'FAILED' : 'SUCCESS',
      errorReason: null,
      overview: NO_OVERVIEW,
    } as const
    await closeRecord(trx, { ...result, replicatedBytes: 0, totalBytes: 0, now: clock.now() })
  })
}
const names = (targets: readonly { readonly name: string }[]) => targets.map(({ name }) => name)

eachDatabase('edge pulls', (make) => {
  it('given a task for two edges, when they ask, then those that are there share a run, and each is done on its own', async (t) => {
    await using db = await make()
    const { services, pull, key, ids } = await centre(db, t.signal, 'north', 'south', 'west')
    await db.transact((trx) => updateCluster(trx, ids.get('south')!, { status: 'HEALTHY' }))
    const [first] = await pull('north')
    assert.equal(first?.state, 'STARTED')
    const record = (await findRecord(db.read, first!.recordId!))!
    assert.deepEqual(names(readSnapshot(record).task.targets), ['north', 'south'], 'west is not there')
    assert.deepEqual((await pull('south'))[0], { ...first, state: 'RUNNING' })
    assert.deepEqual((await pull('west'))[0], { ...first, state: 'WAITING' })
    await end(services, first!.recordId!, ['north'])
    const task = await services.tasks.get(key)
    assert.deepEqual(
      [names(task.targets), task.status, task.lastExecutionStatus],
      [['south', 'west'], 'WAITING', 'FAILED'],
    )
    assert.deepEqual(await pull('north'), [], 'it has everything')
    const [second] = await pull('west')
    const again = (await findRecord(db.read, second!.recordId!))!
    assert.deepEqual(names(readSnapshot(again).task.targets), ['west'], 'one that failed does not hold up others')
    await end(services, second!.recordId!, ['west'])
    const [third] = await pull('south')
    await end(services, third!.recordId!, ['south'])
    const done = await services.tasks.get(key)
    assert.deepEqual([done.targets, done.status, done.executionTimes], [[], 'COMPLETED', 3])
  })

  it('given an edge that fails again and again, when it asks, then 3 retries are made, and one more when it names the task', async (t) => {
    await using db = await make()
    const { services, pull, key, ids } = await centre(db, t.signal, 'north')
    for (let run = 0; run < 4; run++) {
      const [pulled] = await pull('north')
      assert.equal(pulled?.state, 'STARTED')
      await end(services, pulled!.recordId!, [])
    }
    assert.deepEqual(await pull('north'), [])
    const [asked] = await pull('north', key)
    assert.equal(asked?.state, 'STARTED')
    await end(services, asked!.recordId!, [])
    assert.equal((await pull('north')).length, 1, 'the count began anew')
    await assert.rejects(pull('north', 'nothing'), { code: 'TASK_NOT_FOUND' })
    await services.tasks.toggle(key, 'admin')
    assert.deepEqual(await pull('north'), [], 'switched off')
    await assert.rejects(pull('north', key), { code: 'TASK_NOT_FOUND' })
    await services.tasks.delete(key)
    assert.deepEqual(await db.read.selectFrom('edge_pull').selectAll().execute(), [])
    await services.clusters.delete(ids.get('north')!)
  })

  it('given more tasks than ten, when an edge asks, then the ten oldest begin', async (t) => {
    await using db = await make()
    const { services, pull, key } = await centre(db, t.signal, 'north')
    const keys = [key]
    for (let n = 0; n < 11; n++) {
      await services.clock.advance(1)
      const body = { ...sampleTask(`pull ${n}`, ['north'], 'generic-local'), replicaType: 'EDGE_PULL' }
      keys.push((await services.tasks.create(body, 'admin', t.signal)).key)
    }
    const pulled = await pull('north')
    assert.deepEqual(
      pulled.map((one) => one.key),
      keys.slice(0, 10),
    )
    const next = await pull('north')
    const states = next.map(({ state }) => state)
    assert.deepEqual([states.slice(0, 2), new Set(states.slice(2))], [['STARTED', 'STARTED'], new Set(['RUNNING'])])
  })
})
