import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { type ReplicationApi, replicationApi } from '../../../test/helpers/replication-api.ts'
import { makeCluster, makeRepositories, sampleTask } from '../../../test/helpers/replication-services.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import type { Schema } from '../../metadata/schema.ts'
import { closeRecord } from '../../tasks/runs.ts'

const SHA256 = 'bcdf4256783b6d9cf3cb7bcd666e59c6e0a5d7e58e45c9469bb29a60a69ffff4'
const HOUR_MS = 3_600_000

type Detail = Schema['record_detail']

const detail = (recordId: string, no: number, change: Partial<Detail>): Detail => ({
  id: no.toString(16).padStart(24, '0'),
  record_id: recordId,
  link_id: 1,
  path: '',
  package_key: null,
  version: null,
  sha256: Buffer.from(SHA256, 'hex'),
  size: 646,
  status: 'SUCCESS',
  conflict_strategy: null,
  error_reason: null,
  execute_type: 'FULL',
  started_at: Date.UTC(2026, 0, 1) + no,
  ended_at: Date.UTC(2026, 0, 1) + no + 1,
  attempts: 1,
  ...change,
})
const version = (recordId: string, no: number, packageKey: string, name: string): Detail =>
  detail(recordId, no, { package_key: packageKey, version: name, sha256: null, link_id: 3 })

const NAMES = [
  { linkId: 1, cluster: 'beijing', repo: 'generic-local', type: 'GENERIC' },
  { linkId: 2, cluster: 'shanghai', repo: 'generic-local', type: 'GENERIC' },
  { linkId: 3, cluster: 'beijing', repo: 'second', type: 'NPM' },
]

const counters = { ok: 0, skipped: 0, unchanged: 0, failed: 0, conflict: 0, file_ok: 0, file_failed: 0, bytes: 0 }

interface Synthetic extends ReplicationApi {
  readonly key: string
  readonly recordId: string
}

/** A run in progress whose 9 details, written by nobody, hold one of everything; 5 artifacts were unchanged and have none. */
async function synthetic(db: MetadataDatabase, signal: AbortSignal): Promise<Synthetic> {
  const api = await replicationApi(db)
  await makeRepositories(db, 'generic-local', 'second')
  await makeCluster(api, 'beijing')
  const { key } = await api.tasks.create(sampleTask('plan', ['beijing'], 'generic-local'), 'admin', signal)
  const recordId = (await api.records.list(key))[0]!.id
  const none = { mode: null, to_seq: null, remote_epoch: null, remote_seq: null, error_reason: null }
  const links = NAMES.map(({ linkId, cluster, repo, type }) => ({
    record_id: recordId,
    link_id: linkId,
    cluster_id: cluster,
    cluster_name: cluster,
    local_repo: repo,
    repo_type: type,
    state: 'COPYING' as const,
    ...none,
    down_since: null,
    attempts: 0,
    ended_at: null,
  }))
  const shards = [
    { link_id: 1, ...counters, ok: 2, skipped: 6, unchanged: 5, failed: 1, conflict: 3, file_ok: 2, bytes: 1_000 },
    { link_id: 2, ...counters, ok: 2, file_ok: 1, file_failed: 1, bytes: 500, in_flight_bytes: 77 },
    { link_id: 3, ...counters, ok: 3 },
  ].map((shard) => ({
    in_flight_bytes: 0,
    ...shard,
    record_id: recordId,
    shard_no: 0,
    kind: 'range' as const,
    lo: '/',
    hi: null,
    pos: null,
    state: 'LEASED' as const,
    est_files: 5,
    est_bytes: 1_000,
    owner: null,
    lease_until: 0,
    token: 1,
  }))
  const details = [
    detail(recordId, 1, { path: '/bkrepo.op.conf.bak', conflict_strategy: 'SKIP' }),
    detail(recordId, 2, { path: '/logs/a%b.log' }),
    detail(recordId, 3, { path: '/logs/aXb.log', conflict_strategy: 'OVERWRITE', execute_type: 'PARTIAL' }),
    detail(recordId, 4, {
      path: '/Logs/c.log',
      status: 'FAILED',
      conflict_strategy: 'FAST_FAIL',
      error_reason: 'File [/Logs/c.log] conflict.',
    }),
    detail(recordId, 5, { path: '/logs/d.log', link_id: 2 }),
    detail(recordId, 6, { path: '/left-pad', link_id: 2 }),
    version(recordId, 7, 'npm://left-pad', '1.0.0'),
    version(recordId, 8, 'npm://left-pad', '1.0.0-beta'),
    version(recordId, 9, 'npm://@scope/left', '2.0.0'),
  ]
  await db.transact(async (trx) => {
    await trx.insertInto('exec_link').values(links).execute()
    await trx.insertInto('exec_shard').values(shards).execute()
    await trx.insertInto('record_detail').values(details).execute()
  })
  return { ...api, key, recordId }
}

const OVERVIEW = { success: 7, failed: 1, conflict: 3, skip: 6, fileSuccess: 3, fileFailed: 1 }

async function closeIt({ db, clock, recordId }: Synthetic, now = clock.now()): Promise<void> {
  const end = { status: 'FAILED', errorReason: 'beijing: File [/Logs/c.log] conflict.', overview: OVERVIEW } as const
  await db.transact((trx) => closeRecord(trx, { ...end, recordId, replicatedBytes: 1_577, totalBytes: 3_000, now }))
}

eachDatabase('record API', (make) => {
  it('given a running record, when read, then its numbers are live; when closed, then they are kept', async (t) => {
    await using db = await make()
    await using api = await synthetic(db, t.signal)
    const { recordId, key } = api
    const running = {
      id: recordId,
      taskKey: key,
      status: 'RUNNING',
      startTime: '2026-01-01T00:00:00.000',
      endTime: null,
      errorReason: null,
      replicatedBytes: 1_577,
      totalBytes: 3_000,
      replicaOverview: OVERVIEW,
    }
    const { data } = await api.call('GET', `/task/record/${recordId}`)
    assert.deepEqual(Object.keys(data), [
      'replicaObjectType',
      'replicaType',
      'record',
      'retryOf',
      'links',
      'taskSnapshot',
    ])
    assert.deepEqual([data.replicaObjectType, data.replicaType], ['REPOSITORY', 'SCHEDULED'])
    assert.deepEqual(Object.entries(data.record), Object.entries(running))
    assert.deepEqual([data.taskSnapshot.task.name, data.taskSnapshot.objects.length], ['plan', 1])
    assert.deepEqual((await api.call('GET', `/task/record/overview/${recordId}`)).data, OVERVIEW)
    assert.equal((await api.call('GET', `/task/info/${key}`)).data.replicatedBytes, 1_577)

    await closeIt(api, api.clock.now() + HOUR_MS)
    const closed = {
      ...running,
      status: 'FAILED',
      endTime: '2026-01-01T01:00:00.000',
      errorReason: 'beijing: File [/Logs/c.log] conflict.',
    }
    assert.deepEqual((await api.call('GET', `/task/record/${recordId}`)).data.record, closed)
    assert.deepEqual((await api.call('GET', `/task/record/list/${key}`)).data, [closed])
    assert.deepEqual((await api.call('GET', `/task/record/overview/${recordId}`)).data, OVERVIEW)
  })

  it('given a record, when its details are counted, then they give its overview, but for what was unchanged', async (t) => {
    await using db = await make()
    await using api = await synthetic(db, t.signal)
    const { data } = await api.call('GET', `/task/record/detail/list/${api.recordId}`)
    const sum = (name: string) =>
      data.reduce((total: number, { progress }: { progress: Record<string, number> }) => total + progress[name]!, 0)
    const unchanged = 5
    assert.deepEqual(
      { success: sum('success'), failed: sum('failed'), conflict: sum('conflict'), skip: sum('skip') + unchanged },
      { success: OVERVIEW.success, failed: OVERVIEW.failed, conflict: OVERVIEW.conflict, skip: OVERVIEW.skip },
    )
    assert.deepEqual(
      data.map(({ id }: { id: string }) => Number(id)),
      [9, 8, 7, 6, 5, 4, 3, 2, 1],
    )
  })

  it("given details of a file and of a version, when read, then they are as the contract's newer sample", async (t) => {
    await using db = await make()
    await using api = await synthetic(db, t.signal)
    const { data } = await api.call('GET', `/task/record/detail/page/${api.recordId}?pageNumber=1&pageSize=20`)
    const file = {
      id: '1'.padStart(24, '0'),
      recordId: api.recordId,
      localCluster: 'center',
      remoteCluster: 'beijing',
      localRepoName: 'generic-local',
      repoType: 'GENERIC',
      packageConstraint: null,
      pathConstraint: null,
      artifactName: '/bkrepo.op.conf.bak',
      version: null,
      conflictStrategy: 'SKIP',
      size: 646,
      sha256: SHA256,
      status: 'SUCCESS',
      progress: { success: 0, skip: 1, failed: 0, totalSize: 646, conflict: 1, fileSuccess: 0, fileFailed: 0 },
      startTime: '2026-01-01T00:00:00.001',
      endTime: '2026-01-01T00:00:00.002',
      errorReason: null,
      executeType: 'FULL',
    }
    assert.deepEqual(Object.entries(data.records.at(-1)), Object.entries(file))
    const { artifactName, packageConstraint, sha256, repoType, version: name } = data.records[0]
    assert.deepEqual(
      [artifactName, packageConstraint, sha256, repoType, name],
      ['@scope/left', { packageKey: 'npm://@scope/left', versions: ['2.0.0'] }, null, 'NPM', '2.0.0'],
    )
  })

  it('given filters, when details are paged, then all must hold, prefixes are literal, and the counts follow', async (t) => {
    await using db = await make()
    await using api = await synthetic(db, t.signal)
    const cases: [query: Record<string, string>, found: number[]][] = [
      [{}, [9, 8, 7, 6, 5, 4, 3, 2, 1]],
      [{ path: '', status: '', clusterName: '', version: '' }, [9, 8, 7, 6, 5, 4, 3, 2, 1]],
      [{ path: '/logs/' }, [5, 3, 2]],
      [{ path: '/logs/a%' }, [2]],
      [{ path: '/logs/a_' }, []],
      [{ path: '.*' }, []],
      [{ path: '/Logs' }, [4]],
      [{ path: '/left' }, [6]],
      [{ status: 'failed' }, [4]],
      [{ status: 'RUNNING' }, []],
      [{ clusterName: 'shanghai' }, [6, 5]],
      [{ clusterName: 'shang' }, []],
      [{ repoName: 'second' }, [9, 8, 7]],
      [{ repoName: 'generic-local', clusterName: 'beijing' }, [4, 3, 2, 1]],
      [{ repoName: 'second', clusterName: 'shanghai' }, []],
      [{ packageName: 'left' }, [8, 7]],
      [{ packageName: 'npm://left-pad' }, [8, 7]],
      [{ packageName: 'npm' }, [9, 8, 7]],
      [{ packageName: '@scope' }, [9]],
      [{ packageName: 'pad' }, []],
      [{ version: '1.0.0' }, [7]],
      [{ packageName: 'left', version: '1.0.0-beta' }, [8]],
      [{ artifactName: '/left' }, [6]],
      [{ artifactName: 'left' }, [8, 7]],
      [{ artifactName: '/logs/a', clusterName: 'beijing', status: 'SUCCESS' }, [3, 2]],
    ]
    for (const [query, found] of cases) {
      const text = new URLSearchParams(query).toString()
      const { data } = await api.call('GET', `/task/record/detail/page/${api.recordId}?${text}`)
      const ids = data.records.map(({ id }: { id: string }) => Number.parseInt(id, 16))
      assert.deepEqual([ids, data.totalRecords], [found, found.length], text)
    }
    const { records, ...page } = (
      await api.call('GET', `/task/record/detail/page/${api.recordId}?pageNumber=3&pageSize=4`)
    ).data
    assert.deepEqual(page, { pageNumber: 3, pageSize: 4, totalRecords: 9, totalPages: 3, count: 9, page: 3 })
    assert.equal(records.length, 1)
  })

  it('given several records, when listed and paged, then the newest comes first and the status filters', async (t) => {
    await using db = await make()
    await using api = await synthetic(db, t.signal)
    await closeIt(api)
    await api.clock.advance(1_000)
    await api.call('POST', `/task/execute/${api.key}`)
    const statuses = (records: { status: string }[]) => records.map(({ status }) => status)
    assert.deepEqual(statuses((await api.call('GET', `/task/record/list/${api.key}`)).data), ['RUNNING', 'FAILED'])
    const page = async (query: string) => (await api.call('GET', `/task/record/page/${api.key}?${query}`)).data
    assert.deepEqual(statuses((await page('pageNumber=0&pageSize=1')).records), ['RUNNING'])
    assert.deepEqual(statuses((await page('pageNumber=2&pageSize=1')).records), ['FAILED'])
    const failed = await page('status=failed&pageSize=1000000000')
    assert.deepEqual([statuses(failed.records), failed.totalRecords, failed.pageSize], [['FAILED'], 1, 1000])
    assert.equal((await page('pageSize=0')).pageSize, 20)
  })

  it('case 56: given a record of before overviews were kept, when its overview is asked for, then data is null, code 0', async (t) => {
    await using db = await make()
    await using api = await synthetic(db, t.signal)
    await closeIt(api)
    await db.transact((trx) => trx.updateTable('execution_record').set({ overview: null }).execute())
    const answer = await api.call('GET', `/task/record/overview/${api.recordId}`)
    assert.deepEqual([answer.status, answer.code, answer.data], [200, 0, null])
  })

  it('given unknown keys and wrong enums, when asked for, then lists are empty, the record is 250310, the enum 250131', async () => {
    await using db = await make()
    await using api = await replicationApi(db)
    const unknown = 'f'.repeat(24)
    const noPage = { pageNumber: 1, pageSize: 20, totalRecords: 0, totalPages: 0, records: [], count: 0, page: 1 }
    assert.deepEqual((await api.call('GET', `/task/record/list/${unknown}`)).data, [])
    assert.deepEqual((await api.call('GET', `/task/record/page/${unknown}`)).data, noPage)
    assert.deepEqual((await api.call('GET', `/task/record/detail/list/${unknown}`)).data, [])
    assert.deepEqual((await api.call('GET', `/task/record/detail/page/${unknown}`)).data, noPage)
    assert.deepEqual(await api.call('GET', `/task/record/overview/${unknown}`), {
      status: 200,
      code: 0,
      message: null,
      data: null,
    })
    const record = await api.call('GET', `/task/record/${unknown}`)
    assert.deepEqual([record.status, record.code], [400, 250310])
    for (const path of ['page', 'detail/page']) {
      const answer = await api.call('GET', `/task/record/${path}/${unknown}?status=HAPPY`)
      assert.deepEqual([answer.status, answer.code], [400, 250131])
    }
  })

  it('given the routes, when the OpenAPI document is made, then each is in it with its shape', async () => {
    await using db = await make()
    await using api = await replicationApi(db)
    const document = (await api.app.inject('/openapi.json')).json()
    const paths = Object.keys(document.paths)
    for (const path of ['task/create', 'task/record/detail/page/{recordId}', 'cluster/tryConnect']) {
      assert.ok(paths.includes(`/replication/api/${path}`), path)
    }
    const create = document.paths['/replication/api/task/create'].post
    const body = create.requestBody.content['application/json'].schema
    assert.ok('replicaTaskObjects' in body.properties)
    assert.ok(create.responses['200'].content['application/json'].schema.properties.data.properties.remoteClusters)
  })
})
