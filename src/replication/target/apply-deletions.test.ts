import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import {
  makeCluster,
  makeRepositories,
  replicationServices,
  sampleTask,
} from '../../../test/helpers/replication-services.ts'
import { deletion, entry, HERE, LINK, OTHER_LINK, stampAt, streamTarget } from '../../../test/helpers/stream-target.ts'
import { rowIdOf } from '../../core/fingerprint.ts'
import { makeHlc } from '../../core/hlc.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import type { Precondition } from '../../remotes/cluster/frames/frame.ts'

const isRow = (row: NodeRecord): Precondition => ({
  is: 'row',
  id: rowIdOf({ content: row.contentLanes, metadata: row.metadataLanes }, 'content+metadata'),
})
const hlc = stampAt(5)
const OVERWRITE = { conflictStrategy: 'OVERWRITE' } as const

eachDatabase('applying a batch: deletions', (make) => {
  it('given files that the link brought, when deletions come, then they go with the stamp of the deletion, and newer ones stay', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    await target.deliver([entry(1, '/a', 'one'), entry(2, '/b', 'two'), entry(3, '/newer', 'one', { hlc: stampAt(9) })])
    const before = await target.logRows()
    const results = await target.deliver([
      deletion(1, '/a', { hlc, origin: 'far' }),
      deletion(2, '/b', { hlc: stampAt(6) }),
      deletion(3, '/newer', { hlc }),
      deletion(4, '/none', { hlc }),
    ])
    assert.deepEqual(results, ['written', 'written', 'superseded', 'unchanged'])
    assert.deepEqual(await target.files(), { '/newer': 'one' })
    assert.equal((await target.logRows()) - before, 2)
    const stones = await stonesOf(db)
    assert.deepEqual(
      stones.map((row) => [row.path, row.hlc, row.deleted_by]),
      [
        ['/a', stampAt(5), 'alice'],
        ['/b', stampAt(6), 'alice'],
      ],
    )
    assert.notEqual(stones[0]!.origin, stones[1]!.origin)
  })

  it('given the acknowledgement of a deletion was lost, when it comes again, then the same run hears that it delivered it, any other that nothing changed', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    await target.deliver([entry(1, '/x', 'one')])
    const gone = deletion(1, '/x', { hlc })
    assert.deepEqual(await target.deliver([gone], { run: 7 }), ['written'])
    const before = await target.logRows()
    assert.deepEqual(await target.deliver([gone], { run: 7, fence: 2 }), ['delivered'])
    assert.deepEqual(await target.deliver([gone], { run: 8, fence: 3, earlierRuns: [7] }), ['delivered: 7'])
    assert.deepEqual(await target.deliver([gone], { run: 8, fence: 3 }), ['unchanged'])
    assert.deepEqual(await target.deliver([gone], { run: 7 }, OTHER_LINK), ['unchanged'])
    assert.equal(await target.logRows(), before)
  })

  it('given files of others, when deletions come, then what equals the file that ended goes, and the rest only with OVERWRITE', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const far = { hlc: stampAt(1) }
    await target.deliver([entry(1, '/same', 'one', far), entry(2, '/other', 'one', far)], {}, OTHER_LINK)
    const same = isRow((await target.row('/same'))!)
    const items = [deletion(1, '/same', { hlc, expect: same }), deletion(2, '/other', { hlc, expect: same })]
    for (const conflictStrategy of ['FAST_FAIL', 'SKIP'] as const) {
      const [first, second] = await target.deliver(items, { conflictStrategy, stream: conflictStrategy })
      assert.deepEqual([first === 'written', second], [conflictStrategy === 'FAST_FAIL', 'kept'])
    }
    assert.deepEqual(await target.files(), { '/other': 'one' })
    assert.deepEqual(await target.deliver([deletion(1, '/other', { hlc })], OVERWRITE), ['written'])
  })

  it('given a file that local users wrote after the deletion, when OVERWRITE deletes, then it stays', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    await target.write('/x', 'one')
    assert.deepEqual(await target.deliver([deletion(1, '/x', { hlc })], OVERWRITE), ['superseded'])
  })

  it('given the last files of folders, when they are deleted, then the folders go, but for those that somebody described or still uses', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const paths = ['/a/b/c/x', '/a/b/y', '/described/x', '/used/x', '/used/z']
    await target.deliver(paths.map((name, n) => entry(n + 1, name, 'one')))
    await db.transact((trx) =>
      trx.updateTable('node').set({ metadata: '[{"key":"k","value":1}]' }).where('path', '=', '/described').execute(),
    )
    const gone = paths.slice(0, 4).map((name, n) => deletion(n + 1, name, { hlc }))
    assert.deepEqual(await target.deliver(gone), ['written', 'written', 'written', 'written'])
    const live = await db.read
      .selectFrom('node')
      .select('path')
      .where('deleted_at', 'is', null)
      .orderBy('path')
      .execute()
    assert.deepEqual(
      live.map((row) => row.path),
      ['/described', '/used', '/used/z'],
    )
    assert.deepEqual(await target.deliver([entry(1, '/a', 'a file where a folder was')]), ['written'])
  })

  it('given metadata that a system noted at the source, when files and metadata come, then only the entries of users arrive', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const ours = { key: 'k', value: 1 }
    const noted = { key: 'scan', value: 'x', system: true }
    await target.deliver([entry(1, '/new', 'one', { metadata: [ours, noted] })])
    assert.deepEqual((await target.row('/new'))!.metadata, [ours])
    await target.write('/there', 'one', { metadata: [{ ...noted, value: 'here' }] })
    await target.deliver([entry(1, '/there', 'one', { metadata: [noted, ours] })], OVERWRITE)
    assert.deepEqual((await target.row('/there'))!.metadata, [ours, { ...noted, value: 'here' }])
  })
})

eachDatabase('applying a batch: clusters that replicate to each other', (make) => {
  it('given an enabled task back to the source that overwrites as well, when states differ, then the larger stamp and then the larger cluster id wins', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    const at = (ms: number) => makeHlc(target.clock.now() + ms, 0)
    const { hlc: local } = await target.write('/x', 'ours')
    const from = { ...OVERWRITE, fromProject: 'there', fromRepo: 'files' }
    const older = entry(1, '/x', 'theirs', { hlc: stampAt(0) })
    const task = await taskBack(db, 'src')
    assert.deepEqual(await target.deliver([older], { ...from, stream: '1' }), ['superseded'])
    assert.deepEqual(await target.deliver([older], { ...from, fromRepo: 'elsewhere', stream: '2' }), ['replaced'])
    await target.write('/x', 'ours', { hlc: local })
    for (const [origin, result] of [
      ['a cluster before here', 'superseded'],
      ['src', 'replaced'],
    ] as const) {
      assert.equal(origin > HERE, result === 'replaced')
      const same = entry(1, '/x', 'theirs', { hlc: local, origin })
      assert.deepEqual(await target.deliver([same], { ...from, stream: origin }), [result])
    }
    await target.write('/x', 'ours', { hlc: at(1) })
    await db.transact((trx) =>
      trx.updateTable('replication_task').set({ enabled: 0 }).where('key', '=', task).execute(),
    )
    assert.deepEqual(await target.deliver([older], { ...from, stream: '3' }), ['replaced'])
  })

  it('given both follow each other in real time, when a file comes that was deleted here later, then it stays deleted; with one way only it is written', async () => {
    await using db = await make()
    const target = await streamTarget(db)
    await target.deliver([entry(1, '/x', 'one'), entry(2, '/y', 'one')])
    await target.deliver([deletion(1, '/x', { hlc }), deletion(2, '/y', { hlc })], { stream: '0' }, LINK)
    const from = { realTime: true, fromProject: 'there', fromRepo: 'files' }
    const again = (path: string) => entry(1, path, 'one')
    assert.deepEqual(await target.deliver([again('/y')], { ...from, stream: '1' }), ['written'])
    await taskBack(db, 'src', 'REAL_TIME')
    assert.deepEqual(await target.deliver([again('/x')], { ...from, stream: '2' }), ['superseded'])
    assert.deepEqual(await target.deliver([again('/x')], { ...from, realTime: false, stream: '3' }), ['written'])
  })
})

const stonesOf = (db: MetadataDatabase) => db.read.selectFrom('tombstone').selectAll().orderBy('path').execute()

/** A task of this cluster that brings `demo/files` to `there/files` of an installation. @returns its key. */
async function taskBack(db: MetadataDatabase, peerId: string, type = 'SCHEDULED'): Promise<string> {
  const services = replicationServices(db)
  await makeRepositories(db, 'files')
  const cluster = await makeCluster(services, 'over there')
  const task = await services.tasks.create(
    sampleTask('back', [cluster], 'files'),
    'admin',
    new AbortController().signal,
  )
  await db.transact(async (trx) => {
    await trx.updateTable('cluster').set({ peer_id: peerId }).execute()
    await trx.updateTable('task_object').set({ remote_project: 'there' }).execute()
    const setting = JSON.stringify({ ...task.setting, conflictStrategy: 'OVERWRITE' })
    await trx.updateTable('replication_task').set({ project: 'demo', replica_type: type, setting }).execute()
  })
  return task.key
}
