import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { chmod, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { forgetSums } from '../../src/metadata/fingerprints/fold-state.ts'
import { eachDialect, type LocalCluster } from '../helpers/local-cluster.ts'
import { packagedClusters } from '../helpers/packaged-clusters.ts'
import { createRepository } from '../helpers/replication-calls.ts'
import { counts, REPO, type TwoClusters, twoClusters } from '../helpers/two-clusters.ts'

interface Proof {
  readonly proofId: string
  readonly equal: boolean
  readonly expected: boolean
  readonly links: readonly { readonly errorReason: string | null; readonly files: number }[]
  readonly items: {
    readonly totalRecords: number
    readonly records: readonly { class: string; path: string; reason: string | null }[]
  }
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

function blobFile({ blobsDir }: LocalCluster, content: Buffer): string {
  const hex = createHash('sha256').update(content).digest('hex')
  return join(blobsDir, hex.slice(0, 2), hex.slice(2, 4), hex)
}
/** As a bad disk does it. */
const spoil = async (where: LocalCluster, content: Buffer) => {
  const file = blobFile(where, content)
  await chmod(file, 0o600)
  await writeFile(file, content.fill('x', 500, 501))
}

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

  it('given two repositories that go to one, when verified, then files of the other are not extra, and what both bring is said', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    await createRepository(two.a.api, 'proj/more', t.signal)
    const upload = (path: string) =>
      two.a.api.upload('proj/more', path, Buffer.from(path), { 'x-bkrepo-overwrite': 'true' }, t.signal)
    await two.put(two.a, '/one', '1')
    await upload('/two')
    const object = { remoteProjectId: 'proj', remoteRepoName: 'files', repoType: 'GENERIC' }
    const none = { packageConstraints: [], pathConstraints: [] }
    const objects = ['files', 'more'].map((localRepoName) => ({ localRepoName, ...object, ...none }))
    const { key } = await two.replicate({ replicaTaskObjects: objects as never })
    const proof = await verify(two, key, t.signal)
    assert.deepEqual([proof.equal, named(proof)], [true, []])
    await two.put(two.b, '/three', '3')
    assert.deepEqual(named(await verify(two, key, t.signal)), ['EXTRA /three', 'EXTRA /three'])
    await upload('/one')
    const both = await verify(two, key, t.signal)
    assert.deepEqual(named(both).slice(0, 1), ['CONTENT /one'])
    assert.match(both.items.records.find(({ path }) => path === '/one')?.reason ?? '', /another object/)
  })

  it('given stored bytes that are wrong or gone on either side, when contents are read again, then these files are DAMAGED', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    const large = (text: string) => Buffer.alloc(100_000, text)
    for (const name of ['ours', 'gone', 'theirs', 'fine', 'other']) await two.put(two.a, `/${name}`, large(name))
    await two.put(two.a, '/small', 'small')
    const { key } = await two.replicate()
    const before = await verify(two, key, t.signal, '?content=true')
    assert.deepEqual([before.links[0]!.errorReason, before.equal], [null, true])
    await two.put(two.b, '/other', 'theirs by now')
    await spoil(two.a, large('ours'))
    await rm(blobFile(two.a, large('gone')))
    await spoil(two.b, large('theirs'))
    await spoil(two.b, large('other'))
    assert.deepEqual(named(await verify(two, key, t.signal)), ['CONTENT /other'], 'only who looks knows')
    const body = { content: true }
    const found = await two.a.api.call<Proof>('POST', `/replication/api/task/verify/${key}`, body, t.signal)
    assert.deepEqual([found.links[0]!.errorReason, found.equal, found.expected], [null, false, false])
    assert.deepEqual(named(found), ['CONTENT /other', 'DAMAGED /gone', 'DAMAGED /ours', 'DAMAGED /theirs'])
    const reasonOf = (path: string) => found.items.records.find((item) => item.path === path)?.reason ?? ''
    assert.match(reasonOf('/gone'), /at the source are missing.*entrepot scrub/)
    assert.match(reasonOf('/theirs'), /at \[beta\] are not those of its SHA-256/)
    const only = await verify(two, key, t.signal, `?proofId=${found.proofId}&class=damaged`)
    assert.equal(only.items.totalRecords, 3)
    const underWay = `/replication/api/task/verify/${key}`
    assert.deepEqual(await two.a.api.call('GET', underWay, undefined, t.signal), [], 'it is over')
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
