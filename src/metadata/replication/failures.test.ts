import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDatabase, type TestDatabase } from '../../../test/helpers/databases.ts'
import { pageRequest } from '../../core/paging.ts'
import { EVERY_PATH } from '../../core/path-range.ts'
import { listDivergences, settleDivergences } from './divergences.ts'
import { pageEvents } from './events.ts'
import { type FailureFilter, findFailure, pageFailures } from './failure-pages.ts'
import {
  clearLinkFailure,
  dismissFailures,
  hurryFailures,
  hurryPaths,
  listDueOfTask,
  listDuePaths,
  listTasksWithDue,
  nextDueOfLink,
  postponeDue,
  putLinkFailure,
} from './failures.ts'

const LINK = 1
const NEWEST = { by: 'modified_at', direction: 'desc' } as const
const PAGE = pageRequest(1, 100)

/** A task with one link, from `bkrepo/files` to cluster `c`. */
async function seed(db: TestDatabase, replicaType: string, enabled = 1): Promise<void> {
  const audit = { created_by: 'admin', created_at: 1, modified_by: 'admin', modified_at: 1 }
  await db.transact(async (trx) => {
    const { id: repoId } = await trx
      .insertInto('repository')
      .values({
        ...{ project: 'bkrepo', name: 'files', type: 'GENERIC', category: 'LOCAL', public: 0, description: null },
        ...{
          display_name: null,
          configuration: '{}',
          quota: null,
          epoch: 'e',
          floor_seq: 0,
          deleted_at: null,
          ...audit,
        },
      })
      .returning('id')
      .executeTakeFirstOrThrow()
    await trx
      .insertInto('replication_task')
      .values({
        ...{ id: 'id', key: 'task', name: 'plan', project: 'bkrepo', object_type: 'REPOSITORY', setting: '{}' },
        ...{ replica_type: replicaType, description: null, status: 'WAITING', enabled, record: 1 },
        ...{ record_reserve_days: 30, execution_times: 0, ...audit },
      })
      .execute()
    await trx
      .insertInto('link')
      .values({
        ...{ id: LINK, key: 'link', task_key: 'task', cluster_id: 'c', repo_id: repoId, scope_hash: '' },
        ...{ remote_project: 'remote', remote_repo: 'copy', repo_epoch: 'e', acked_seq: 10, remote_epoch: null },
        ...{ remote_seq: null, remote_mark: null },
      })
      .execute()
  })
}
const failed = (path: string, reason = 'broken') =>
  ({ path, reason: 'failed', delta: undefined, failure: { kind: 'FILE', reason } }) as const
const fail = (db: TestDatabase, now: number, ...paths: string[]) =>
  db.transact((trx) =>
    settleDivergences(
      trx,
      LINK,
      paths,
      paths.map((path) => failed(path)),
      now,
    ),
  )
const rows = async (db: TestDatabase, filter: FailureFilter = {}) =>
  (await pageFailures(db.read, filter, NEWEST, PAGE)).records

eachDatabase('queue of failures', (make) => {
  it('given an artifact that fails again and again, when it does, then pauses grow from 30 s to 1 h, and end after ten attempts', async () => {
    await using db = await make()
    await seed(db, 'SCHEDULED')
    const pauses: (number | null)[] = []
    const ids = new Set<string>()
    for (let now = 1_000; pauses.length < 10; now += 1_000) {
      await fail(db, now, '/a')
      const [row] = await rows(db)
      ids.add(row!.id)
      pauses.push(row!.dueAt === null ? null : row!.dueAt - now)
      assert.deepEqual([row!.attempts, row!.createdAt, row!.modifiedAt], [pauses.length, 1_000, now])
    }
    assert.equal(ids.size, 1)
    for (const [n, seconds] of [30, 60, 120, 240, 480, 960, 1920, 3600, 3600].entries()) {
      const pause = pauses[n]!
      assert.ok(pause >= seconds * 900 && pause <= seconds * 1100, `${pause} ms after attempt ${n + 1}`)
    }
    assert.equal(pauses[9], null)
    await db.transact((trx) => settleDivergences(trx, LINK, ['/a'], [], 99_000))
    assert.deepEqual(await rows(db), [])
    await fail(db, 100_000, '/a')
    assert.equal((await rows(db))[0]?.attempts, 1)
  })

  it('given things that are due, when asked for, then of enabled tasks without a run alone, the longest due first', async () => {
    await using db = await make()
    await seed(db, 'SCHEDULED')
    await fail(db, 21_000, '/b')
    await fail(db, 1_000, '/a')
    const tasks = (now: number, types = ['SCHEDULED']) => listTasksWithDue(db.read, types, now, 10)
    assert.deepEqual(await tasks(20_000), [])
    assert.deepEqual(await tasks(60_000), ['task'])
    assert.deepEqual(await tasks(60_000, ['RUN_ONCE']), [])
    assert.deepEqual(await listDuePaths(db.read, LINK, 60_000, 10), ['/a', '/b'])
    assert.ok((await nextDueOfLink(db.read, LINK))! <= 35_000)
    await db.transact((trx) => trx.updateTable('replication_task').set({ enabled: 0 }).execute())
    assert.deepEqual(await tasks(60_000), [])
  })

  it('given a link that failed as a whole, when listed, then it waits beside its paths, and the ledger does not know it', async () => {
    await using db = await make()
    await seed(db, 'SCHEDULED')
    await fail(db, 1_000, '/a')
    await db.transact((trx) => putLinkFailure(trx, LINK, 'down', 2_000))
    await db.transact((trx) => putLinkFailure(trx, LINK, 'still down', 3_000))
    const [link] = await rows(db, { kinds: ['LINK'] })
    assert.deepEqual([link?.path, link?.attempts, link?.reason, link?.createdAt], ['', 2, 'still down', 2_000])
    assert.deepEqual(
      (await listDivergences(db.slow, LINK, [EVERY_PATH])).map(({ path }) => path),
      ['/a'],
    )
    assert.deepEqual(await listDuePaths(db.read, LINK, 999_999, 10), ['/a'])
    const due = await listDueOfTask(db.read, 'task', 999_999, 10)
    assert.deepEqual(due.map(({ path }) => path).sort(), ['', '/a'])
    await db.transact((trx) => clearLinkFailure(trx, LINK))
    assert.equal((await rows(db)).length, 1)
  })

  it('given a link that failed before what was due was tried, when it is told, then that is one more attempt on each of them alone', async () => {
    await using db = await make()
    await seed(db, 'SCHEDULED')
    await fail(db, 1_000, '/due', '/last')
    await fail(db, 100_000, '/later')
    await db.transact((trx) =>
      trx.updateTable('link_divergence').set({ attempts: 9 }).where('path', '=', '/last').execute(),
    )
    await db.transact((trx) => postponeDue(trx, LINK, 50_000))
    const state = new Map((await rows(db)).map((row) => [row.path, [row.attempts, row.dueAt]]))
    assert.deepEqual(state.get('/due'), [2, 50_000 + 60_000])
    assert.deepEqual(state.get('/last'), [10, null])
    assert.equal(state.get('/later')?.[0], 1)
  })

  it('given failures, when dismissed or hurried, then the ledger keeps them all', async () => {
    await using db = await make()
    await seed(db, 'SCHEDULED')
    await fail(db, 1_000, '/a', '/b', '/c')
    await db.transact((trx) => putLinkFailure(trx, LINK, 'down', 1_000))
    const all = await rows(db)
    const idOf = (path: string) => all.find((row) => row.path === path)!.id
    assert.equal(await db.transact((trx) => hurryFailures(trx, [idOf('/a'), 'unknown'], 2_000)), 1)
    await db.transact((trx) => hurryPaths(trx, LINK, ['/b'], 2_000))
    assert.deepEqual(await listDuePaths(db.read, LINK, 2_000, 10), ['/a', '/b'])
    assert.equal(await db.transact((trx) => dismissFailures(trx, { ids: [] })), 0)
    assert.equal(
      await db.transact((trx) => dismissFailures(trx, { ids: all.map(({ id }) => id), retriedMoreThan: 0 })),
      0,
    )
    assert.equal(await db.transact((trx) => dismissFailures(trx, { ids: [idOf('/a'), idOf('')] })), 2)
    assert.equal(await findFailure(db.read, idOf('/a')), undefined)
    assert.equal(await db.transact((trx) => dismissFailures(trx, { taskKey: 'task' })), 2)
    assert.deepEqual(await rows(db), [])
    assert.deepEqual(
      (await listDivergences(db.slow, LINK, [EVERY_PATH])).map(({ path }) => path),
      ['/a', '/b', '/c'],
    )
  })

  it('given a task that follows changes, when its events are listed, then each path that is not acknowledged once, and what failed', async () => {
    await using db = await make()
    await seed(db, 'REAL_TIME')
    await fail(db, 5_000, '/failed')
    const change = (seq: number, path: string, at: number) => ({
      ...{ id: seq, seq, path, at, op: 1 as const, origin: 0, via_link: null, dn: 0, d0: 0, d1: 0, d2: 0, d3: 0 },
      ...{ e0: 0, e1: 0, e2: 0, e3: 0 },
    })
    await db.transact(async (trx) => {
      const { id } = await trx.selectFrom('repository').select('id').executeTakeFirstOrThrow()
      const rows = [change(9, '/old', 1), change(11, '/new', 2), change(12, '/failed', 3), change(13, '/new', 4)]
      await trx
        .insertInto('change_log')
        .values(rows.map((row) => ({ ...row, repo_id: id })))
        .execute()
    })
    const events = async (filter: Parameters<typeof pageEvents>[1] = {}) =>
      (await pageEvents(db.read, filter, { by: 'created_at', direction: 'asc' }, PAGE)).records
    const all = await events()
    assert.deepEqual(
      all.map(({ path, seq, createdAt, modifiedAt }) => [path, seq, createdAt, modifiedAt]),
      [
        ['/new', 11, 2, 4],
        ['/failed', null, 5_000, 5_000],
      ],
    )
    assert.deepEqual(
      (await events({ isTried: true })).map(({ path }) => path),
      ['/failed'],
    )
    assert.deepEqual(
      (await events({ isTried: false })).map(({ path }) => path),
      ['/new'],
    )
    assert.deepEqual((await events({ isTried: false, pending: { linkId: LINK, seq: 11 } })).length, 1)
    assert.deepEqual((await events({ isTried: false, pending: { linkId: LINK, seq: 13 } })).length, 0)
    assert.deepEqual(await events({ taskKey: 'other' }), [])
  })
})
