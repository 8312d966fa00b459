import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ApiError } from '../helpers/api.ts'
import { hangingTarget } from '../helpers/hanging-target.ts'
import { eachDialect } from '../helpers/local-cluster.ts'
import { poisonedLine } from '../helpers/poisoned-line.ts'
import { listRecords, type Page } from '../helpers/replication-calls.ts'
import { counts, sha256, type TwoClusters, twoClusters } from '../helpers/two-clusters.ts'

const GIVES_UP_SOON = { ENTREPOT_REPLICATION_LINK_TIMEOUT_MS: '500' }
const FAILURES = '/replication/api/replica/failure'

interface Failure {
  readonly id: string
  readonly failureType: string
  readonly pathConstraint: { readonly path: string } | null
  readonly failureReason: string
  readonly retryCount: number
  readonly retrying: boolean
  readonly nextRetryDate: string | null
}
const failuresOf = async ({ a }: TwoClusters, query: string, signal: AbortSignal) =>
  a.api.call<Page<Failure>>('GET', `${FAILURES}/page?${query}`, undefined, signal)

/** All that waits is due, and the chore that looks for it comes now. */
async function passTime({ a }: TwoClusters): Promise<void> {
  await a.db.transact(async (trx) => {
    await trx.updateTable('link_divergence').set({ due_at: 1 }).where('due_at', 'is not', null).execute()
    await trx.updateTable('job').set({ due_at: 0 }).where('kind', '=', 'retry-failures').execute()
  })
}
const isCode = (code: number) => (error: unknown) => error instanceof ApiError && error.code === code

eachDialect('trying again what failed', (dialect) => {
  it('case 23: given one of two targets is down during the run, when it is back, then what is missing arrives without user action', async (t) => {
    await using two = await twoClusters(dialect, t.signal, GIVES_UP_SOON)
    await two.put(two.a, '/x', 'x')
    const direct = { name: 'gamma', url: two.b.url, type: 'STANDALONE', username: 'admin', password: two.b.password }
    await two.a.api.call('POST', '/replication/api/cluster/create', direct, t.signal)
    const repository = { localRepoName: 'files', remoteProjectId: 'proj', remoteRepoName: 'copy', repoType: 'GENERIC' }
    const key = await two.create({
      enabled: false,
      remoteClusterIds: [two.clusterId, 'gamma'],
      replicaTaskObjects: [{ ...repository, packageConstraints: [], pathConstraints: [] }],
    })
    two.line.script(() => ({ cutAfterBytes: 0 }))
    await two.a.api.call('POST', `/replication/api/task/toggle/status/${key}`, undefined, t.signal)
    const first = await two.ended(key, 1)
    assert.equal(first.record.status, 'FAILED')
    assert.match(first.record.errorReason ?? '', /^beta: gave up after [^\n]*$/)
    const { records } = await failuresOf(two, `taskKey=${key}`, t.signal)
    assert.deepEqual(
      records.map(({ failureType, retryCount, pathConstraint }) => [failureType, retryCount, pathConstraint]),
      [['REPOSITORY', 0, null]],
    )
    assert.notEqual(records[0]?.nextRetryDate, null)

    two.line.script(() => undefined)
    await passTime(two)
    const second = await two.ended(key, 2)
    assert.equal(second.record.status, 'SUCCESS')
    assert.deepEqual(
      second.details.map(({ remoteCluster }) => remoteCluster),
      ['beta'].slice(0, second.details.length),
    )
    const all = await listRecords(two.a.api, key, t.signal)
    assert.deepEqual(
      all.map(({ status }) => status),
      ['SUCCESS', 'FAILED'],
    )
    assert.equal((await failuresOf(two, `taskKey=${key}`, t.signal)).totalRecords, 0)
  })

  it('given artifacts that failed, when the record is retried, then a run of its own brings them and nothing else', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    for (const name of ['/1', '/2', '/3']) await two.put(two.a, name, name.repeat(50_000))
    const refused = ['/1', '/2'].map((name) => sha256(name.repeat(50_000)))
    two.line.script(({ path }) => (refused.some((digest) => path.includes(digest)) ? { answer: 503 } : undefined))
    const run = await two.replicate()
    assert.equal(counts(run), '1/0/2/0')
    const retry = (id: string) =>
      two.a.api.call<string>('POST', `/replication/api/task/record/retry/${id}`, undefined, t.signal)
    await two.put(two.a, '/later', 'of the next run')
    two.line.script(() => undefined)
    const newId = await retry(run.record.id)
    const second = await two.ended(run.key, 2)
    assert.equal(second.record.id, newId)
    assert.equal(counts(second), '2/0/0/0')
    assert.equal(second.details.length, 2)
    await assert.rejects(retry(newId), isCode(250105))
    await assert.rejects(retry('000000000000000000000000'), isCode(250310))
    assert.equal(counts(await two.again(run.key)), '1/3/0/0')
    await two.a.api.call('POST', `/replication/api/task/toggle/status/${run.key}`, undefined, t.signal)
    await assert.rejects(retry(run.record.id), isCode(250304))
    const { retryOf } = await two.a.api.call<{ retryOf: string | null }>(
      'GET',
      `/replication/api/task/record/${newId}`,
      undefined,
      t.signal,
    )
    assert.equal(retryOf, run.record.id)
  })

  it('given failures, when they are listed, deleted and retried by id, then the queue follows and no file is forgotten', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    for (const name of ['/1', '/2']) await two.put(two.a, name, name.repeat(50_000))
    two.line.script(({ method, path }) =>
      method === 'PUT' && path.includes('/blobs/') ? { answer: 503, headers: { 'retry-after': '0' } } : undefined,
    )
    const run = await two.replicate()
    assert.equal(counts(run), '0/0/2/0')
    const page = await failuresOf(two, `taskKey=${run.key}&sortField=createdDate&sortDirection=asc`, t.signal)
    assert.deepEqual(page.records.map(({ pathConstraint }) => pathConstraint?.path).sort(), ['/1', '/2'])
    const [first, second] = page.records as [Failure, Failure]
    assert.match(first.failureReason, /^File \[\/[12]\] could not be sent: .*503/)
    for (const [query, total] of [
      ['failureType=PATH', 2],
      ['failureType=PACKAGE', 0],
      ['maxRetryCount=0', 0],
      ['maxRetryCount=-1', 2],
      ['retrying=true', 0],
      ['retrying=false', 2],
      ['projectId=proj&repoName=files&remoteProjectId=proj&remoteRepoName=files', 2],
      [`remoteClusterId=${two.clusterId}`, 2],
      ['remoteClusterId=nobody', 0],
    ] as const) {
      assert.equal((await failuresOf(two, query, t.signal)).totalRecords, total, query)
    }
    await assert.rejects(failuresOf(two, 'sortField=name', t.signal), isCode(250131))
    await assert.rejects(failuresOf(two, 'sortDirection=up', t.signal), isCode(250105))
    await assert.rejects(failuresOf(two, 'failureType=NODE', t.signal), isCode(250131))
    const call = <T>(method: string, path: string, body?: unknown) =>
      two.a.api.call<T>(method as 'POST', FAILURES + path, body, t.signal)
    await assert.rejects(call('DELETE', '/delete', {}), isCode(250103))
    assert.equal(await call('DELETE', '/delete', { ids: [first.id, 'unknown'] }), 1)
    assert.equal(await call('DELETE', '/delete', { ids: [second.id], maxRetryCount: 3 }), 0)
    assert.equal(await call('GET', `/${first.id}`), null)
    await assert.rejects(call('POST', '/retry', { id: first.id }), isCode(250325))

    two.line.script(() => undefined)
    assert.equal(await call('POST', '/retry', { id: second.id }), true)
    const retried = await two.ended(run.key, 2)
    assert.equal(counts(retried), '1/0/0/0')
    assert.equal(retried.details[0]?.artifactName, second.pathConstraint?.path)
    assert.equal((await failuresOf(two, '', t.signal)).totalRecords, 0)
    // The one that was taken out of the queue is in no cursor's past.
    assert.equal(counts(await two.again(run.key)), '1/1/0/0')
  })

  it('case 24: given a target that fails three times and then is fine, when run, then SUCCESS with one detail', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    await two.put(two.a, '/x', 'x'.repeat(100_000))
    let failures = 3
    two.line.script(({ method, path }) =>
      method === 'PUT' && path.includes('/blobs/') && failures-- > 0 ? { answer: 503 } : undefined,
    )
    const run = await two.replicate()
    assert.equal(counts(run), '1/0/0/0')
    assert.equal(run.details.length, 1)
  })

  it('case 26: given a byte that is broken on its way each time, when run, then nothing is visible there, and the reason says so', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    await two.put(two.a, '/x', 'x'.repeat(100_000))
    two.line.script(({ method, path }) =>
      method === 'PUT' && path.includes('/blobs/') ? { flip: { of: 'request', at: 50, bit: 0 } } : undefined,
    )
    const run = await two.replicate()
    assert.equal(counts(run), '0/0/1/0')
    assert.match(run.record.errorReason ?? '', /250311/)
    assert.deepEqual(await two.files(two.b), [])
  })

  it('given one file that breaks the connection each time it is sent, when run, then it alone FAILED and the rest arrives', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    for (const path of ['/a', '/m-poison', '/z', '/zz']) await two.put(two.a, path, path)
    await using line = await poisonedLine(two.b.url, 'm-poison')
    const poisoned = {
      name: 'poisoned',
      url: line.url,
      type: 'STANDALONE',
      username: 'admin',
      password: two.b.password,
    }
    await two.a.api.call('POST', '/replication/api/cluster/create', poisoned, t.signal)
    const run = await two.replicate({ remoteClusterIds: ['poisoned'] })
    assert.equal(counts(run), '3/0/1/0')
    assert.match(
      run.record.errorReason ?? '',
      /^poisoned: File \[\/m-poison\] could not be sent: the connection broke each/,
    )
    assert.deepEqual(
      (await two.files(two.b)).map(({ path }) => path),
      ['/a', '/z', '/zz'],
    )
  })

  it('given many tasks to a target that hangs, when another task runs, then it does not wait for any of them', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    await two.put(two.a, '/x', 'x')
    await using target = await hangingTarget(two.b.url)
    const hanging = {
      name: 'hanging',
      url: target.url,
      type: 'STANDALONE',
      username: 'admin',
      password: two.b.password,
    }
    await two.a.api.call('POST', '/replication/api/cluster/create', hanging, t.signal)
    const keys: string[] = []
    for (let n = 0; n < 12; n++) keys.push(await two.create({ enabled: false, remoteClusterIds: ['hanging'] }))
    target.hang()
    for (const key of keys) {
      await two.a.api.call('POST', `/replication/api/task/toggle/status/${key}`, undefined, t.signal)
    }
    while (target.waiting < 2) await sleep(5, undefined, { signal: t.signal })
    assert.equal(counts(await two.replicate()), '1/0/0/0')
    assert.ok(target.mostWaiting <= 2, `${target.mostWaiting} links held a place`)
    for (const key of keys) {
      const [record] = await listRecords(two.a.api, key, t.signal)
      assert.equal(record?.status, 'RUNNING')
      await two.a.api.call('DELETE', `/replication/api/task/delete/${key}`, undefined, t.signal)
    }
  })

  it('given a target that does not answer, when a run waits for it, then its record says since when and until when, and it ends SUCCESS', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    await two.put(two.a, '/x', 'x')
    const key = await two.create({ enabled: false })
    two.line.script(() => ({ cutAfterBytes: 0 }))
    await two.a.api.call('POST', `/replication/api/task/toggle/status/${key}`, undefined, t.signal)
    interface Shown {
      readonly record: { readonly status: string; readonly errorReason: string | null }
      readonly links: readonly {
        readonly remoteCluster: string
        readonly reason: string | null
        readonly downSince: string | null
      }[]
    }
    for (;;) {
      const [running] = await listRecords(two.a.api, key, t.signal)
      const path = `/replication/api/task/record/${running?.id}`
      const { record, links } = await two.a.api.call<Shown>('GET', path, undefined, t.signal)
      const [link] = links
      if (/^it does not answer since 20.*, next try at 20.*; last: /.test(link?.reason ?? '')) {
        assert.deepEqual([record.status, record.errorReason, link?.remoteCluster], ['RUNNING', null, 'beta'])
        assert.notEqual(link?.downSince, null)
        break
      }
      await sleep(5, undefined, { signal: t.signal })
    }
    two.line.script(() => undefined)
    assert.equal(counts(await two.ended(key, 1)), '1/0/0/0')
  })

  it('given requests about events that make no sense, when sent, then each is refused by its code', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    const call = <T>(method: string, path: string, body?: unknown) =>
      two.a.api.call<T>(method as 'POST', `/replication/api/replica/event${path}`, body, t.signal)
    assert.equal((await call<Page<unknown>>('GET', '/page?taskCompleted=false&eventType=normal')).totalRecords, 0)
    assert.equal((await call<Page<unknown>>('GET', '/page?eventType=FEDERATION')).totalRecords, 0)
    await assert.rejects(call('GET', '/page?eventType=OTHER'), isCode(250131))
    await assert.rejects(call('GET', '/page?taskCompleted=maybe'), isCode(250131))
    await assert.rejects(call('POST', '/retry', {}), isCode(250103))
    await assert.rejects(call('DELETE', ''), isCode(250103))
    assert.equal(await call('POST', '/retry', { taskKey: 'unknown' }), false)
    assert.equal(await call('DELETE', '?eventId=000000000000000000000000'), false)
    assert.equal(await call('GET', '/000000010000000000000001'), null)
    assert.equal(await call('GET', '/what'), null)
  })

  it('given a task that checks the storage, when run, then the target is asked again for what it wrote', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    await two.put(two.a, '/small', 's')
    await two.put(two.a, '/large', 'x'.repeat(100_000))
    const run = await two.replicate({ setting: { storageConsistencyCheck: true } })
    assert.equal(counts(run), '2/0/0/0')
    assert.ok(two.line.seen.some(({ path }) => path.endsWith('/blobs/missing?in=storage')))
  })

  it('given a target that takes no more than so much, when its node says so, then it is kept, shown and lifted again', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    const info = async () => {
      const found = await two.a.api.call<{ rateLimit: number }>(
        'GET',
        '/replication/api/cluster/info?name=beta',
        undefined,
        t.signal,
      )
      return found.rateLimit
    }
    const update = (change: object) =>
      two.a.api.call('POST', '/replication/api/cluster/update', { name: 'beta', ...change }, t.signal)
    assert.equal(await info(), 0)
    await update({ rateLimit: 50_000_000 })
    assert.equal(await info(), 50_000_000)
    await update({ url: two.line.url })
    assert.equal(await info(), 50_000_000)
    await two.put(two.a, '/x', 'x')
    assert.equal(counts(await two.replicate()), '1/0/0/0')
    await update({ rateLimit: 0 })
    assert.equal(await info(), 0)
    await assert.rejects(update({ rateLimit: 'fast' }), isCode(250106))
  })
})
