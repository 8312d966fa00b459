import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { type ReplicationApi, replicationApi } from '../../../test/helpers/replication-api.ts'
import {
  makeCluster,
  makeRepositories,
  OWN_CLUSTER_ID,
  sampleTask,
} from '../../../test/helpers/replication-services.ts'
import { AppError } from '../../core/errors.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { NO_OVERVIEW } from '../../tasks/record.ts'
import { closeRecord } from '../../tasks/runs.ts'

interface Prepared extends ReplicationApi {
  readonly shanghai: string
  readonly beijing: string
}

/** Repositories `generic-local` and `second`, clusters shanghai and beijing. */
async function prepared(db: MetadataDatabase): Promise<Prepared> {
  const api = await replicationApi(db)
  await makeRepositories(db, 'generic-local', 'second')
  return { ...api, shanghai: await makeCluster(api, 'shanghai'), beijing: await makeCluster(api, 'beijing') }
}
const sampleFor = ({ shanghai, beijing }: Prepared, name = '计划') =>
  sampleTask(name, [shanghai, beijing], 'generic-local')

/** Ends the run of a task that is in progress. */
async function endRun({ db, records, clock }: ReplicationApi, key: string): Promise<string> {
  const [record] = await records.list(key)
  const recordId = record!.id
  const end = {
    status: 'SUCCESS',
    errorReason: null,
    overview: NO_OVERVIEW,
    replicatedBytes: 0,
    totalBytes: 0,
  } as const
  assert.ok(await db.transact((trx) => closeRecord(trx, { ...end, recordId, now: clock.now() })))
  return recordId
}
const createKey = async (api: ReplicationApi, body: object): Promise<string> =>
  (await api.call('POST', '/task/create', body)).data.key

eachDatabase('task API', (make) => {
  it("given the contract's own sample, when created, then it is answered field by field and runs", async () => {
    await using db = await make()
    await using api = await prepared(db)
    const { status, code, message, data } = await api.call('POST', '/task/create', sampleFor(api))
    assert.deepEqual([status, code, message], [200, 0, null])
    assert.match(data.id, /^[0-9a-f]{24}$/)
    assert.match(data.key, /^[0-9a-f]{32}$/)
    assert.deepEqual(
      Object.entries(data),
      Object.entries({
        id: data.id,
        key: data.key,
        name: '计划',
        projectId: 'bkrepo',
        replicaObjectType: 'REPOSITORY',
        replicaType: 'SCHEDULED',
        setting: {
          rateLimit: 0,
          includeMetadata: true,
          conflictStrategy: 'SKIP',
          errorStrategy: 'CONTINUE',
          executionStrategy: 'IMMEDIATELY',
          executionPlan: { executeImmediately: true, executeTime: null, cronExpression: null },
          storageConsistencyCheck: false,
          automaticCreateRemoteRepo: true,
          propagateDelete: false,
          deleteGuard: { maxCount: 100, maxShare: 0.1 },
          backfill: true,
          platforms: null,
          webhook: null,
        },
        remoteClusters: [
          { id: api.shanghai, name: 'shanghai' },
          { id: api.beijing, name: 'beijing' },
        ],
        description: 'test replica task',
        status: 'REPLICATING',
        replicatedBytes: 0,
        totalBytes: -1,
        lastExecutionStatus: 'RUNNING',
        lastExecutionTime: '2026-01-01T00:00:00.000',
        nextExecutionTime: null,
        executionTimes: 1,
        enabled: true,
        record: true,
        recordReserveDays: 30,
        createdBy: 'admin',
        createdDate: '2026-01-01T00:00:00.000',
        lastModifiedBy: 'admin',
        lastModifiedDate: '2026-01-01T00:00:00.000',
      }),
    )
    assert.deepEqual((await api.call('GET', `/task/info/${data.key}`)).data, data)
    assert.deepEqual((await api.call('GET', `/task/detail/${data.key}`)).data, {
      task: data,
      objects: [
        {
          localRepoName: 'generic-local',
          remoteProjectId: 'bkrepo',
          remoteRepoName: 'generic-local',
          repoType: 'GENERIC',
          packageConstraints: [],
          pathConstraints: [],
          sourceFilter: null,
        },
      ],
    })
    assert.equal(api.jobs.requests.length, 1)
  })

  it('case 12: given a name that is taken, too short or too long, when created, then 250107 and 250105', async () => {
    await using db = await make()
    await using api = await prepared(db)
    await api.call('POST', '/task/create', sampleFor(api))
    for (const [name, code] of [
      ['计划', 250107],
      ['x', 250105],
      ['x'.repeat(257), 250105],
    ] as const) {
      const answer = await api.call('POST', '/task/create', sampleFor(api, name))
      assert.deepEqual([answer.status, answer.code], [400, code])
    }
    const twins = await Promise.all([1, 2].map(() => api.call('POST', '/task/create', sampleFor(api, 'twin'))))
    assert.deepEqual(twins.map(({ code }) => code).sort(), [0, 250107])
  })

  it('case 13: given an unknown or unreachable cluster, when created, then 250306 and 250301, and nothing is stored', async () => {
    await using db = await make()
    await using api = await prepared(db)
    const unknown = await api.call('POST', '/task/create', { ...sampleFor(api), remoteClusterIds: ['0'.repeat(24)] })
    assert.deepEqual([unknown.status, unknown.code], [400, 250306])
    api.probe.answer = ({ url }) => {
      if (url.includes('beijing')) throw new AppError('CLUSTER_CONNECT_ERROR', 'connection refused')
      return { clusterId: url, name: url }
    }
    const unreachable = await api.call('POST', '/task/create', sampleFor(api))
    assert.deepEqual([unreachable.status, unreachable.code], [400, 250301])
    assert.match(unreachable.message ?? '', /\[beijing\]/)
    assert.equal((await api.call('GET', '/task/page/bkrepo')).data.totalRecords, 0)
  })

  it('case 14: given plans that cannot be, when created, then 250105 each and nothing is stored', async () => {
    await using db = await make()
    await using api = await prepared(db)
    const withPlan = (executionStrategy: string, executionPlan: object) => ({
      ...sampleFor(api),
      setting: { executionStrategy, executionPlan },
    })
    const bodies: [body: object, code: number][] = [
      [withPlan('SPECIFIED_TIME', { executeTime: '2025-12-31T23:59:59.999' }), 250105],
      [withPlan('CRON_EXPRESSION', { cronExpression: 'now and then' }), 250105],
      [withPlan('IMMEDIATELY', { executeImmediately: false }), 250105],
      [withPlan('CRON_EXPRESSION', { cronExpression: '0 0 0 L-3 * ?' }), 250105],
      [withPlan('CRON_EXPRESSION', { cronExpression: '0 0 0 30 2 ?' }), 250105],
    ]
    for (const [body, code] of bodies) {
      const answer = await api.call('POST', '/task/create', body)
      assert.deepEqual([answer.status, answer.code], [400, code], answer.message ?? '')
    }
  })

  it('case 16: given enabled=false at creation, when toggled on, off and on, then no run before and exactly one after', async () => {
    await using db = await make()
    await using api = await prepared(db)
    const { data } = await api.call('POST', '/task/create', { ...sampleFor(api), enabled: false })
    assert.deepEqual(
      [data.enabled, data.status, data.lastExecutionStatus, data.lastExecutionTime, data.executionTimes],
      [false, 'WAITING', null, null, 0],
    )
    assert.equal((await api.call('POST', `/task/execute/${data.key}`)).code, 250304)
    assert.deepEqual(api.jobs.requests, [])
    const toggle = () => api.call('POST', `/task/toggle/status/${data.key}`)
    const state = async () => {
      const { enabled, status, executionTimes } = (await api.call('GET', `/task/info/${data.key}`)).data
      return [enabled, status, executionTimes]
    }
    assert.deepEqual(await toggle(), { status: 200, code: 0, message: null, data: null })
    assert.deepEqual(await state(), [true, 'REPLICATING', 1])
    await toggle()
    assert.deepEqual(await state(), [false, 'REPLICATING', 1])
    await endRun(api, data.key)
    await toggle()
    assert.deepEqual(await state(), [true, 'COMPLETED', 1])
    assert.equal(api.jobs.requests.length, 1)
    assert.equal((await api.call('POST', `/task/toggle/status/${'0'.repeat(32)}`)).code, 250310)
  })

  it('case 18: given a running task, when executed and deleted, then 250303, and task and rows are gone', async () => {
    await using db = await make()
    await using api = await prepared(db)
    const key = await createKey(api, sampleFor(api))
    const [record] = await api.records.list(key)
    const again = await api.call('POST', `/task/execute/${key}`)
    assert.deepEqual([again.status, again.code], [400, 250303])
    assert.deepEqual(await api.call('DELETE', `/task/delete/${key}`), {
      status: 200,
      code: 0,
      message: null,
      data: null,
    })
    assert.equal((await api.call('GET', `/task/info/${key}`)).code, 250310)
    assert.equal((await api.call('GET', `/task/record/${record!.id}`)).code, 250310)
    assert.deepEqual((await api.call('GET', `/task/record/list/${key}`)).data, [])
    assert.equal((await api.call('DELETE', `/task/delete/${key}`)).code, 0)
    assert.equal((await api.call('POST', `/task/execute/${key}`)).code, 250310)
  })

  it('given a task that has run, when executed, then a second record begins', async () => {
    await using db = await make()
    await using api = await prepared(db)
    const key = await createKey(api, sampleFor(api))
    await endRun(api, key)
    await api.clock.advance(1_000)
    assert.equal((await api.call('POST', `/task/execute/${key}`)).code, 0)
    const { executionTimes, lastExecutionTime } = (await api.call('GET', `/task/info/${key}`)).data
    assert.deepEqual([executionTimes, lastExecutionTime], [2, '2026-01-01T00:00:01.000'])
    assert.equal(api.jobs.requests.length, 2)
  })

  it('case 19: given a task, when updated while running, then 250303; when idle, stored, and the old record keeps its snapshot', async () => {
    await using db = await make()
    await using api = await prepared(db)
    const key = await createKey(api, sampleFor(api))
    const before = (await api.call('GET', `/task/info/${key}`)).data
    // As the contract's sample of update: no setting, no enabled.
    const update = {
      key,
      name: '更新后的名称',
      localProjectId: 'bkrepo',
      replicaObjectType: 'PATH',
      replicaTaskObjects: [
        { localRepoName: 'second', remoteProjectId: 'there', remoteRepoName: 'other', pathConstraints: ['/a//b/'] },
      ],
      remoteClusterIds: [api.beijing],
      description: 'changed',
    }
    const running = await api.call('POST', '/task/update', update)
    assert.deepEqual([running.status, running.code], [400, 250303])
    const recordId = await endRun(api, key)
    await api.clock.advance(1_000)
    assert.deepEqual(await api.call('POST', '/task/update', update), {
      status: 200,
      code: 0,
      message: null,
      data: null,
    })
    const { task, objects } = (await api.call('GET', `/task/detail/${key}`)).data
    assert.deepEqual(task, {
      ...before,
      name: '更新后的名称',
      replicaObjectType: 'PATH',
      remoteClusters: [{ id: api.beijing, name: 'beijing' }],
      description: 'changed',
      status: 'COMPLETED',
      lastExecutionStatus: 'SUCCESS',
      lastModifiedDate: '2026-01-01T00:00:01.000',
    })
    assert.deepEqual(objects, [
      {
        localRepoName: 'second',
        remoteProjectId: 'there',
        remoteRepoName: 'other',
        repoType: 'GENERIC',
        packageConstraints: null,
        pathConstraints: [{ path: '/a/b', pathRegex: null, deletedDate: null }],
        sourceFilter: null,
      },
    ])
    await api.call('POST', `/task/execute/${key}`)
    const newest = (await api.call('GET', `/task/record/list/${key}`)).data[0]
    const snapshotOf = async (id: string) => {
      const { taskSnapshot } = (await api.call('GET', `/task/record/${id}`)).data
      return [taskSnapshot.task.name, taskSnapshot.objects[0].localRepoName, taskSnapshot.task.remoteClusters.length]
    }
    assert.deepEqual(await snapshotOf(recordId), ['计划', 'generic-local', 2])
    assert.deepEqual(await snapshotOf(newest.id), ['更新后的名称', 'second', 1])
  })

  it('given updates that are wrong, when sent, then they are refused as creations are, and the own name is free', async () => {
    await using db = await make()
    await using api = await prepared(db)
    const key = await createKey(api, { ...sampleFor(api, 'first'), enabled: false })
    await api.call('POST', '/task/create', { ...sampleFor(api, 'second'), enabled: false })
    const base = { ...sampleFor(api, 'first'), key }
    const refused: [change: object, code: number][] = [
      [{ name: 'second' }, 250107],
      [{ remoteClusterIds: [] }, 250104],
      [{ remoteClusterIds: ['nowhere'] }, 250306],
      [{ key: undefined }, 250103],
      [{ key: 'f'.repeat(32) }, 250310],
      [{ localProjectId: 'nowhere' }, 251004],
      [{ replicaObjectType: 'PACKAGE' }, 250104],
    ]
    for (const [change, code] of refused) {
      const answer = await api.call('POST', '/task/update', { ...base, ...change })
      assert.equal(answer.code, code, answer.message ?? '')
    }
    assert.equal((await api.call('POST', '/task/update', base)).code, 0)
  })

  it('given a task, when copied, then the copy is disabled, never ran, and equal in all else but its description', async () => {
    await using db = await make()
    await using api = await prepared(db)
    const key = await createKey(api, { ...sampleFor(api), recordReserveDays: 7 })
    await endRun(api, key)
    await api.clock.advance(1_000)
    assert.deepEqual(await api.call('POST', '/task/copy', { key, name: 'task_copy' }), {
      status: 200,
      code: 0,
      message: null,
      data: null,
    })
    const source = (await api.call('GET', `/task/detail/${key}`)).data
    const [copy] = (await api.call('GET', '/task/page/bkrepo?name=task_copy')).data.records
    assert.deepEqual(copy, {
      ...source.task,
      id: copy.id,
      key: copy.key,
      name: 'task_copy',
      description: null,
      status: 'WAITING',
      lastExecutionStatus: null,
      lastExecutionTime: null,
      executionTimes: 0,
      enabled: false,
      createdDate: '2026-01-01T00:00:01.000',
      lastModifiedDate: '2026-01-01T00:00:01.000',
    })
    assert.notEqual(copy.key, key)
    assert.deepEqual((await api.call('GET', `/task/detail/${copy.key}`)).data.objects, source.objects)
    const refused: [body: unknown, code: number][] = [
      [{ key, name: 'task_copy' }, 250107],
      [{ key }, 250103],
      [{ key, name: 'x' }, 250105],
      [{ name: 'other' }, 250103],
      [{ key: 'f'.repeat(32), name: 'other' }, 250310],
      [undefined, 250106],
    ]
    for (const [body, code] of refused) assert.equal((await api.call('POST', '/task/copy', body)).code, code)
  })

  it('case 21: given the page URL of the contract, when asked for, then pageNumber is 1, with count and page', async () => {
    await using db = await make()
    await using api = await prepared(db)
    await api.call('POST', '/task/create', sampleFor(api, 'test-1'))
    const url =
      '/task/page/bkrepo?name=test&lastExecutionStatus=SUCCESS&enabled=true&sortType=CREATE_TIME&pageNumber=0&pageSize=20'
    const empty = { pageNumber: 1, pageSize: 20, totalRecords: 0, totalPages: 0, records: [], count: 0, page: 1 }
    assert.deepEqual(await api.call('GET', url), { status: 200, code: 0, message: null, data: empty })
    const { records, ...page } = (await api.call('GET', url.replace('SUCCESS', 'RUNNING'))).data
    assert.deepEqual(page, { pageNumber: 1, pageSize: 20, totalRecords: 1, totalPages: 1, count: 1, page: 1 })
    assert.equal(records[0].name, 'test-1')
    assert.deepEqual((await api.call('GET', url.replace('bkrepo', 'nowhere'))).data, empty)
  })

  it('case 22: given name filters with special characters, when paged, then they are literal prefixes', async () => {
    await using db = await make()
    await using api = await prepared(db)
    for (const name of ['a.b(c', 'aXb(c', '100%', '100x', 'a_b', 'A.b(']) {
      await api.call('POST', '/task/create', { ...sampleFor(api, name), enabled: false })
    }
    const found = async (name: string) => {
      const answer = await api.call('GET', `/task/page/bkrepo?name=${encodeURIComponent(name)}`)
      assert.equal(answer.status, 200)
      return answer.data.records.map((task: { name: string }) => task.name)
    }
    assert.deepEqual(await found('a.b('), ['a.b(c'])
    assert.deepEqual(await found('.*'), [])
    assert.deepEqual(await found('100%'), ['100%'])
    assert.deepEqual(await found('a_'), ['a_b'])
    assert.deepEqual(await found('A'), ['A.b('])
    assert.equal((await found('')).length, 6)
  })

  it('given tasks, when sorted by a time some lack, then those come last in both directions, and ties go by id', async () => {
    await using db = await make()
    await using api = await prepared(db)
    for (const [name, enabled] of [
      ['t1', true],
      ['t2', false],
      ['t3', true],
      ['t4', false],
    ] as const) {
      await api.clock.advance(1_000)
      await api.call('POST', '/task/create', { ...sampleFor(api, name), enabled })
    }
    const order = async (query: string) => {
      const { data } = await api.call('GET', `/task/page/bkrepo?${query}`)
      return data.records.map(({ name }: { name: string }) => name).join(' ')
    }
    assert.equal(await order(''), 't4 t3 t2 t1')
    assert.equal(await order('sortType=created-time&sortDirection=asc'), 't1 t2 t3 t4')
    assert.equal(await order('sortType=LAST_EXECUTION_TIME'), 't3 t1 t4 t2')
    assert.equal(await order('sortType=LAST_EXECUTION_TIME&sortDirection=ASC'), 't1 t3 t2 t4')
    assert.equal(await order('sortType=NEXT_EXECUTION_TIME&sortDirection=ASC'), 't1 t2 t3 t4')
    assert.equal(await order('enabled=false'), 't4 t2')
    assert.equal(await order('lastExecutionStatus=running&pageSize=1&pageNumber=2'), 't1')
  })

  it('given page sizes of 0 and 10^9, when paged, then 20 and 1000 are echoed', async () => {
    await using db = await make()
    await using api = await prepared(db)
    const sizes = async (query: string) => {
      const { data } = await api.call('GET', `/task/page/bkrepo?${query}`)
      return [data.pageNumber, data.pageSize]
    }
    assert.deepEqual(await sizes('pageNumber=-1&pageSize=0'), [1, 20])
    assert.deepEqual(await sizes('pageNumber=3&pageSize=1000000000'), [3, 1000])
    assert.deepEqual(await sizes('page=2&limit=5'), [2, 5])
    assert.deepEqual(await sizes('pageNumber=9007199254740991&pageSize=1000'), [1_000_000_000, 1000])
    const refused: [query: string, code: number][] = [
      ['pageSize=many', 250131],
      ['lastExecutionStatus=HAPPY', 250131],
      ['enabled=perhaps', 250131],
      ['sortType=SIZE', 250131],
      ['sortDirection=UP', 250105],
      ['name=a%00b', 250105],
    ]
    for (const [query, code] of refused) {
      const answer = await api.call('GET', `/task/page/bkrepo?${query}`)
      assert.deepEqual([answer.status, answer.code], [400, code], query)
    }
  })

  it('given a target that is this very cluster, when an object would be copied onto itself, then it is refused', async () => {
    await using db = await make()
    await using api = await prepared(db)
    api.probe.answer = ({ url }) => ({ clusterId: url.includes('beijing') ? OWN_CLUSTER_ID : url, name: url })
    const self = await api.call('POST', '/task/create', sampleFor(api))
    assert.deepEqual([self.status, self.code], [400, 250105])
    const sample = sampleFor(api)
    const elsewhere = { ...sample, replicaTaskObjects: [{ ...sample.replicaTaskObjects[0], remoteRepoName: 'other' }] }
    assert.equal((await api.call('POST', '/task/create', elsewhere)).code, 0)
  })

  it('given a repository deleted while the targets were asked, when created, then it is judged again and refused', async () => {
    await using db = await make()
    await using api = await prepared(db)
    const { probe } = api.probe
    api.probe.probe = async (target, signal) => {
      await db.transact((trx) => trx.updateTable('repository').set({ deleted_at: 1 }).execute())
      return probe(target, signal)
    }
    const answer = await api.call('POST', '/task/create', sampleFor(api))
    assert.deepEqual([answer.status, answer.code], [404, 251006])
  })

  it('case 51: given a user who is no administrator, when any task call is made, then 403; without credentials 401', async () => {
    await using db = await make()
    await using api = await replicationApi(db)
    const calls = [
      ['POST', '/task/create'],
      ['GET', '/task/info/k'],
      ['GET', '/task/detail/k'],
      ['GET', '/task/page/bkrepo'],
      ['DELETE', '/task/delete/k'],
      ['POST', '/task/toggle/status/k'],
      ['POST', '/task/copy'],
      ['POST', '/task/update'],
      ['POST', '/task/execute/k'],
      ['POST', '/task/stop/k'],
      ['GET', '/task/record/r'],
      ['GET', '/task/record/list/k'],
      ['GET', '/task/record/page/k'],
      ['GET', '/task/record/detail/list/r'],
      ['GET', '/task/record/detail/page/r'],
      ['GET', '/task/record/overview/r'],
    ] as const
    for (const [method, path] of calls) {
      const someone = await api.callAs('someone', method, path)
      assert.deepEqual([someone.status, someone.code], [403, 250113], path)
      const nobody = await api.callAs(undefined, method, path)
      assert.deepEqual([nobody.status, nobody.code], [401, 250114], path)
    }
  })
})
