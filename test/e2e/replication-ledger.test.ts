import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { eachDialect, type LocalCluster } from '../helpers/local-cluster.ts'
import { createRepository } from '../helpers/replication-calls.ts'
import { seedFiles } from '../helpers/seed-files.ts'
import { counts, REPO, type TwoClusters, twoClusters } from '../helpers/two-clusters.ts'

/** More than one range of paths that is worth a shard. */
const FOREIGN = 1_100

eachDialect('what the target has otherwise', (dialect) => {
  describe('files of its own', () => {
    it('given more than 1,000 that come and go, when executed each time, then one question finds that nothing is to be done', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await createRepository(two.b.api, REPO, t.signal)
      for (const name of ['/a', '/m', '/z']) await two.put(two.a, name, name)
      const { key } = await two.replicate()
      const theirs = Array.from({ length: FOREIGN }, (_, n) => `/theirs/d${n % 7}/f${n}`)
      const again = async () => {
        const before = two.line.seen.length
        assert.equal(counts(await two.again(key)), '0/3/0/0')
        return two.line.seen.slice(before).map(({ path }) => path.replace(/.*\//, ''))
      }
      await seedFiles(two.b, REPO, theirs)
      assert.ok((await again()).filter((call) => call === 'recon').length >= 1)
      await two.put(two.b, '/theirs/one-more', 'x')
      const known = await again()
      assert.deepEqual(known.slice(0, 2), ['open', 'recon'])
      assert.ok(known.length <= 4, `the others are known: ${known}`)
      assert.deepEqual(await again(), ['open'])
      await two.b.api.call('DELETE', `/repository/api/node/delete/${REPO}/theirs`, undefined, t.signal)
      await again()
      assert.deepEqual(await again(), ['open'])
      assert.deepEqual(await two.files(two.b), await two.files(two.a))
      assert.equal(await ledgerSize(two.a), 0)
    })
  })

  describe('conflicts that were kept', () => {
    it('given our side, their side, or both change again, when executed, then each is decided anew and equal ones are forgotten', async (t) => {
      await using two = await conflicting(dialect, t.signal)
      const { key, overview } = await two.replicate()
      assert.equal(overview.conflict, 4)
      await two.put(two.a, '/ours', 'ours, changed')
      await two.put(two.b, '/theirs', 'theirs, changed')
      await two.put(two.a, '/equal', 'as at A and B')
      await two.put(two.b, '/equal', 'as at A and B')
      for (let round = 0; round < 2; round++) {
        const run = await two.again(key)
        assert.equal(counts(run), '0/4/0/3')
        assert.deepEqual(run.details.map(({ artifactName }) => artifactName).sort(), ['/both', '/ours', '/theirs'])
      }
      assert.equal(await two.text(two.b, '/theirs'), 'theirs, changed')
      assert.equal(await ledgerSize(two.a), 3)
    })

    it('given the strategy changes to OVERWRITE, when executed, then what was kept is replaced, and with SKIP again nothing is left', async (t) => {
      await using two = await conflicting(dialect, t.signal)
      const { key } = await two.replicate()
      await changeSetting(two.a, { conflictStrategy: 'OVERWRITE' })
      const run = await two.again(key)
      assert.equal(counts(run), '4/0/0/4')
      assert.deepEqual(await two.files(two.b), await two.files(two.a))
      await changeSetting(two.a, { conflictStrategy: 'SKIP' })
      assert.equal(counts(await two.again(key)), '0/4/0/0')
      assert.equal(await ledgerSize(two.a), 0)
    })

    it('given the strategy changes to FAST_FAIL, when executed, then what was kept fails, as long as it differs', async (t) => {
      await using two = await conflicting(dialect, t.signal)
      const { key } = await two.replicate()
      await changeSetting(two.a, { conflictStrategy: 'FAST_FAIL' })
      const run = await two.again(key)
      assert.equal(counts(run), '0/0/4/4')
      assert.equal(run.record.status, 'FAILED')
      for (const path of ['/ours', '/theirs', '/both', '/equal']) await two.put(two.b, path, `${path} at A`)
      assert.equal(counts(await two.again(key)), '0/4/0/0')
    })

    it('given the task is narrowed to a folder and widened again, when executed, then only what is inside counts, each time', async (t) => {
      await using two = await conflicting(dialect, t.signal)
      await two.put(two.a, '/dir/x', 'x at A')
      await two.put(two.b, '/dir/x', 'x at B')
      await two.put(two.a, '/dir/y', 'y')
      const { key } = await two.replicate()
      const constrain = async (paths: readonly string[] | undefined) => {
        const object = { localRepoName: 'files', remoteProjectId: 'proj', remoteRepoName: 'files', repoType: 'GENERIC' }
        const pathConstraints = (paths ?? []).map((path) => ({ path }))
        const body = {
          ...{ key, name: 'changed', localProjectId: 'proj', remoteClusterIds: [two.clusterId] },
          replicaObjectType: paths === undefined ? 'REPOSITORY' : 'PATH',
          replicaTaskObjects: [{ ...object, packageConstraints: [], pathConstraints }],
        }
        await two.a.api.call('POST', '/replication/api/task/update', body, t.signal)
        return two.again(key)
      }
      const narrowed = await constrain(['/dir'])
      assert.equal(counts(narrowed), '0/2/0/1')
      assert.deepEqual(
        narrowed.details.map(({ artifactName }) => artifactName),
        ['/dir/x'],
      )
      assert.equal(counts(await constrain(['/dir/y', '/ours'])), '0/2/0/1')
      const widened = await constrain(undefined)
      assert.equal(counts(widened), '0/6/0/5')
      assert.equal(counts(await two.again(key)), '0/6/0/5')
    })
  })

  it('given both sides replicate to each other with OVERWRITE and change at once, when they run in turns, then they end equal and nothing is rewritten', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    await two.put(two.a, '/both', 'first')
    const { key } = await two.replicate({ setting: { conflictStrategy: 'OVERWRITE' } })
    const back = { name: 'alpha', url: two.a.url, type: 'STANDALONE', username: 'admin', password: two.a.password }
    await two.b.api.call('POST', '/replication/api/cluster/create', back, t.signal)
    await two.put(two.a, '/both', 'at A')
    await two.put(two.a, '/only-a', 'a', { k: 'v' })
    await two.put(two.b, '/both', 'at B')
    await two.put(two.b, '/only-b', 'b')
    await two.replicateBack({ conflictStrategy: 'OVERWRITE' })
    await two.again(key)
    await two.replicateBack()
    assert.deepEqual(await two.files(two.a), await two.files(two.b))
    assert.equal((await two.files(two.a)).length, 3)
    const written = [await lastChange(two.a), await lastChange(two.b)]
    for (let round = 0; round < 2; round++) {
      assert.equal(counts(await two.again(key)), '0/3/0/0')
      assert.equal(counts(await two.replicateBack()), '0/3/0/0')
    }
    assert.deepEqual([await lastChange(two.a), await lastChange(two.b)], written)
  })

  it('given includeMetadata false, when metadata differs or changes alone, then it is no difference, and content travels without it', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    await createRepository(two.b.api, REPO, t.signal)
    await two.put(two.a, '/x', 'same', { k: 'A' })
    await two.put(two.b, '/x', 'same', { k: 'B' })
    await two.put(two.a, '/y', 'y', { k: 'A' })
    const run = await two.replicate({ setting: { includeMetadata: false } })
    assert.equal(counts(run), '1/1/0/0')
    const metadata = async () => Object.fromEntries((await two.files(two.b)).map((file) => [file.path, file.metadata]))
    assert.deepEqual(await metadata(), { '/x': { k: 'B' }, '/y': {} })
    await two.a.api.call('POST', `/repository/api/metadata/${REPO}/y`, { metadata: { k: 'changed' } }, t.signal)
    assert.equal(counts(await two.again(run.key)), '0/2/0/0')
    await two.put(two.b, '/theirs', 'so that ranges are compared')
    assert.equal(counts(await two.again(run.key)), '0/2/0/0')
    assert.equal(await ledgerSize(two.a), 1)
    await changeSetting(two.a, { includeMetadata: true })
    assert.equal(counts(await two.again(run.key)), '1/1/0/1')
    assert.deepEqual(await metadata(), { '/theirs': {}, '/x': { k: 'B' }, '/y': { k: 'changed' } })
  })
})

/** Four files that both have, with other contents. */
async function conflicting(dialect: Parameters<typeof twoClusters>[0], signal: AbortSignal): Promise<TwoClusters> {
  await using stack = new AsyncDisposableStack()
  const two = stack.use(await twoClusters(dialect, signal))
  await createRepository(two.b.api, REPO, signal)
  for (const path of ['/ours', '/theirs', '/both', '/equal']) {
    await two.put(two.a, path, `${path} at A`)
    await two.put(two.b, path, `${path} at B`)
  }
  stack.move()
  return two
}

/** No route changes the setting of a task that has run at once. */
async function changeSetting({ db }: LocalCluster, changed: Readonly<Record<string, unknown>>): Promise<void> {
  await db.transact(async (trx) => {
    const { setting } = await trx.selectFrom('replication_task').select('setting').executeTakeFirstOrThrow()
    const next = JSON.stringify({ ...JSON.parse(setting), ...changed })
    await trx.updateTable('replication_task').set({ setting: next }).execute()
  })
}

async function ledgerSize({ db }: LocalCluster): Promise<number> {
  return (await db.read.selectFrom('link_divergence').select('path').execute()).length
}

async function lastChange({ db }: LocalCluster): Promise<number> {
  const { last } = await db.read
    .selectFrom('change_log')
    .select((eb) => eb.fn.max<number>('id').as('last'))
    .executeTakeFirstOrThrow()
  return last
}
