import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { seededBytes } from '../helpers/blobs.ts'
import { eachDialect, type LocalCluster } from '../helpers/local-cluster.ts'
import { createRepository } from '../helpers/replication-calls.ts'
import { seedFiles } from '../helpers/seed-files.ts'
import { counts, REPO, type TwoClusters, twoClusters } from '../helpers/two-clusters.ts'

const MIRROR = { setting: { propagateDelete: true } }

eachDialect('deletions at the source', (dialect) => {
  it('case 28, of a scheduled task: given files deleted here, when executed, then they stay at the target without propagateDelete, and go with it', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    for (const name of ['/a', '/b', '/c']) await two.put(two.a, name, name)
    const additive = await two.replicate()
    const mirror = await two.replicate(MIRROR)
    assert.equal(counts(mirror), '0/3/0/0')
    await remove(two.a, '/b', t.signal)
    assert.equal(counts(await two.again(additive.key)), '0/2/0/0')
    assert.deepEqual(await pathsAt(two, two.b), ['/a', '/b', '/c'])
    const run = await two.again(mirror.key)
    assert.equal(counts(run), '1/2/0/0')
    assert.equal(run.record.status, 'SUCCESS')
    assert.deepEqual(
      run.details.map(({ artifactName, status, sha256, size }) => [artifactName, status, sha256, size]),
      [['/b', 'SUCCESS', null, null]],
    )
    assert.deepEqual(await pathsAt(two, two.b), ['/a', '/c'])
    assert.equal(counts(await two.again(mirror.key)), '0/2/0/0')
    const { deleted_by, origin } = await tombstoneOf(two.b, '/b')
    assert.equal(deleted_by, 'admin')
    assert.notEqual(origin, 0)
  })

  it('given a folder that is moved, a file that is renamed, and files that only came and went, when executed, then old paths end, new ones arrive, and no content travels', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    for (const name of ['/dir/x', '/dir/y', '/dir/deep/z', '/stays', '/old']) await two.put(two.a, name, name.repeat(9))
    const { key } = await two.replicate(MIRROR)
    await node(two.a, 'move', { srcFullPath: '/dir', destFullPath: '/moved' }, t.signal)
    await two.a.api.call('POST', `/repository/api/node/rename/${REPO}/old?newFullPath=/new`, undefined, t.signal)
    await two.put(two.a, '/short', 'short')
    await remove(two.a, '/short', t.signal)
    const before = two.line.bodyBytes()
    const run = await two.again(key)
    assert.equal(counts(run), '8/1/0/0')
    assert.deepEqual([run.overview.fileSuccess, run.record.replicatedBytes], [0, 0])
    assert.ok(two.line.bodyBytes() - before < 20_000)
    assert.deepEqual(await pathsAt(two, two.b), ['/moved/deep/z', '/moved/x', '/moved/y', '/new', '/stays'])
    await node(two.a, 'copy', { srcFullPath: '/new', destFullPath: '/copied' }, t.signal)
    assert.equal(counts(await two.again(key)), '1/5/0/0')
    assert.deepEqual(await writersAt(two.b), await writersAt(two.a))
  })

  it('given a file that arrived in a run that was given up, when it is deleted before the next one, then it ends at the target too', async (t) => {
    await using two = await twoClusters(dialect, t.signal, { ENTREPOT_REPLICATION_LINK_TIMEOUT_MS: '500' })
    await two.put(two.a, '/stays', 'stays')
    const { key } = await two.replicate(MIRROR)
    await two.put(two.a, '/short', 'short')
    two.line.script(({ path }) => (path.includes('/stream') ? { afterAnswer: async () => {} } : undefined))
    assert.equal((await two.again(key)).record.status, 'FAILED')
    assert.deepEqual(await pathsAt(two, two.b), ['/short', '/stays'])
    two.line.script(() => undefined)
    await remove(two.a, '/short', t.signal)
    assert.equal((await two.again(key)).record.status, 'SUCCESS')
    assert.deepEqual(await pathsAt(two, two.b), ['/stays'])
  })

  it('given a deletion that was brought over, when the file is restored here, then it travels again', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    await two.put(two.a, '/x', 'content')
    await two.put(two.a, '/y', 'y')
    const { key } = await two.replicate(MIRROR)
    await remove(two.a, '/x', t.signal)
    await two.again(key)
    assert.deepEqual(await pathsAt(two, two.b), ['/y'])
    const points = `/repository/api/node/list-deleted/${REPO}/x`
    const [point] = await two.a.api.call<{ deletedTime: string }[]>('GET', points, undefined, t.signal)
    const restore = `/repository/api/node/restore/${REPO}/x?deletedTime=${encodeURIComponent(point!.deletedTime)}`
    await two.a.api.call('POST', restore, undefined, t.signal)
    assert.equal(counts(await two.again(key)), '1/1/0/0')
    assert.equal(await two.text(two.b, '/x'), 'content')
  })

  it('given a folder that becomes a file and a file that becomes a folder, when executed until nothing is left, then the target has them so', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    for (const name of ['/folder/x', '/file', '/k']) await two.put(two.a, name, name)
    const { key } = await two.replicate(MIRROR)
    await remove(two.a, '/folder', t.signal)
    await remove(two.a, '/file', t.signal)
    await two.put(two.a, '/folder', 'a file')
    await two.put(two.a, '/file/x', 'in a folder')
    const first = await two.again(key)
    // The folder goes with its last file, which comes after it.
    assert.match(first.record.errorReason!, /folder/)
    const second = await two.again(key)
    assert.equal(second.record.status, 'SUCCESS')
    assert.deepEqual(await two.files(two.b), await two.files(two.a))
  })

  describe('files of the target', () => {
    it('given files that its users changed, made or wrote equally, when deleted here, then what is theirs stays and the rest goes', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await createRepository(two.b.api, REPO, t.signal)
      for (const name of ['/equal', '/changed', '/conflict', '/later', '/gone', '/k']) await two.put(two.a, name, name)
      for (const name of ['/equal', '/own']) await two.put(two.b, name, name)
      await two.put(two.b, '/conflict', 'theirs')
      const { key } = await two.replicate(MIRROR)
      await two.put(two.b, '/changed', 'theirs')
      await remove(two.b, '/gone', t.signal)
      for (const name of ['/equal', '/changed', '/conflict', '/later', '/gone']) await remove(two.a, name, t.signal)
      await two.put(two.b, '/later', 'theirs')
      const run = await two.again(key)
      assert.equal(counts(run), '1/4/0/0')
      assert.deepEqual(
        run.details.map(({ artifactName }) => artifactName),
        ['/equal'],
      )
      const left = ['/changed', '/conflict', '/k', '/later', '/own']
      assert.deepEqual(await pathsAt(two, two.b), left)
      await two.put(two.b, '/own', 'again, so that ranges are compared')
      assert.equal(counts(await two.again(key)), '0/1/0/0')
      assert.deepEqual(await pathsAt(two, two.b), left)
    })

    it('given the strategy OVERWRITE, when deleted here, then what is older there goes whoever wrote it', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await createRepository(two.b.api, REPO, t.signal)
      for (const name of ['/x', '/k']) await two.put(two.a, name, name)
      const { key } = await two.replicate({ setting: { ...MIRROR.setting, conflictStrategy: 'OVERWRITE' } })
      await two.put(two.b, '/x', 'theirs')
      await two.put(two.b, '/own', 'own')
      await remove(two.a, '/x', t.signal)
      assert.equal(counts(await two.again(key)), '1/1/0/0')
      assert.deepEqual(await pathsAt(two, two.b), ['/k', '/own'])
    })

    it('given a file that was deleted there later than it was written here, when executed, then it stays deleted and counts as skipped, until it changes', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      for (const name of ['/x', '/y']) await two.put(two.a, name, name)
      const { key } = await two.replicate(MIRROR)
      await remove(two.b, '/x', t.signal)
      for (let round = 0; round < 2; round++) {
        assert.equal(counts(await two.again(key)), '0/2/0/0')
        assert.deepEqual(await pathsAt(two, two.b), ['/y'])
      }
      await two.put(two.a, '/x', 'changed')
      assert.equal(counts(await two.again(key)), '1/1/0/0')
      const additive = await two.replicate()
      await remove(two.b, '/x', t.signal)
      assert.equal(counts(await two.again(additive.key)), '1/1/0/0')
    })

    it('given files that ended while the task was additive, when propagateDelete is switched on, then they end at the target too', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      for (const name of ['/x', '/y', '/z']) await two.put(two.a, name, name)
      const { key } = await two.replicate()
      await remove(two.a, '/x', t.signal)
      assert.equal(counts(await two.again(key)), '0/2/0/0')
      await remove(two.a, '/y', t.signal)
      await change(two.a, { propagateDelete: true })
      assert.equal(counts(await two.again(key)), '2/1/0/0')
      assert.deepEqual(await pathsAt(two, two.b), ['/z'])
    })
  })

  describe('the guard', () => {
    it('given more deletions than both limits, when executed, then it is refused with words and nothing is sent; when raised, or when the files are back, then it runs', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await createRepository(two.b.api, REPO, t.signal)
      const paths = Array.from({ length: 150 }, (_, n) => `/d/f${n}`)
      const rest = Array.from({ length: 50 }, (_, n) => `/k/f${n}`)
      for (const cluster of [two.a, two.b]) await seedFiles(cluster, REPO, [...paths, ...rest])
      const { key } = await two.replicate(MIRROR)
      await remove(two.a, '/d', t.signal)
      await two.put(two.a, '/new', 'new')
      for (let round = 0; round < 2; round++) {
        const refused = await two.again(key)
        assert.equal(refused.record.status, 'FAILED')
        assert.match(refused.record.errorReason!, /beta: .*250314.* 150 of 200 files .*deleteGuard/)
        assert.deepEqual([counts(refused), refused.details], ['0/0/0/0', []])
        assert.equal((await pathsAt(two, two.b)).length, 200)
      }
      await change(two.a, { deleteGuard: { maxCount: 150, maxShare: 0.1 } })
      assert.equal(counts(await two.again(key)), '151/50/0/0')
      assert.equal((await pathsAt(two, two.b)).length, 51)
    })
  })

  it('given changes of metadata or an expiry alone, when executed, then they arrive without content; without includeMetadata the target keeps its own', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    await two.put(two.a, '/x', seededBytes(1, 300_000), { a: '1', b: '2' })
    const { key } = await two.replicate(MIRROR)
    const sent = () =>
      two.line.seen.filter(({ path }) => path.includes('/blobs/sha256') || path.includes('/uploads')).length
    const before = sent()
    await two.a.api.call('POST', `/repository/api/metadata/${REPO}/x`, { metadata: { a: 'changed' } }, t.signal)
    assert.equal(counts(await two.again(key)), '1/0/0/0')
    await two.a.api.call('DELETE', `/repository/api/metadata/${REPO}/x`, { keyList: ['b'] }, t.signal)
    assert.equal(counts(await two.again(key)), '1/0/0/0')
    assert.deepEqual((await two.files(two.b))[0]!.metadata, { a: 'changed' })
    assert.equal(sent(), before)
    assert.deepEqual(await writersAt(two.b), await writersAt(two.a))
  })
})

async function remove({ api }: LocalCluster, path: string, signal: AbortSignal): Promise<void> {
  await api.call('DELETE', `/repository/api/node/delete/${REPO}${path}`, undefined, signal)
}
/** A request about a tree, in the words of the contract. */
async function node({ api }: LocalCluster, verb: string, body: object, signal: AbortSignal): Promise<void> {
  const [projectId, repoName] = REPO.split('/')
  const ends = { srcProjectId: projectId, srcRepoName: repoName, destProjectId: projectId, destRepoName: repoName }
  await api.call(
    'POST',
    `/repository/api/node/${verb}`,
    { projectId, repoName, ...ends, overwrite: true, ...body },
    signal,
  )
}
const pathsAt = async (two: TwoClusters, where: LocalCluster) => (await two.files(where)).map(({ path }) => path).sort()
const tombstoneOf = ({ db }: LocalCluster, path: string) =>
  db.read.selectFrom('tombstone').selectAll().where('path', '=', path).executeTakeFirstOrThrow()
/** Who made each file and when, and its other sums. */
const writersAt = ({ db }: LocalCluster) =>
  db.read
    .selectFrom('node')
    .select(['path', 'created_by', 'created_at', 'modified_by', 'modified_at', 'md5', 'crc64', 'expires_at'])
    .where('deleted_at', 'is', null)
    .where('folder', '=', 0)
    .orderBy('path')
    .execute()
/** No route changes the setting of a task that has run at once. */
async function change({ db }: LocalCluster, changed: object): Promise<void> {
  await db.transact(async (trx) => {
    const { setting } = await trx.selectFrom('replication_task').select('setting').executeTakeFirstOrThrow()
    await trx
      .updateTable('replication_task')
      .set({ setting: JSON.stringify({ ...JSON.parse(setting), ...changed }) })
      .execute()
  })
}
