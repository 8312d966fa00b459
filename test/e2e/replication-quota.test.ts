import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDialect } from '../helpers/local-cluster.ts'
import { createRepository } from '../helpers/replication-calls.ts'
import { counts, REPO, twoClusters } from '../helpers/two-clusters.ts'

const QUOTA = `/repository/api/repo/quota/${REPO}`

eachDialect('replication to a target with a quota', (dialect) => {
  it('given room for some files, when a task runs, then those arrive, the others FAILED once with the reason, and a later run with room brings them', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    await createRepository(two.b.api, REPO, t.signal)
    const setQuota = (quota: number | '') => two.b.api.call('POST', `${QUOTA}?quota=${quota}`, undefined, t.signal)
    const usage = () => two.b.api.call<{ used: number }>('GET', QUOTA, undefined, t.signal)
    await setQuota(250)
    for (const name of ['/a', '/b', '/c', '/d']) await two.put(two.a, name, name.repeat(50))
    await two.put(two.a, '/small', 'x'.repeat(50))

    const run = await two.replicate()
    assert.equal(counts(run), '3/0/2/0')
    assert.equal(run.record.status, 'FAILED')
    assert.deepEqual(
      (await two.files(two.b)).map(({ path }) => path),
      ['/a', '/b', '/small'],
    )
    const failed = run.details.filter(({ status }) => status === 'FAILED')
    assert.equal(failed.length, 2)
    for (const { errorReason } of failed) assert.match(errorReason ?? '', /over its quota of 250 bytes/)
    assert.equal((await usage()).used, 250)

    assert.equal(counts(await two.again(run.key)), '0/3/2/0')
    await setQuota('')
    assert.equal(counts(await two.again(run.key)), '2/3/0/0')
    assert.equal((await usage()).used, 450)
  })
})
