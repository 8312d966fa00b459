import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ApiError } from '../helpers/api.ts'
import { eachDialect, startCluster } from '../helpers/local-cluster.ts'
import { createRepository, executeTask, type Page, registerCluster } from '../helpers/replication-calls.ts'
import { counts, REPO, sha256, type TwoClusters, twoClusters } from '../helpers/two-clusters.ts'

const refusedWith = (code: number) => (error: unknown) => error instanceof ApiError && error.code === code

const ROWS_OF_TASKS = [
  ...(['replication_task', 'task_object', 'task_target', 'link', 'link_divergence', 'execution_record'] as const),
  ...(['exec_link', 'exec_path', 'exec_shard', 'record_detail', 'live_link', 'webhook_delivery'] as const),
]

/** Copies a task, has the copy overwrite, and switches it on. @returns its key. */
async function overwritingCopy({ a }: TwoClusters, key: string, signal: AbortSignal): Promise<string> {
  const call = <T>(method: string, path: string, body?: unknown) =>
    a.api.call<T>(method, `/replication/api/task${path}`, body, signal)
  await call('POST', '/copy', { key, name: 'a copy' })
  const { records } = await call<Page<{ key: string }>>('GET', `/page/proj?name=${encodeURIComponent('a copy')}`)
  const copy = records[0]!.key
  const { task, objects } = await call<{
    task: { setting: object; remoteClusters: { id: string }[] }
    objects: unknown[]
  }>('GET', `/detail/${copy}`)
  await call('POST', '/update', {
    ...{ key: copy, name: 'a copy', localProjectId: 'proj', replicaObjectType: 'REPOSITORY' },
    ...{ replicaTaskObjects: objects, remoteClusterIds: task.remoteClusters.map(({ id }) => id) },
    setting: { ...task.setting, conflictStrategy: 'OVERWRITE' },
  })
  await call('POST', `/toggle/status/${copy}`)
  return copy
}

eachDialect('replication.md section 7', (dialect) => {
  describe('what one run does', () => {
    it('case 1: given 3 files, when a task is created, then all 3 arrive with their metadata, a record and 3 details', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await two.put(two.a, '/a.txt', 'one', { Owner: 'ann' })
      await two.put(two.a, '/dir/b c+%.txt', 'two')
      await two.put(two.a, '/dir/deep/\u{1f600}.bin', Buffer.alloc(100_000, 7))
      const run = await two.replicate()
      assert.equal(run.record.status, 'SUCCESS')
      assert.equal(run.record.errorReason, null)
      assert.equal(counts(run), '3/0/0/0')
      assert.deepEqual(await two.files(two.b), await two.files(two.a))
      assert.deepEqual(run.details.map((detail) => detail.artifactName).sort(), [
        '/a.txt',
        '/dir/b c+%.txt',
        '/dir/deep/\u{1f600}.bin',
      ])
      for (const detail of run.details) {
        assert.equal(detail.status, 'SUCCESS')
        assert.equal(detail.conflictStrategy, null)
        assert.equal(detail.remoteCluster, 'beta')
      }
      assert.equal(run.details.find(({ artifactName }) => artifactName === '/a.txt')?.sha256, sha256('one'))
    })

    it('case 2: given nothing changed, when executed again, then all are counted as skipped, no detail, no bytes, 1 request', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      for (const name of ['/1', '/2', '/3']) await two.put(two.a, name, name)
      const { key } = await two.replicate()
      const before = { requests: two.line.seen.length, bytes: two.line.bodyBytes() }
      const run = await two.again(key)
      assert.equal(counts(run), '0/3/0/0')
      assert.equal(run.record.status, 'SUCCESS')
      assert.equal(run.record.replicatedBytes, 0)
      assert.deepEqual(run.details, [])
      assert.deepEqual(
        two.line.seen.slice(before.requests).map(({ path }) => path.replace(/[0-9a-f]{32}/, '{link}')),
        ['/sync/v1/links/{link}/open'],
      )
    })

    it('case 3: given one file changed here and another by users there, when run with SKIP and then OVERWRITE, then fast-forward, kept, replaced', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      for (const name of ['/ours', '/theirs', '/same']) await two.put(two.a, name, 'first')
      const { key } = await two.replicate()
      await two.put(two.a, '/ours', 'second')
      await two.put(two.b, '/theirs', 'by users')
      const skipping = await two.again(key)
      assert.equal(counts(skipping), '1/2/0/1')
      assert.equal(await two.text(two.b, '/ours'), 'second')
      assert.equal(await two.text(two.b, '/theirs'), 'by users')
      const kept = skipping.details.find(({ artifactName }) => artifactName === '/theirs')
      assert.deepEqual([kept?.status, kept?.conflictStrategy], ['SUCCESS', 'SKIP'])
      const forward = skipping.details.find(({ artifactName }) => artifactName === '/ours')
      assert.deepEqual([forward?.status, forward?.conflictStrategy], ['SUCCESS', null])
      const overwriting = await two.ended(await overwritingCopy(two, key, t.signal), 1)
      assert.equal(counts(overwriting), '1/2/0/1')
      assert.equal(overwriting.details[0]?.conflictStrategy, 'OVERWRITE')
      assert.equal(await two.text(two.b, '/theirs'), 'first')
    })

    it('case 4: given the same content there by its users, when run with OVERWRITE, then it is skipped and no byte is sent', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await createRepository(two.b.api, REPO, t.signal)
      await two.put(two.a, '/x', 'equal')
      await two.put(two.b, '/x', 'equal')
      const before = await two.b.api.call('GET', `/repository/api/node/detail/${REPO}/x`, undefined, t.signal)
      const run = await two.replicate({ setting: { conflictStrategy: 'OVERWRITE' } })
      assert.equal(counts(run), '0/1/0/0')
      assert.deepEqual(run.details, [])
      assert.ok(!two.line.seen.some(({ path }) => path.includes('/blobs') || path.includes('/stream')))
      assert.deepEqual(
        await two.b.api.call('GET', `/repository/api/node/detail/${REPO}/x`, undefined, t.signal),
        before,
      )
    })

    it('case 5: given one of 3 there with other content, when FAST_FAIL conflict and CONTINUE, then 2 are copied and 1 failed', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await createRepository(two.b.api, REPO, t.signal)
      for (const name of ['/1', '/2', '/3']) await two.put(two.a, name, name)
      await two.put(two.b, '/2', 'other')
      const run = await two.replicate({ setting: { conflictStrategy: 'FAST_FAIL' } })
      assert.equal(run.record.status, 'FAILED')
      assert.equal(counts(run), '2/0/1/1')
      assert.match(run.record.errorReason ?? '', /^beta: File \[\/2\] conflict/)
      assert.equal(run.details.find(({ status }) => status === 'FAILED')?.conflictStrategy, 'FAST_FAIL')
      assert.equal(await two.text(two.b, '/2'), 'other')
    })

    it('case 6: given a conflict at one of two targets, when FAST_FAIL twice, then that target stops and the other is complete', async (t) => {
      const oneByOne = { ENTREPOT_REPLICATION_BATCH_FILES: '1', ENTREPOT_REPLICATION_STREAMS: '1' }
      await using two = await twoClusters(dialect, t.signal, oneByOne)
      await using gamma = await startCluster({ name: 'gamma', dialect })
      const other = { name: 'gamma', url: gamma.url, user: 'admin', password: gamma.password }
      const gammaId = await registerCluster(two.a.api, other, t.signal)
      await createRepository(two.b.api, REPO, t.signal)
      const paths = Array.from({ length: 10 }, (_, n) => `/${n}`)
      for (const path of paths) await two.put(two.a, path, `here ${path}`)
      await two.put(two.b, '/0', 'other')
      const run = await two.replicate({
        remoteClusterIds: [two.clusterId, gammaId],
        setting: { conflictStrategy: 'FAST_FAIL', errorStrategy: 'FAST_FAIL' },
      })
      assert.equal(run.record.status, 'FAILED')
      assert.match(run.record.errorReason ?? '', /^beta: File \[\/0\] conflict[^\n]*$/)
      const at = (cluster: string) => run.details.filter(({ remoteCluster }) => remoteCluster === cluster)
      assert.deepEqual(
        at('beta').map(({ artifactName, status, conflictStrategy }) => [artifactName, status, conflictStrategy]),
        [['/0', 'FAILED', 'FAST_FAIL']],
      )
      assert.deepEqual(
        (await two.files(two.b)).map(({ path }) => path),
        ['/0'],
      )
      assert.deepEqual(
        at('gamma').map(({ status }) => status),
        paths.map(() => 'SUCCESS'),
      )
      assert.deepEqual(await two.files(gamma), await two.files(two.a))
    })

    it('case 7: given includeMetadata false, when run, then the target has no metadata', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await two.put(two.a, '/x', 'x', { key: 'value' })
      await two.replicate({ setting: { includeMetadata: false } })
      assert.deepEqual((await two.files(two.b))[0]?.metadata, {})
    })

    it('case 8: given the blob there under another path, when run, then the node is made and no blob byte travels', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await createRepository(two.b.api, REPO, t.signal)
      await two.put(two.b, '/elsewhere', 'the bytes')
      await two.put(two.a, '/x', 'the bytes')
      const run = await two.replicate()
      assert.equal(counts(run), '1/0/0/0')
      assert.equal(run.overview.fileSuccess, 0)
      assert.equal(run.record.replicatedBytes, 0)
      assert.ok(!two.line.seen.some(({ path }) => /\/blobs\/[0-9a-f]/.test(path)))
      assert.equal(await two.text(two.b, '/x'), 'the bytes')
    })

    it('case 9: given no repository there, when run, then project and repository are made with type, public flag and description', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      const made = {
        projectId: 'proj',
        name: 'open',
        type: 'GENERIC',
        category: 'LOCAL',
        public: true,
        description: 'all may read',
      }
      await two.a.api.call('POST', '/repository/api/repo/create', made, t.signal)
      const object = {
        localRepoName: 'open',
        remoteProjectId: 'elsewhere',
        remoteRepoName: 'renamed',
        repoType: 'GENERIC',
      }
      await two.replicate({ replicaTaskObjects: [{ ...object, packageConstraints: [], pathConstraints: [] }] })
      const found = await two.b.api.call<typeof made>(
        'GET',
        '/repository/api/repo/info/elsewhere/renamed',
        undefined,
        t.signal,
      )
      assert.deepEqual([found.type, found.public, found.description], ['GENERIC', true, 'all may read'])
    })

    it('case 10: given automaticCreateRemoteRepo false and no repository, when run, then FAILED with 251006 and nothing is made', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await two.put(two.a, '/x', 'x')
      const run = await two.replicate({ setting: { automaticCreateRemoteRepo: false } })
      assert.equal(run.record.status, 'FAILED')
      assert.match(run.record.errorReason ?? '', /beta: .*251006/)
      assert.deepEqual(run.details, [])
      assert.equal(await two.b.api.call('GET', '/repository/api/project/exist/proj', undefined, t.signal), false)
    })
  })

  describe('tasks', () => {
    it('case 13: given an unknown or an unreachable cluster, when a task is created, then 250306 or 250301', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await assert.rejects(two.create({ remoteClusterIds: ['nobody'] }), refusedWith(250306))
      two.line.script(() => ({ cutAfterBytes: 0 }))
      await assert.rejects(two.create(), refusedWith(250301))
    })

    it('case 16: given enabled false, when toggled on, then exactly one run', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await two.put(two.a, '/x', 'x')
      const key = await two.create({ enabled: false })
      const list = () =>
        two.a.api.call<unknown[]>('GET', `/replication/api/task/record/list/${key}`, undefined, t.signal)
      assert.deepEqual(await list(), [])
      await two.a.api.call('POST', `/replication/api/task/toggle/status/${key}`, undefined, t.signal)
      await two.ended(key, 1)
      await two.a.api.call('POST', `/replication/api/task/toggle/status/${key}`, undefined, t.signal)
      await two.a.api.call('POST', `/replication/api/task/toggle/status/${key}`, undefined, t.signal)
      assert.equal((await list()).length, 1)
    })

    it('case 18: given a running task, when executed or deleted, then 250303, or task and rows are gone and nothing is written afterwards', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await two.put(two.a, '/x', 'x')
      const held = two.line.hold(({ path }) => path.includes('/missing'))
      const key = await two.create()
      await held.reached
      await assert.rejects(executeTask(two.a.api, key, t.signal), refusedWith(250303))
      await two.a.api.call('DELETE', `/replication/api/task/delete/${key}`, undefined, t.signal)
      held.release()
      await two.a.idle()
      for (const table of ROWS_OF_TASKS) {
        assert.deepEqual(await two.a.db.read.selectFrom(table).selectAll().execute(), [], table)
      }
      await assert.rejects(
        two.a.api.call('GET', `/replication/api/task/info/${key}`, undefined, t.signal),
        refusedWith(250310),
      )
      assert.deepEqual(await two.a.api.call('GET', `/replication/api/task/record/list/${key}`, undefined, t.signal), [])
    })

    it('case 19: given a task that has run, when updated, then the next run uses it and the old record keeps its own; 250303 while running', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await two.put(two.a, '/x', 'x')
      const first = await two.replicate()
      const update = {
        key: first.key,
        name: 'renamed',
        localProjectId: 'proj',
        replicaObjectType: 'PATH',
        remoteClusterIds: [two.clusterId],
      }
      const object = { localRepoName: 'files', remoteProjectId: 'proj', remoteRepoName: 'files', repoType: 'GENERIC' }
      const body = { ...update, replicaTaskObjects: [{ ...object, pathConstraints: [{ path: '/only' }] }] }
      await two.a.api.call('POST', '/replication/api/task/update', body, t.signal)
      await two.put(two.a, '/only/this', '1')
      await two.put(two.a, '/not/that', '2')
      const held = two.line.hold(({ path }) => path.includes('/open'))
      await executeTask(two.a.api, first.key, t.signal)
      await held.reached
      await assert.rejects(two.a.api.call('POST', '/replication/api/task/update', body, t.signal), refusedWith(250303))
      held.release()
      const second = await two.ended(first.key, 2)
      assert.equal(counts(second), '1/0/0/0')
      assert.deepEqual(
        (await two.files(two.b)).map(({ path }) => path),
        ['/only/this', '/x'],
      )
      const path = `/replication/api/task/record/${first.record.id}`
      const { taskSnapshot } = await two.a.api.call<{ taskSnapshot: { task: { name: string } } }>(
        'GET',
        path,
        undefined,
        t.signal,
      )
      assert.notEqual(taskSnapshot.task.name, 'renamed')
    })
  })

  describe('bad lines and bad targets', () => {
    it('case 24: given a target that answers 503 three times, when run, then SUCCESS after the waits, with one detail', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await two.put(two.a, '/x', 'x')
      let left = 3
      two.line.script(({ path }) => (path.includes('/blobs') && left-- > 0 ? { answer: 503 } : undefined))
      const run = await two.replicate()
      assert.equal(counts(run), '1/0/0/0')
      assert.equal(run.details.length, 1)
      assert.equal(run.record.status, 'SUCCESS')
    })

    it('case 25: given a connection cut at 60 % of a large file, when the run goes on, then only the missing parts are sent', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      const size = 10 * two.a.partSizeBytes
      await two.put(two.a, '/large', Buffer.alloc(size, 'large file '))
      let cuts = 0
      two.line.script(({ path }) => (path.endsWith('/parts/6') && cuts++ === 0 ? { cutAfterBytes: 1000 } : undefined))
      const run = await two.replicate()
      assert.equal(run.record.status, 'SUCCESS')
      assert.equal(counts(run), '1/0/0/0')
      assert.equal(cuts >= 2, true)
      const sent = two.line.seen.filter(({ path }) => path.includes('/parts/'))
      assert.ok(sent.length <= 13, `${sent.length} parts were sent for 10`)
      assert.deepEqual(await two.files(two.b), await two.files(two.a))
    })

    it('case 26: given one byte turned over on its way, when run, then nothing wrong is visible and it is sent again', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await two.put(two.a, '/small', 'small content')
      await two.put(two.a, '/middle', Buffer.alloc(two.a.partSizeBytes - 10, 'm'))
      await two.put(two.a, '/large', Buffer.alloc(two.a.partSizeBytes + 10, 'l'))
      const flipped = new Set<string>()
      two.line.script(({ path, method }) => {
        const way = path.includes('/parts/0')
          ? 'parts'
          : path.endsWith('/stream')
            ? 'stream'
            : path.includes('/blobs/')
              ? 'blob'
              : undefined
        if (method === 'GET' || path.endsWith('/missing') || way === undefined || flipped.has(way)) return undefined
        flipped.add(way)
        return { flip: { of: 'request', at: 40, bit: 0 } }
      })
      const run = await two.replicate()
      assert.deepEqual([...flipped].sort(), ['blob', 'parts', 'stream'])
      assert.equal(run.record.status, 'SUCCESS')
      assert.equal(counts(run), '3/0/0/0')
      assert.deepEqual(await two.files(two.b), await two.files(two.a))
    })
  })
})
