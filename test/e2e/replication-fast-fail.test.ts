import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { SeenRequest } from '../helpers/faulty-proxy.ts'
import { eachDialect, startCluster } from '../helpers/local-cluster.ts'
import { createRepository, registerCluster, taskOf } from '../helpers/replication-calls.ts'
import { counts, REPO, type TwoClusters, twoClusters } from '../helpers/two-clusters.ts'

const FAST = { conflictStrategy: 'FAST_FAIL', errorStrategy: 'FAST_FAIL' }
const [SAMPLE] = taskOf('', REPO, []).replicaTaskObjects as [Objects[number]]
type Objects = ReturnType<typeof taskOf>['replicaTaskObjects']
const objectsOf = (names: readonly string[]): Objects =>
  names.map((name) => ({ ...SAMPLE, localRepoName: name, remoteRepoName: name }))

const NAMES = ['one', 'two', 'three', 'four'] as const

/** Repositories with two files each at the source, of which the second has a conflict at the target. */
async function fourObjects(two: TwoClusters, signal: AbortSignal): Promise<Objects> {
  for (const name of NAMES) {
    await createRepository(two.a.api, `proj/${name}`, signal)
    for (const path of ['/a', '/b']) await two.a.api.upload(`proj/${name}`, path, Buffer.from(name + path), {}, signal)
  }
  await createRepository(two.b.api, 'proj/two', signal)
  await two.b.api.upload('proj/two', '/a', Buffer.from('theirs'), {}, signal)
  return objectsOf(NAMES)
}

eachDialect('FAST_FAIL', (dialect) => {
  it('case 6, of several objects: given a conflict in the second of four, when planned and run, then the target stops there, in both, and the other target is complete', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    await using gamma = await startCluster({ name: 'gamma', dialect })
    const other = { name: 'gamma', url: gamma.url, user: 'admin', password: gamma.password }
    const remoteClusterIds = [two.clusterId, await registerCluster(two.a.api, other, t.signal)]
    const replicaTaskObjects = await fourObjects(two, t.signal)
    const key = await two.create({ remoteClusterIds, replicaTaskObjects, setting: FAST, enabled: false })
    const plan = await two.a.api.call<{
      total: { overview: Record<'success' | 'skip' | 'failed' | 'conflict', number> }
      links: { stopped: boolean; errorReason: string | null }[]
    }>('GET', `/replication/api/task/plan/${key}`, undefined, t.signal)
    assert.deepEqual(
      plan.links.map(({ stopped, errorReason }) => [stopped, errorReason]),
      [false, true, true, true, false, false, false, false].map((stopped) => [stopped, null]),
    )
    await two.a.api.call('POST', `/replication/api/task/toggle/status/${key}`, undefined, t.signal)
    const run = await two.ended(key, 1)
    const { success, skip, failed, conflict } = plan.total.overview
    assert.equal(counts(run), `${success}/${skip}/${failed}/${conflict}`)
    assert.equal(counts(run), '10/0/1/1')
    const lines = (run.record.errorReason ?? '').split('\n')
    assert.equal(lines.length, 2)
    assert.match(lines[0]!, /^beta: File \[\/a\] conflict/)
    assert.match(lines[1]!, /^beta: objects were left alone after the failure/)
    const at = (cluster: string) => run.details.filter(({ remoteCluster }) => remoteCluster === cluster)
    assert.deepEqual([at('beta').length, at('gamma').length], [3, 8])
  })

  it('given a failure that counts already, as after a kill behind its checkpoint, when the run goes on, then it does not pass it', async (t) => {
    await using two = await twoClusters(dialect, t.signal, { ENTREPOT_REPLICATION_BATCH_FILES: '1' })
    const paths = Array.from({ length: 10 }, (_, n) => `/${n}`)
    for (const path of paths) await two.put(two.a, path, path)
    const isLate = ({ path, nth }: SeenRequest) => path.includes('/missing') && nth === 3
    two.line.script((request) => (isLate(request) ? { cutAfterBytes: 0 } : undefined))
    const held = two.line.hold(isLate)
    const key = await two.create({ setting: { errorStrategy: 'FAST_FAIL' } })
    await held.reached
    await two.a.db.transact((trx) => trx.updateTable('exec_shard').set({ failed: 1 }).where('token', '>', 0).execute())
    held.release()
    const run = await two.ended(key, 1)
    assert.equal(run.record.status, 'FAILED')
    assert.ok((await two.files(two.b)).length < 10)
  })

  it('given a first path that nobody stored, when planned and run, then nothing is sent', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    for (const path of ['/x', '/y']) await two.put(two.a, path, path)
    const pathConstraints = ['/missing', '/missing, too', '/x'].map((path) => ({ path }))
    const replicaTaskObjects = [{ ...SAMPLE, pathConstraints: pathConstraints as never[] }]
    const task = { replicaObjectType: 'PATH', replicaTaskObjects, setting: { errorStrategy: 'FAST_FAIL' } }
    const key = await two.create({ ...task, enabled: false })
    const plan = await two.a.api.call<{
      total: { counts: { send: number; fail: number } }
      links: { stopped: boolean }[]
    }>('GET', `/replication/api/task/plan/${key}`, undefined, t.signal)
    assert.deepEqual([plan.total.counts.send, plan.total.counts.fail, plan.links[0]!.stopped], [0, 1, true])
    await two.a.api.call('POST', `/replication/api/task/toggle/status/${key}`, undefined, t.signal)
    const run = await two.ended(key, 1)
    assert.equal(counts(run), '0/0/1/0')
    assert.match(run.record.errorReason ?? '', /^beta: Node \[\/missing\] not found[^\n]*$/)
    assert.deepEqual(await two.files(two.b), [])
  })
})
