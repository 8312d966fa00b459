import assert from 'node:assert/strict'
import { it } from 'node:test'
import { forgetSums } from '../../src/metadata/fingerprints/fold-state.ts'
import { eachDialect } from '../helpers/local-cluster.ts'
import { packagedClusters } from '../helpers/packaged-clusters.ts'
import { createRepository } from '../helpers/replication-calls.ts'
import { counts, REPO, type TwoClusters, twoClusters } from '../helpers/two-clusters.ts'

interface Proof {
  readonly proofId: string
  readonly equal: boolean
  readonly expected: boolean
  readonly links: readonly { readonly errorReason: string | null; readonly files: number }[]
  readonly items: { readonly totalRecords: number; readonly records: readonly { class: string; path: string }[] }
}
const verify = (two: TwoClusters, key: string, signal: AbortSignal, query = ''): Promise<Proof> =>
  two.a.api.call('POST', `/replication/api/task/verify/${key}${query}`, undefined, signal)
const named = ({ items }: Proof) => items.records.map((item) => `${item.class} ${item.path}`).sort()
const EACH_WAY = ['', '?deep=true']

/** What is done to the target meanwhile stands in no log: as a bad disk would do it, or somebody with a database client. */
async function behindTheLog({ b }: TwoClusters, change: () => Promise<void>): Promise<void> {
  const head = await b.db.read
    .selectFrom('change_log')
    .select((eb) => eb.fn.max<number>('id').as('last'))
    .executeTakeFirstOrThrow()
  await change()
  const { id } = await b.db.read.selectFrom('repository').select('id').executeTakeFirstOrThrow()
  await b.db.transact(async (trx) => {
    await trx.deleteFrom('change_log').where('id', '>', head.last).execute()
    await forgetSums(trx, id)
  })
}
const remove = ({ b }: TwoClusters, path: string, signal: AbortSignal) =>
  b.api.call('DELETE', `/repository/api/node/delete/${REPO}${path}`, undefined, signal)

eachDialect('verify', (dialect) => {
  it('given two equal repositories, when verified, then they are equal, by sums and row by row', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    for (let n = 0; n < 100; n++) await two.put(two.a, `/d${n % 7}/f${n}`, `${n}`, { n: `${n}` })
    const { key } = await two.replicate()
    for (const query of EACH_WAY) {
      const proof = await verify(two, key, t.signal, query)
      assert.deepEqual([proof.equal, proof.expected, proof.links[0]!.files, named(proof)], [true, true, 100, []])
    }
  })

  it('given one flipped, one missing, one extra and one with other metadata behind the cursor, when verified, then exactly these four are named', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    for (let n = 0; n < 150; n++) await two.put(two.a, `/d${n % 7}/f${n}`, `${n}`, { n: `${n}` })
    const { key } = await two.replicate()
    await behindTheLog(two, async () => {
      await two.put(two.b, '/d0/f7', 'flipped', { n: '7' })
      await remove(two, '/d1/f8', t.signal)
      await two.put(two.b, '/d1/extra', 'x')
      await two.put(two.b, '/d2/f9', '9', { n: 'nine' })
    })
    assert.equal(counts(await two.again(key)), '0/150/0/0', 'the cursor sees nothing')
    for (const query of EACH_WAY) {
      const proof = await verify(two, key, t.signal, query)
      assert.deepEqual(named(proof), ['CONTENT /d0/f7', 'EXTRA /d1/extra', 'METADATA /d2/f9', 'MISSING /d1/f8'])
      assert.deepEqual([proof.equal, proof.expected], [false, false])
    }
  })

  it('given conflicts that were kept, when verified, then they are told apart as long as they are what was kept', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    await createRepository(two.b.api, REPO, t.signal)
    for (const path of ['/kept', '/kept-no-more', '/same']) await two.put(two.a, path, path)
    for (const path of ['/kept', '/kept-no-more']) await two.put(two.b, path, 'theirs')
    const { key, overview } = await two.replicate()
    assert.equal(overview.conflict, 2)
    const before = await verify(two, key, t.signal)
    assert.deepEqual([before.equal, before.expected], [false, true])
    assert.deepEqual(named(before), ['KEPT /kept', 'KEPT /kept-no-more'])
    await two.put(two.b, '/kept-no-more', 'theirs, later')
    const after = await verify(two, key, t.signal)
    assert.deepEqual([after.expected, named(after)], [false, ['CONTENT /kept-no-more', 'KEPT /kept']])
  })

  it('given a filter, when verified, then only what it means is compared', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    for (const path of ['/x/a.log', '/x/b.txt', '/x/c.log']) await two.put(two.a, path, path)
    const object = { localRepoName: 'files', remoteProjectId: 'proj', remoteRepoName: 'files', repoType: 'GENERIC' }
    const objects = [{ ...object, packageConstraints: null, pathConstraints: ['/x/*.log'] }]
    const { key } = await two.replicate({ replicaTaskObjects: objects as never })
    await two.put(two.b, '/x/extra.txt', 'x')
    const proof = await verify(two, key, t.signal)
    assert.deepEqual([proof.equal, proof.links[0]!.files, named(proof)], [true, 2, []])
    await two.put(two.b, '/x/extra.log', 'x')
    assert.deepEqual(named(await verify(two, key, t.signal)), ['EXTRA /x/extra.log'])
  })

  it('given versions of packages, when one is other than it was and one is gone, then they are named', async (t) => {
    await using packed = await packagedClusters(dialect, t.signal)
    const { on, publish, task } = packed
    for (const version of ['1.0.0', '1.1.0', '1.2.0']) await publish(on.a, `lib/${version}`, version)
    const { key } = await on.replicate(task())
    const equal = await verify(on, key, t.signal)
    assert.deepEqual([equal.links[0]!.errorReason, equal.equal, named(equal)], [null, true, []])
    await publish(on.b, 'lib/1.1.0', 'other', 'overwrite=true')
    await publish(on.b, 'lib/9.0.0', 'theirs')
    const found = named(await verify(on, key, t.signal, '?deep=true'))
    assert.ok(found.includes('CONTENT rds://lib@1.1.0') && found.includes('EXTRA rds://lib@9.0.0'), found.join())
    assert.ok(!found.some((one) => one.includes('1.0.0') || one.includes('1.2.0')), found.join())
  })

  it('given a target without the repository, when verified, then all is missing, page by page', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    for (let n = 0; n < 5; n++) await two.put(two.a, `/f${n}`, `${n}`)
    const { key } = await two.replicate()
    await two.b.api.call('DELETE', `/repository/api/repo/delete/${REPO}?forced=true`, undefined, t.signal)
    const proof = await verify(two, key, t.signal, '?pageSize=2')
    assert.deepEqual([proof.equal, proof.items.totalRecords, named(proof)], [false, 5, ['MISSING /f0', 'MISSING /f1']])
    const last = await verify(two, key, t.signal, `?proofId=${proof.proofId}&class=MISSING&pageSize=2&pageNumber=3`)
    assert.deepEqual(named(last), ['MISSING /f4'])
  })

  it('given a target that does not answer, or a task that is not there, when verified, then nothing is called equal', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    await two.put(two.a, '/x', 'x')
    const { key } = await two.replicate()
    two.line.script(() => ({ answer: 502 }))
    const proof = await verify(two, key, t.signal)
    assert.deepEqual([proof.equal, proof.expected], [false, false])
    assert.match(proof.links[0]!.errorReason!, /502/)
    await assert.rejects(verify(two, 'nobody', t.signal), { code: 250310 })
  })
})
