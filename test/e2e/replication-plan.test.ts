import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { mapConcurrent } from '../../src/core/concurrency.ts'
import { seededBytes } from '../helpers/blobs.ts'
import type { LocalCluster } from '../helpers/local-cluster.ts'
import { eachDialect } from '../helpers/local-cluster.ts'
import { packagedClusters } from '../helpers/packaged-clusters.ts'
import { createRepository, taskOf } from '../helpers/replication-calls.ts'
import { counts, REPO, type Run, type TaskChanges, type TwoClusters, twoClusters } from '../helpers/two-clusters.ts'

const PLAN = '/replication/api/task/plan'

interface Plan {
  readonly planId: string
  readonly total: {
    readonly counts: { send: number; skip: number; keep: number; fail: number; delete: number }
    readonly overview: { success: number; skip: number; failed: number; conflict: number; fileSuccess: number }
    readonly bytes: number
  }
  readonly estimate: { readonly seconds: number | null; readonly basis: string }
  readonly links: readonly {
    readonly creates: string
    readonly errorReason: string | null
    readonly stopped: boolean
    readonly bytes: number
  }[]
  readonly items: {
    readonly totalRecords: number
    readonly records: readonly {
      class: string
      path: string
      size: number | null
      reason: string | null
      conflict: boolean
    }[]
  }
}

const JSON_TYPE = { 'content-type': 'application/json' }

/** Everything that a plan must leave alone: rows that tell of files, of runs, of links and of peers. */
const TABLES = [
  'project',
  'repository',
  'node',
  'change_log',
  'execution_record',
  'record_detail',
  'exec_link',
  'exec_shard',
  'exec_path',
  'link',
  'link_divergence',
  'peer',
  'peer_link',
  'peer_state',
  'replication_task',
  'upload',
] as const
async function stateOf({ db }: LocalCluster): Promise<Record<string, string>> {
  const state: Record<string, string> = {}
  for (const table of TABLES) {
    const rows = await db.read
      .selectFrom(table as 'node')
      .selectAll()
      .execute()
    const asText = (row: object) =>
      JSON.stringify({ ...row, seq: undefined }, (_, value) => (typeof value === 'bigint' ? String(value) : value))
    // PostgreSQL gives rows in the order of their last change, and numbering changes them.
    state[table] = rows.map(asText).sort().join('\n')
  }
  const blobs = await db.read.selectFrom('blob').select('sha256').orderBy('sha256').execute()
  return { ...state, blob: blobs.map(({ sha256 }) => Buffer.from(sha256).toString('hex')).join() }
}
const planOf = (two: TwoClusters, key: string, signal: AbortSignal, query = ''): Promise<Plan> =>
  two.a.api.call('GET', `${PLAN}/${key}${query}`, undefined, signal)

/** What a run did has to be what was planned. */
function assertSame({ total }: Plan, run: Run): void {
  const { success, skip, failed, conflict, fileSuccess } = run.overview
  assert.deepEqual(total.overview, { success, skip, failed, conflict, fileSuccess })
  assert.equal(total.bytes, (run.record as unknown as { replicatedBytes: number }).replicatedBytes)
}

async function planThenRun(two: TwoClusters, key: string, signal: AbortSignal): Promise<{ plan: Plan; run: Run }> {
  const before = [await stateOf(two.a), await stateOf(two.b)]
  const plan = await planOf(two, key, signal, '?pageSize=1000')
  assert.deepEqual([await stateOf(two.a), await stateOf(two.b)], before, 'a plan changes nothing')
  return { plan, run: await two.again(key) }
}
const inWords = ({ total: { counts: of } }: Plan) => `${of.send}/${of.skip}/${of.keep}/${of.fail}/${of.delete}`
const pathsOf = ({ items }: Plan, ofClass: string) =>
  items.records
    .filter((item) => item.class === ofClass)
    .map(({ path }) => path)
    .sort()

eachDialect('plans', (dialect) => {
  describe('of tasks', () => {
    it('given a target without the repository, when planned and run, then counts and bytes are equal, and nothing was made before', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      const shared = seededBytes(1, 100_000)
      await two.put(two.a, '/a', shared)
      await two.put(two.a, '/copy-of-a', shared)
      await two.put(two.a, '/b/small', 'small')
      const body = { ...taskOf('task t', REPO, [two.clusterId]), enabled: false }
      const { key } = await two.a.api.call<{ key: string }>('POST', '/replication/api/task/create', body, t.signal)
      const before = [await stateOf(two.a), await stateOf(two.b)]
      const plan = await planOf(two, key, t.signal)
      assert.deepEqual([await stateOf(two.a), await stateOf(two.b)], before)
      assert.deepEqual([inWords(plan), plan.total.bytes], ['3/0/0/0/0', 100_005])
      assert.deepEqual(
        plan.links.map(({ creates, errorReason }) => [creates, errorReason]),
        [['project and repository', null]],
      )
      assert.deepEqual(plan.estimate, { seconds: null, basis: 'UNKNOWN' })
      await two.a.api.call('POST', `/replication/api/task/toggle/status/${key}`, undefined, t.signal)
      assertSame(plan, await two.ended(key, 1))
    })

    for (const conflictStrategy of ['SKIP', 'OVERWRITE', 'FAST_FAIL'] as const) {
      it(`given changes on both sides and ${conflictStrategy}, when planned and run, then counts and bytes are equal`, async (t) => {
        await using two = await twoClusters(dialect, t.signal)
        for (let n = 0; n < 8; n++) await two.put(two.a, `/f${n}`, `first ${n}`)
        const first = await two.replicate({ setting: { conflictStrategy } })
        await two.put(two.a, '/f0', 'forward')
        await two.put(two.a, '/f1', 'both, here')
        await two.put(two.b, '/f1', 'both, there')
        await two.put(two.b, '/f2', 'there alone')
        await two.put(two.a, '/new', seededBytes(2, 90_000))
        await two.put(two.a, '/known', 'first 3')
        await two.put(two.a, '/large', seededBytes(3, 80_000))
        await two.put(two.b, '/large', seededBytes(4, 80_000))
        await two.put(two.a, '/meta', 'm', { colour: 'red' })
        const { plan, run } = await planThenRun(two, first.key, t.signal)
        assertSame(plan, run)
        assert.deepEqual(pathsOf(plan, 'SEND').includes('/f0'), true)
        assert.equal(plan.estimate.basis, 'TASK')
        const again = await planThenRun(two, first.key, t.signal)
        assertSame(again.plan, again.run)
      })
    }

    it('given a filter and a missing path, when planned and run, then counts, paths and bytes are equal', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      for (const path of ['/x/a.log', '/x/b.txt', '/x/y/c.log']) await two.put(two.a, path, path)
      const changes = taskOn('/x/*.log', '/gone', { path: null, pathRegex: '/x/y/.*' })
      const { key } = await two.replicate({ ...changes, setting: { errorStrategy: 'CONTINUE' } })
      await two.put(two.a, '/x/d.log', 'new')
      await two.put(two.a, '/x/b.txt', 'not meant')
      const { plan, run } = await planThenRun(two, key, t.signal)
      assert.deepEqual([pathsOf(plan, 'SEND'), pathsOf(plan, 'FAIL')], [['/x/d.log'], ['/gone']])
      assertSame(plan, run)
    })

    it('given propagateDelete, when files ended here, then the plan names what the run deletes', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      for (const path of ['/a', '/b', '/c']) await two.put(two.a, path, path)
      const { key } = await two.replicate({ setting: { propagateDelete: true } as never })
      await two.a.api.call('DELETE', `/repository/api/node/delete/${REPO}/b`, undefined, t.signal)
      const { plan, run } = await planThenRun(two, key, t.signal)
      assert.deepEqual(pathsOf(plan, 'DELETE'), ['/b'])
      assertSame(plan, run)
    })

    it('given FAST_FAIL and work for several streams, when planned and run, then both stop at the same failure', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await createRepository(two.b.api, REPO, t.signal)
      const paths = Array.from({ length: 1_100 }, (_, n) => `/f${String(n).padStart(4, '0')}`)
      await mapConcurrent(paths, 16, (path) => two.put(two.a, path, path), t.signal)
      await two.put(two.b, '/f0003', 'theirs')
      const setting = { conflictStrategy: 'FAST_FAIL', errorStrategy: 'FAST_FAIL' }
      const key = await two.create({ setting, enabled: false })
      const plan = await planOf(two, key, t.signal)
      const { send, fail } = plan.total.counts
      assert.deepEqual([plan.links[0]!.stopped, fail], [true, 1])
      await two.a.api.call('POST', `/replication/api/task/toggle/status/${key}`, undefined, t.signal)
      const run = await two.ended(key, 1)
      assertSame(plan, run)
      assert.equal((await two.files(two.b)).length, send + 1)
      assert.ok(send < 1_099, 'it stopped')
    })

    it('given a quota at the target, when planned and run, then what does not fit is FAIL in both', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await createRepository(two.b.api, REPO, t.signal)
      await two.b.db.transact((trx) => trx.updateTable('repository').set({ quota: 250 }).execute())
      for (let n = 0; n < 4; n++) await two.put(two.a, `/f${n}`, seededBytes(n, 100))
      const body = { ...taskOf('task t', REPO, [two.clusterId]), enabled: false }
      const { key } = await two.a.api.call<{ key: string }>('POST', '/replication/api/task/create', body, t.signal)
      const plan = await planOf(two, key, t.signal)
      assert.equal(inWords(plan), '2/0/0/2/0')
      await two.a.api.call('POST', `/replication/api/task/toggle/status/${key}`, undefined, t.signal)
      assert.equal(counts(await two.ended(key, 1)), '2/0/2/0')
    })
  })

  describe('of packages', () => {
    it('given versions, a moved tag and a removed version, when planned and run, then counts and bytes are equal', async (t) => {
      await using packed = await packagedClusters(dialect, t.signal)
      const { on, publish, task } = packed
      await publish(on.a, 'lib/1.0.0', 'one', 'notes=first&tag=stable')
      const body = { ...task({ enabled: false } as never), name: 'packages', localProjectId: 'proj' }
      const key = await on.create({ ...body, enabled: false } as never)
      const fresh = await planOf(on, key, t.signal)
      assert.equal(inWords(fresh), '1/0/0/0/0')
      assert.deepEqual(pathsOf(fresh, 'SEND'), ['rds://lib@1.0.0'])
      await on.a.api.call('POST', `/replication/api/task/toggle/status/${key}`, undefined, t.signal)
      assertSame(fresh, await on.ended(key, 1))
      await publish(on.a, 'lib/1.1.0', 'two', 'notes=second&tag=latest')
      await publish(on.a, 'tool/0.1.0', 'x'.repeat(200_000))
      const { plan, run } = await planThenRun(on, key, t.signal)
      assert.deepEqual(pathsOf(plan, 'SEND'), ['rds://lib@1.1.0', 'rds://tool@0.1.0'])
      assertSame(plan, run)
      const again = await planThenRun(on, key, t.signal)
      assertSame(again.plan, again.run)
    })
  })

  describe('as they are asked for', () => {
    it('given a body, when planned, then it is judged as for create but for its name, and nothing is stored', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await two.put(two.a, '/x', 'x')
      await two.create()
      const body = { ...taskOf('task 1', REPO, [two.clusterId]) }
      const tasks = () => two.a.db.read.selectFrom('replication_task').selectAll().execute()
      const before = await tasks()
      const plan = await two.a.api.call<Plan & { taskKey: null }>('POST', PLAN, body, t.signal)
      assert.equal(plan.taskKey, null)
      assert.equal(plan.total.counts.send + plan.total.counts.skip, 1)
      assert.deepEqual((await tasks()).length, before.length)
      await assert.rejects(two.a.api.call('POST', PLAN, { ...body, remoteClusterIds: ['nobody'] }, t.signal), {
        code: 250306,
      })
    })

    it('given a plan, when its pages are asked for, then they are of it, by class, whatever changed since', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      for (let n = 0; n < 5; n++) await two.put(two.a, `/f${n}`, `${n}`)
      const body = { ...taskOf('task t', REPO, [two.clusterId]), enabled: false }
      const { key } = await two.a.api.call<{ key: string }>('POST', '/replication/api/task/create', body, t.signal)
      const plan = await planOf(two, key, t.signal, '?pageSize=2')
      await two.put(two.a, '/later', 'later')
      const third = await planOf(two, key, t.signal, `?planId=${plan.planId}&pageSize=2&pageNumber=3&class=SEND`)
      assert.deepEqual(
        [third.planId, third.items.totalRecords, third.items.records.map(({ path }) => path)],
        [plan.planId, 5, ['/f4']],
      )
      const none = await planOf(two, key, t.signal, `?planId=${plan.planId}&class=DELETE`)
      assert.equal(none.items.totalRecords, 0)
      await assert.rejects(planOf(two, key, t.signal, '?planId=nobody'), { code: 250108 })
      await assert.rejects(planOf(two, key, t.signal, '?class=WHATEVER'), { code: 250131 })
      await assert.rejects(planOf(two, 'nobody', t.signal), { code: 250310 })
    })

    it('given a target of a release that cannot plan, when planned, then it is named, and nothing but its greeting was asked for', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await two.put(two.a, '/x', 'x')
      const hello = await two.b.api.call<{ features: object }>('GET', '/sync/v1/hello', undefined, t.signal)
      const data = { ...hello, features: { ...hello.features, plans: false } }
      const body = JSON.stringify({ code: 0, message: null, data, traceId: null })
      two.line.script(({ path }) => (path === '/sync/v1/hello' ? { answer: 200, body, headers: JSON_TYPE } : undefined))
      const plan = await two.a.api.call<Plan>('POST', PLAN, taskOf('task t', REPO, [two.clusterId]), t.signal)
      assert.match(plan.links[0]!.errorReason!, /beta.*cannot plan.*upgrade/)
      assert.ok(two.line.seen.every(({ path }) => path === '/sync/v1/hello'))
    })

    it('given a target that does not answer, when planned, then its link says so', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await two.put(two.a, '/x', 'x')
      const { key } = await two.replicate()
      two.line.script(() => ({ answer: 502 }))
      const plan = await planOf(two, key, t.signal)
      assert.match(plan.links[0]!.errorReason!, /./)
    })
  })
})

const taskOn = (...pathConstraints: unknown[]): TaskChanges => ({
  replicaObjectType: 'REPOSITORY',
  replicaTaskObjects: [
    {
      localRepoName: 'files',
      remoteProjectId: 'proj',
      remoteRepoName: 'files',
      repoType: 'GENERIC',
      packageConstraints: null,
      pathConstraints,
    },
  ] as never,
})
