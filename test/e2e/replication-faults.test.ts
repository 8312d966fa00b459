import assert from 'node:assert/strict'
import { createServer as createTcpServer } from 'node:net'
import { describe, it } from 'node:test'
import { ApiError } from '../helpers/api.ts'
import { eachDialect } from '../helpers/local-cluster.ts'
import { createRepository } from '../helpers/replication-calls.ts'
import { counts, REPO, twoClusters } from '../helpers/two-clusters.ts'

const GIVES_UP_SOON = { ENTREPOT_REPLICATION_LINK_TIMEOUT_MS: '500' }

eachDialect('replication when things go wrong', (dialect) => {
  describe('the target', () => {
    it('given it is down during the run, when the time for reconnecting is over, then FAILED and the reason names it', async (t) => {
      await using two = await twoClusters(dialect, t.signal, GIVES_UP_SOON)
      await two.put(two.a, '/x', 'x')
      const key = await two.create({ enabled: false })
      two.line.script(() => ({ cutAfterBytes: 0 }))
      await two.a.api.call('POST', `/replication/api/task/toggle/status/${key}`, undefined, t.signal)
      const run = await two.ended(key, 1)
      assert.equal(run.record.status, 'FAILED')
      assert.match(run.record.errorReason ?? '', /^beta: /)
      two.line.script(() => undefined)
      assert.equal(counts(await two.again(key)), '1/0/0/0')
    })

    it('given it is away for a moment, when it is back, then the run ends SUCCESS and retries of artifacts were not used up', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      for (let n = 0; n < 5; n++) await two.put(two.a, `/${n}`, String(n))
      let cuts = 8
      two.line.script(({ path }) => (path.includes('/stream') && cuts-- > 0 ? { cutAfterBytes: 10 } : undefined))
      const run = await two.replicate()
      assert.equal(counts(run), '5/0/0/0')
      assert.ok(cuts < 0)
    })

    it('given it answers 500 to everything, when run, then FAILED with its answer and the next run brings all over', async (t) => {
      await using two = await twoClusters(dialect, t.signal, GIVES_UP_SOON)
      await two.put(two.a, '/x', 'x')
      const key = await two.create({ enabled: false })
      two.line.script(() => ({ answer: 500, body: 'oops' }))
      await two.a.api.call('POST', `/replication/api/task/toggle/status/${key}`, undefined, t.signal)
      const run = await two.ended(key, 1)
      assert.equal(run.record.status, 'FAILED')
      assert.match(run.record.errorReason ?? '', /beta: .*HTTP 500/)
      two.line.script(() => undefined)
      assert.equal(counts(await two.again(key)), '1/0/0/0')
    })

    it('given it is away for two thirds of the time that a run waits, when it is back, then the run goes on, however often it was tried', async (t) => {
      const waits = { ENTREPOT_REPLICATION_LINK_TIMEOUT_MS: '3000', ENTREPOT_REPLICATION_CIRCUIT_PAUSE_MS: '250' }
      await using two = await twoClusters(dialect, t.signal, waits)
      await two.put(two.a, '/x', 'x')
      const key = await two.create({ enabled: false })
      let awayUntil: number | undefined
      two.line.script(() => {
        awayUntil ??= performance.now() + 2_000
        return performance.now() < awayUntil ? { cutAfterBytes: 0 } : undefined
      })
      await two.a.api.call('POST', `/replication/api/task/toggle/status/${key}`, undefined, t.signal)
      assert.equal(counts(await two.ended(key, 1)), '1/0/0/0')
    })

    it('given it refuses the blobs with 503 beyond all retries, when run, then the artifacts are FAILED and the next run sends them although nothing changed', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      for (const name of ['/1', '/2']) await two.put(two.a, name, name.repeat(50_000))
      two.line.script(({ method, path }) =>
        method === 'PUT' && path.includes('/blobs/') ? { answer: 503 } : undefined,
      )
      const run = await two.replicate()
      assert.equal(counts(run), '0/0/2/0')
      assert.equal(run.record.status, 'FAILED')
      assert.match(run.record.errorReason ?? '', /^beta: File \[\/1\] could not be sent: .*503 \(\+1 more\)$/)
      assert.equal(run.overview.fileFailed, 2)
      two.line.script(() => undefined)
      assert.equal(counts(await two.again(run.key)), '2/0/0/0')
      assert.equal(counts(await two.again(run.key)), '0/2/0/0')
    })

    for (const [what, answer] of [
      ['a web page', { answer: 200, body: '<html>hello</html>', headers: { 'content-type': 'text/html' } }],
      ['JSON of something else', { answer: 200, body: '{"status":"ok"}' }],
      ['a redirect', { answer: 302, headers: { location: 'http://127.0.0.1:1/' } }],
    ] as const) {
      it(`given ${what} answers there, when run, then FAILED at once and the reason says so`, async (t) => {
        await using two = await twoClusters(dialect, t.signal)
        await two.put(two.a, '/x', 'x')
        const key = await two.create({ enabled: false })
        two.line.script(() => answer)
        await two.a.api.call('POST', `/replication/api/task/toggle/status/${key}`, undefined, t.signal)
        const run = await two.ended(key, 1)
        assert.equal(run.record.status, 'FAILED')
        assert.match(run.record.errorReason ?? '', /not an Entrepot answer/)
      })
    }

    it('given another protocol listens there, when a cluster is registered, then it is refused with what was found', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      const ssh = createTcpServer((socket) => {
        socket.on('error', () => undefined)
        socket.resume()
        socket.end('SSH-2.0-OpenSSH_9.2\r\n')
      })
      await new Promise<void>((resolve) => ssh.listen(0, '127.0.0.1', resolve))
      await using _closed = ssh
      const { port } = ssh.address() as { port: number }
      const body = { name: 'ssh', url: `http://127.0.0.1:${port}`, type: 'STANDALONE', username: 'u', password: 'p' }
      await assert.rejects(two.a.api.call('POST', '/replication/api/cluster/create', body, t.signal), (error) => {
        return error instanceof ApiError && error.status === 400 && /does not speak HTTP/.test(error.message)
      })
    })

    it('cases 11 and 61: given its repository is of another type, when run twice, then FAILED with 251007 each time and nothing is written', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await two.put(two.a, '/x', 'x')
      await createRepository(two.b.api, REPO, t.signal)
      await two.b.db.transact((trx) => trx.updateTable('repository').set({ type: 'MAVEN' }).execute())
      const run = await two.replicate()
      assert.equal(run.record.status, 'FAILED')
      assert.match(run.record.errorReason ?? '', /beta: .*251007/)
      assert.equal(counts(run), '0/0/0/0')
      assert.match((await two.again(run.key)).record.errorReason ?? '', /251007/)
      assert.ok(!two.line.seen.some(({ path }) => path.includes('/stream')))
    })

    it('given wrong credentials, when run, then FAILED at once and no secret is in the reason', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await two.put(two.a, '/x', 'x')
      const key = await two.create({ enabled: false })
      const body = {
        name: 'beta',
        url: two.line.url,
        type: 'STANDALONE',
        username: 'admin',
        password: 'sesame-open',
        ping: false,
      }
      await two.a.api.call('POST', '/replication/api/cluster/update', body, t.signal)
      await two.a.api.call('POST', `/replication/api/task/toggle/status/${key}`, undefined, t.signal)
      const run = await two.ended(key, 1)
      assert.equal(run.record.status, 'FAILED')
      assert.match(run.record.errorReason ?? '', /250114.*check username and password of the cluster \[beta\]/)
      assert.doesNotMatch(run.record.errorReason ?? '', /sesame/)
    })

    it('given its answer to a committed batch is lost, when the run goes on, then each artifact counts as written once', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await createRepository(two.b.api, REPO, t.signal)
      for (let n = 0; n < 20; n++) await two.put(two.a, `/${n}`, String(n))
      await two.put(two.b, '/7', 'other')
      let lost = 0
      two.line.script(({ path }) =>
        path.includes('/stream') && lost++ === 0 ? { afterAnswer: async () => {} } : undefined,
      )
      const run = await two.replicate({ setting: { conflictStrategy: 'OVERWRITE' } })
      assert.equal(counts(run), '20/0/0/1')
      assert.equal(run.details.length, 20)
      assert.equal(run.details.find(({ artifactName }) => artifactName === '/7')?.conflictStrategy, 'OVERWRITE')
    })

    it('given one of two targets is down, when run, then the other is complete and the reason names only the one', async (t) => {
      await using two = await twoClusters(dialect, t.signal, GIVES_UP_SOON)
      await two.put(two.a, '/x', 'x')
      const direct = { name: 'gamma', url: two.b.url, type: 'STANDALONE', username: 'admin', password: two.b.password }
      await two.a.api.call('POST', '/replication/api/cluster/create', direct, t.signal)
      const key = await two.create({ enabled: false, remoteClusterIds: [two.clusterId, 'gamma'] })
      two.line.script(() => ({ cutAfterBytes: 0 }))
      await two.a.api.call('POST', `/replication/api/task/toggle/status/${key}`, undefined, t.signal)
      const run = await two.ended(key, 1)
      assert.equal(run.record.status, 'FAILED')
      assert.match(run.record.errorReason ?? '', /^beta: [^\n]*$/)
      assert.deepEqual(
        run.details.map(({ remoteCluster }) => remoteCluster),
        ['gamma'],
      )
    })
  })

  describe('what the cursor proves', () => {
    it('given one of many files changed, when executed again, then it alone travels and the rest is counted as unchanged', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      for (let n = 0; n < 30; n++) await two.put(two.a, `/f${n}`, String(n))
      const { key } = await two.replicate()
      await two.put(two.a, '/f7', 'changed')
      await two.put(two.a, '/new', 'new')
      await two.a.api.call('DELETE', `/repository/api/node/delete/${REPO}/f8`, undefined, t.signal)
      const before = two.line.seen.length
      const run = await two.again(key)
      assert.equal(counts(run), '2/28/0/0')
      assert.ok(two.line.seen.length - before <= 6, `${two.line.seen.length - before} requests`)
      assert.equal(await two.text(two.b, '/f8'), '8')
    })

    it('given users deleted and changed files at the target, when executed again, then the deleted one is written and the changed one is a conflict', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      for (const name of ['/1', '/2', '/3']) await two.put(two.a, name, name)
      const { key } = await two.replicate()
      await two.b.api.call('DELETE', `/repository/api/node/delete/${REPO}/1`, undefined, t.signal)
      await two.put(two.b, '/2', 'by users')
      assert.equal(counts(await two.again(key)), '1/2/0/1')
      assert.equal(counts(await two.again(key)), '0/3/0/1')
      await two.put(two.b, '/2', '/2')
      assert.equal(counts(await two.again(key)), '0/3/0/0')
    })

    it('given metadata alone changed, when executed again, then it travels without bytes', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await two.put(two.a, '/x', 'x', { stage: 'test', owner: 'ann' })
      const { key } = await two.replicate()
      await two.a.api.call('POST', `/repository/api/metadata/${REPO}/x`, { metadata: { stage: 'prod' } }, t.signal)
      const run = await two.again(key)
      assert.equal(counts(run), '1/0/0/0')
      assert.equal(run.record.replicatedBytes, 0)
      assert.deepEqual((await two.files(two.b))[0]?.metadata, { stage: 'prod', owner: 'ann' })
    })

    it('given two clusters that replicate to each other, when both run, then the second direction finds all equal', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await two.put(two.a, '/x', 'x', { k: 'v' })
      await two.replicate({ setting: { conflictStrategy: 'OVERWRITE' } })
      const back = { name: 'alpha', url: two.a.url, type: 'STANDALONE', username: 'admin', password: two.a.password }
      await two.b.api.call('POST', '/replication/api/cluster/create', back, t.signal)
      const run = await two.replicateBack()
      assert.equal(counts(run), '0/1/0/0')
    })
  })

  describe('constraints', () => {
    it('given a file, a folder and a missing path, when a PATH task runs, then the file, all below the folder, and a FAILED row', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      for (const path of ['/one.txt', '/one.txt2', '/dir/a', '/dir/sub/b', '/dir-other/c'])
        await two.put(two.a, path, path)
      const object = { localRepoName: 'files', remoteProjectId: 'proj', remoteRepoName: 'files', repoType: 'GENERIC' }
      const paths = ['one.txt', '/dir/', '/missing'].map((path) => ({ path }))
      const run = await two.replicate({
        replicaObjectType: 'PATH',
        replicaTaskObjects: [{ ...object, packageConstraints: [], pathConstraints: paths as never[] }],
      })
      assert.equal(counts(run), '3/0/1/0')
      assert.equal(run.record.status, 'FAILED')
      assert.match(run.record.errorReason ?? '', /\/missing.*251010/)
      assert.deepEqual(
        (await two.files(two.b)).map(({ path }) => path),
        ['/dir/a', '/dir/sub/b', '/one.txt'],
      )
    })
  })
})
