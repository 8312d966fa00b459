import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makeHlc } from '../../src/core/hlc.ts'
import { forgetSums } from '../../src/metadata/fingerprints/fold-state.ts'
import type { SeenRequest } from '../helpers/faulty-proxy.ts'
import { eachDialect } from '../helpers/local-cluster.ts'
import { createRepository, executeTask } from '../helpers/replication-calls.ts'
import { counts, REPO, sha256, type TwoClusters, twoClusters } from '../helpers/two-clusters.ts'

const object = (localRepoName: string, remoteRepoName: string) => ({
  localRepoName,
  remoteProjectId: 'proj',
  remoteRepoName,
  repoType: 'GENERIC',
  packageConstraints: [],
  pathConstraints: [],
})
/** What a target says of an upload whose bytes are not what was announced. */
const BROKEN = JSON.stringify({ code: 250311, message: 'broken', data: null, traceId: null })
const paths = async (two: TwoClusters) => (await two.files(two.b)).map(({ path }) => path)

eachDialect('SUCCESS is a proof', (dialect) => {
  describe('when the target is not what it was', () => {
    it('given its repository was deleted and made again in mid-run, then the run is FAILED and the next one brings all over', async (t) => {
      await using two = await twoClusters(dialect, t.signal, { ENTREPOT_REPLICATION_BATCH_FILES: '2' })
      for (let n = 0; n < 6; n++) await two.put(two.a, `/${n}`, String(n))
      const held = two.line.hold(({ path, nth }) => path.includes('/missing') && nth === 2)
      const key = await two.create()
      await held.reached
      await two.b.api.call('DELETE', `/repository/api/repo/delete/${REPO}?forced=true`, undefined, t.signal)
      await createRepository(two.b.api, REPO, t.signal)
      held.release()
      const run = await two.ended(key, 1)
      assert.equal(run.record.status, 'FAILED')
      assert.match(run.record.errorReason ?? '', /replaced|not found/)
      assert.equal(counts(await two.again(key)), '6/0/0/0')
      assert.equal((await paths(two)).length, 6)
    })

    it('given its database was put back and grew again to the same number, then the next run compares everything', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      for (const name of ['/1', '/2', '/3']) await two.put(two.a, name, name)
      const { key } = await two.replicate()
      // What a restore of an earlier backup followed by three writes of users leaves: other rows under the same numbers.
      await two.b.db.transact(async (trx) => {
        await trx.deleteFrom('node').where('folder', '=', 0).execute()
        for (const { id } of await trx.selectFrom('repository').select('id').execute()) await forgetSums(trx, id)
        await trx.updateTable('change_log').set({ at: 1, path: '/of/users', via_link: null }).execute()
      })
      assert.equal(counts(await two.again(key)), '3/0/0/0')
      assert.deepEqual(await paths(two), ['/1', '/2', '/3'])
    })

    it('given it lost what it had acknowledged before the run ended, then the run is FAILED and the next one brings it again', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await two.put(two.a, '/0', '0')
      const { key } = await two.replicate()
      for (const name of ['/1', '/2', '/3']) await two.put(two.a, name, name)
      const before = await two.b.db.read
        .selectFrom('change_log')
        .select((eb) => eb.fn.max('seq').as('seq'))
        .executeTakeFirstOrThrow()
      const opens = two.line.seen.filter(({ path }) => path.includes('/open')).length
      const held = two.line.hold(({ path, nth }) => path.includes('/open') && nth === opens + 2)
      const running = two.again(key)
      await held.reached
      // What a failover to a copy that is some seconds older leaves.
      await two.b.db.transact(async (trx) => {
        await trx.deleteFrom('node').where('folder', '=', 0).where('path', '!=', '/0').execute()
        await trx.deleteFrom('change_log').where('seq', '>', before.seq).execute()
        await trx.deleteFrom('change_log').where('seq', 'is', null).execute()
        for (const { id } of await trx.selectFrom('repository').select('id').execute()) await forgetSums(trx, id)
      })
      held.release()
      const run = await running
      assert.equal(run.record.status, 'FAILED')
      assert.match(run.record.errorReason ?? '', /does not have all that it acknowledged/)
      assert.equal(counts(await two.again(key)), '3/1/0/0')
      assert.deepEqual(await paths(two), ['/0', '/1', '/2', '/3'])
    })

    it('given the source repository was deleted and made again in mid-run, then the run is FAILED and says so', async (t) => {
      await using two = await twoClusters(dialect, t.signal, { ENTREPOT_REPLICATION_BATCH_FILES: '2' })
      for (let n = 0; n < 6; n++) await two.put(two.a, `/${n}`, String(n))
      const held = two.line.hold(({ path, nth }) => path.includes('/missing') && nth === 2)
      const key = await two.create()
      await held.reached
      await two.a.api.call('DELETE', `/repository/api/repo/delete/${REPO}?forced=true`, undefined, t.signal)
      await createRepository(two.a.api, REPO, t.signal)
      held.release()
      const run = await two.ended(key, 1)
      assert.equal(run.record.status, 'FAILED')
    })
  })

  it('given only the expiry of a file changed, when executed again, then the target follows', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    const upload = (days: string) => {
      const headers = { 'x-bkrepo-overwrite': 'true', 'x-bkrepo-expires': days }
      return two.a.api.upload(REPO, '/x', Buffer.from('x'), headers, t.signal)
    }
    await upload('1')
    const { key } = await two.replicate()
    await upload('0')
    assert.equal(counts(await two.again(key)), '1/0/0/0')
    const node = await two.b.api.call<{ expireDate: string | null }>(
      'GET',
      `/repository/api/node/detail/${REPO}/x`,
      undefined,
      t.signal,
    )
    assert.equal(node.expireDate, null)
  })

  it('given the same large file in three repositories, when they are sent at once, then all three arrive', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    const large = Buffer.alloc(6 * two.a.partSizeBytes, 'large')
    for (const name of ['one', 'two', 'three']) {
      await createRepository(two.a.api, `proj/${name}`, t.signal)
      await two.a.api.upload(`proj/${name}`, '/large', large, {}, t.signal)
    }
    const run = await two.replicate({
      replicaTaskObjects: [object('one', 'one'), object('two', 'two'), object('three', 'three')],
    })
    assert.equal(run.record.errorReason, null)
    assert.equal(counts(run), '3/0/0/0')
  })

  it('given more metadata than one request may hold, when run, then it travels in several', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    const big = 'm'.repeat(40_000)
    await two.put(two.a, '/0', 'x', { big })
    await two.a.api.call('GET', `/repository/api/node/detail/${REPO}/0`, undefined, t.signal)
    for (let n = 1; n < 150; n++) {
      await two.put(two.a, `/${n}`, 'x')
      await two.a.api.call('POST', `/repository/api/metadata/${REPO}/${n}`, { metadata: { big: big + n } }, t.signal)
    }
    const run = await two.replicate()
    assert.equal(counts(run), '150/0/0/0')
    assert.ok(two.line.seen.filter(({ path }) => path.includes('/missing')).length > 1)
  })

  describe('error strategies', () => {
    it('given CONTINUE and two large files whose content is broken at the source, when run, then the others arrive', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      for (const name of ['/a', '/b', '/c']) await two.put(two.a, name, Buffer.alloc(70 * 1024 * 1024, name))
      await two.put(two.a, '/z', 'small')
      const good = sha256(Buffer.alloc(70 * 1024 * 1024, '/c'))
      two.line.script(({ path }) =>
        path.endsWith('/complete') && !path.includes(good) ? { answer: 400, body: BROKEN } : undefined,
      )
      const run = await two.replicate()
      assert.equal(counts(run), '2/0/2/0')
      assert.deepEqual(await paths(two), ['/c', '/z'])
    })

    it('given FAST_FAIL and several conflicts, when run, then it stops at the first one', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await createRepository(two.b.api, REPO, t.signal)
      for (let n = 0; n < 6; n++) await two.put(two.a, `/${n}`, `a${n}`)
      for (let n = 1; n < 5; n++) await two.put(two.b, `/${n}`, `b${n}`)
      const run = await two.replicate({ setting: { conflictStrategy: 'FAST_FAIL', errorStrategy: 'FAST_FAIL' } })
      assert.equal(counts(run), '1/0/1/1')
      assert.ok(!(await paths(two)).includes('/5'))
    })

    it('given one file that is dated far ahead, when run with CONTINUE, then it alone is FAILED', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      for (const name of ['/1', '/2', '/3']) await two.put(two.a, name, name)
      const ahead = makeHlc(Date.parse('2040-01-01'), 0)
      await two.a.db.transact((trx) => trx.updateTable('node').set({ hlc: ahead }).where('path', '=', '/2').execute())
      const run = await two.replicate()
      assert.equal(counts(run), '2/0/1/0')
      assert.match(run.record.errorReason ?? '', /\/2.*in the future/)
    })
  })

  it('given a run that a cluster update sends to another server, when it goes on there, then it is not SUCCESS with files missing', async (t) => {
    await using two = await twoClusters(dialect, t.signal, { ENTREPOT_REPLICATION_BATCH_FILES: '2' })
    await using other = await twoClusters(dialect, t.signal)
    await createRepository(other.b.api, REPO, t.signal)
    for (let n = 0; n < 6; n++) await two.put(two.a, `/${n}`, String(n))
    const key = await two.create({ enabled: false })
    const second = ({ path, nth }: SeenRequest) => path.includes('/missing') && nth > 1
    two.line.script((request) => (second(request) ? { cutAfterBytes: 0 } : undefined))
    const held = two.line.hold(second)
    await two.a.api.call('POST', `/replication/api/task/toggle/status/${key}`, undefined, t.signal)
    await held.reached
    const body = {
      name: 'beta',
      url: other.b.url,
      type: 'STANDALONE',
      username: 'admin',
      password: other.b.password,
      ping: false,
    }
    await two.a.api.call('POST', '/replication/api/cluster/update', body, t.signal)
    held.release()
    const run = await two.ended(key, 1)
    assert.equal(run.record.status, 'FAILED')
    await executeTask(two.a.api, key, t.signal)
    assert.equal(counts(await two.ended(key, 2)), '6/0/0/0')
  })
})
