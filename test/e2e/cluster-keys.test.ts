import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDialect } from '../helpers/local-cluster.ts'
import { counts, type TwoClusters, twoClusters } from '../helpers/two-clusters.ts'

interface Credential {
  readonly accessKey: string
  readonly secretKey: string
}
const UPDATE = '/replication/api/cluster/update'

/** A platform account of the target. */
const accountAt = ({ b }: TwoClusters, appId: string, signal: AbortSignal): Promise<Credential> =>
  b.api.call('POST', '/auth/api/account/create', { appId, authorizationGrantTypes: ['PLATFORM'] }, signal)

eachDialect('key pair of a cluster', (dialect) => {
  it('given the key pair of a platform account and the user it acts for, when a task runs, then it gets in, and the secret key is shown nowhere', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    const { accessKey, secretKey } = await accountAt(two, 'replicator', t.signal)
    const keys = { name: 'beta', username: 'admin', appId: 'replicator', accessKey, secretKey }
    const answer = await two.a.api.call<Record<string, unknown>>('POST', UPDATE, keys, t.signal)
    assert.deepEqual([answer.appId, answer.accessKey, answer.status], ['replicator', accessKey, 'HEALTHY'])
    assert.ok(!JSON.stringify(answer).includes(secretKey))
    await two.put(two.a, '/x', 'x')
    assert.equal(counts(await two.replicate()), '1/0/0/0')
    assert.equal(await two.text(two.b, '/x'), 'x')
    const row = await two.a.db.read.selectFrom('cluster').selectAll().executeTakeFirstOrThrow()
    assert.equal(row.password, null, 'the pair took its place')
    assert.ok(!JSON.stringify(row).includes(secretKey), 'encrypted')
    const masked = { name: 'beta', secretKey: '******', rateLimit: 0 }
    assert.equal((await two.a.api.call<{ status: string }>('POST', UPDATE, masked, t.signal)).status, 'HEALTHY')
  })

  it('given a wrong pair, or a password after a pair, when the cluster is changed, then the first is refused and the second takes its place', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    const { accessKey, secretKey } = await accountAt(two, 'replicator', t.signal)
    const change = (body: object) => two.a.api.call<Record<string, unknown>>('POST', UPDATE, body, t.signal)
    const wrong = { name: 'beta', accessKey, secretKey: `${secretKey}x` }
    await assert.rejects(change(wrong), { code: 250301 })
    await change({ name: 'beta', accessKey, secretKey })
    const after = await change({ name: 'beta', password: two.b.password })
    assert.deepEqual([after.appId, after.accessKey, after.status], [null, null, 'HEALTHY'])
  })
})
