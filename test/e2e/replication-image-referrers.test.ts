import assert from 'node:assert/strict'
import { it } from 'node:test'
import { imagedClusters } from '../helpers/imaged-clusters.ts'
import { eachDialect } from '../helpers/local-cluster.ts'
import { caughtUp, liveTask, until } from '../helpers/real-time.ts'
import { descriptor, INDEX, manifestOf } from '../helpers/registry.ts'
import { counts } from '../helpers/two-clusters.ts'

const ONLY_1_0 = { packageConstraints: [{ packageKey: 'docker://app', versions: ['1.0'] }] }

eachDialect('replication of what is about images', (dialect) => {
  it('given a named tag, when replicated, then what is about its manifests comes along, and what is about that, and nothing of others', async (t) => {
    await using images = await imagedClusters(dialect, t.signal)
    const { on, task } = images
    const chosen = await images.pushIndex(on.a, 'app', '1.0', ['linux/amd64', 'linux/arm64'])
    const other = await images.push(on.a, 'app', '2.0')
    const signature = await images.refer(on.a, 'app', chosen, 'signature of the index')
    const bill = await images.refer(on.a, 'app', chosen.children[1]!, 'bill of a child')
    const onBill = await images.refer(on.a, 'app', bill, 'signature of the bill')
    const foreign = await images.refer(on.a, 'app', other, 'signature of another')
    const name = chosen.digest.replace(':', '-')
    await images.push(on.a, 'app', `${name}.sig`)
    const { key, ...run } = await on.replicate(task({ replicaObjectType: 'PACKAGE' }, ONLY_1_0))
    assert.equal(counts(run), '5/0/0/0', JSON.stringify(run.details))
    for (const [about, found] of [
      [chosen, signature],
      [chosen.children[1]!, bill],
      [bill, onBill],
    ] as const) {
      assert.deepEqual(await images.referrers(on.b, 'app', about.digest), [found.digest])
      await images.pull(on.b, 'app', found.digest)
    }
    assert.equal(await images.digestAt(on.b, 'app', foreign.digest), undefined)
    assert.deepEqual(await images.tags(on.b, 'app'), ['1.0', `${name}.sig`])
    const before = on.line.seen.length
    assert.equal(counts(await on.again(key)), '0/5/0/0')
    assert.equal(on.line.seen.length - before, 1)

    // Added later, and about what came later: by the cursor, then by comparing.
    const late = await images.refer(on.a, 'app', onBill, 'added later')
    await images.refer(on.a, 'app', other, 'added later to another')
    const second = await on.again(key)
    assert.equal(counts(second), '1/5/0/0')
    assert.deepEqual(await images.referrers(on.b, 'app', onBill.digest), [late.digest])
    await images.push(on.b, 'theirs', '1')
    await images.refer(on.a, 'app', chosen, 'added still later')
    assert.equal(counts(await on.again(key)), '1/6/0/0')
    assert.equal((await images.referrers(on.b, 'app', chosen.digest)).length, 2)
  })

  it('given what is about an image that becomes the named tag, when run again, then it comes along', async (t) => {
    await using images = await imagedClusters(dialect, t.signal)
    const { on, task } = images
    await images.push(on.a, 'app', '1.0')
    const { key } = await on.replicate(task({ replicaObjectType: 'PACKAGE' }, ONLY_1_0))
    const build = await images.push(on.a, 'app', 'build-7')
    const signature = await images.refer(on.a, 'app', build, 'signature of the build')
    assert.equal(counts(await on.again(key)), '0/1/0/0')
    await images.pushManifest(on.a, 'app', '1.0', build)
    assert.equal(counts(await on.again(key)), '2/0/0/0')
    assert.deepEqual(await images.referrers(on.b, 'app', build.digest), [signature.digest])
    assert.deepEqual(await images.tags(on.b, 'app'), ['1.0'])
  })

  it('given a task that plans and verifies, when a tag is named, then both say what a run does', async (t) => {
    await using images = await imagedClusters(dialect, t.signal)
    const { on, task } = images
    const chosen = await images.push(on.a, 'app', '1.0')
    await images.push(on.a, 'app', '2.0')
    await images.refer(on.a, 'app', chosen, 'signature')
    const { key } = await on.replicate(task({ replicaObjectType: 'PACKAGE' }, ONLY_1_0))
    await images.refer(on.a, 'app', chosen, 'another')
    const plan = await on.a.api.call<{ total: { counts: object } }>(
      'GET',
      `/replication/api/task/plan/${key}`,
      undefined,
      t.signal,
    )
    assert.deepEqual(plan.total.counts, { send: 1, skip: 2, keep: 0, fail: 0, delete: 0 })
    const missing = await verified()
    assert.equal(missing.counts.missing, 1)
    assert.equal(counts(await on.again(key)), '1/2/0/0')
    const proof = await verified()
    assert.deepEqual([proof.equal, proof.counts.missing, proof.counts.extra], [true, 0, 0])

    async function verified() {
      const { links } = await on.a.api.call<{
        links: readonly { equal: boolean; counts: { missing: number; extra: number } }[]
      }>('POST', `/replication/api/task/verify/${key}`, undefined, t.signal)
      return links[0]!
    }
  })

  it('given a REAL_TIME task that names a tag, when something is pushed about it, then it follows; about another tag it does not', async (t) => {
    await using images = await imagedClusters(dialect, t.signal)
    const { on, task } = images
    const chosen = await images.push(on.a, 'app', '1.0')
    const other = await images.push(on.a, 'app', '2.0')
    const key = await liveTask(on, task({ replicaObjectType: 'PACKAGE' }, ONLY_1_0), t.signal)
    const foreign = await images.refer(on.a, 'app', other, 'about another')
    const signature = await images.refer(on.a, 'app', chosen, 'signature')
    const onSignature = await images.refer(on.a, 'app', signature, 'about the signature')
    await until(async () => (await images.digestAt(on.b, 'app', onSignature.digest)) !== undefined, t.signal)
    assert.deepEqual(await images.referrers(on.b, 'app', chosen.digest), [signature.digest])
    // A named tag moves to what is signed already.
    await images.pushManifest(on.a, 'app', '1.0', other)
    await until(async () => (await images.digestAt(on.b, 'app', foreign.digest)) !== undefined, t.signal)
    await caughtUp(on.a, key, t.signal)
    assert.deepEqual(await images.referrers(on.b, 'app', other.digest), [foreign.digest])
    assert.deepEqual(await images.tags(on.b, 'app'), ['1.0'])
  })

  it('given an index at the tag of a subject, as older clients push it, when its subject is replicated, then it comes along', async (t) => {
    await using images = await imagedClusters(dialect, t.signal)
    const { on, task } = images
    const chosen = await images.push(on.a, 'app', '1.0')
    const sbom = await images.push(on.a, 'app', 'digest')
    const list = manifestOf({ mediaType: INDEX, manifests: [descriptor(sbom.bytes, sbom.mediaType)] })
    await images.pushManifest(on.a, 'app', chosen.digest.replace(':', '-'), list)
    const run = await on.replicate(task({ replicaObjectType: 'PACKAGE' }, ONLY_1_0))
    assert.equal(counts(run), '2/0/0/0')
    await images.pull(on.b, 'app', chosen.digest.replace(':', '-'))
  })

  it('given deletions that travel, when another tag and what is about the named one are deleted, then the target loses only the latter', async (t) => {
    await using images = await imagedClusters(dialect, t.signal)
    const { on, task } = images
    const chosen = await images.push(on.a, 'app', '1.0')
    await images.push(on.a, 'app', '2.0')
    const signature = await images.refer(on.a, 'app', chosen, 'signature')
    const setting = { propagateDelete: true, conflictStrategy: 'OVERWRITE' } as const
    const { key } = await on.replicate(task({ replicaObjectType: 'PACKAGE', setting }, ONLY_1_0))
    await images.push(on.b, 'app', '2.0')
    for (const reference of ['2.0', signature.digest]) {
      const { status } = await images.send(on.a, 'DELETE', `/v2/proj/images/app/manifests/${reference}`)
      assert.equal(status, 202)
    }
    const run = await on.again(key)
    assert.equal(run.overview.failed, 0)
    assert.deepEqual(await images.tags(on.b, 'app'), ['1.0', '2.0'])
    assert.deepEqual(await images.referrers(on.b, 'app', chosen.digest), [])
  })
})
