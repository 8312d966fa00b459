import assert from 'node:assert/strict'
import { it } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { imagedClusters } from '../helpers/imaged-clusters.ts'
import { eachDialect } from '../helpers/local-cluster.ts'
import type { PackageDetail } from '../helpers/packaged-clusters.ts'
import { counts } from '../helpers/two-clusters.ts'

eachDialect('replication of images', (dialect) => {
  it('case 38: given an index with two platforms, when its repository is replicated, then all children are there by digest, and the digest is the same', async (t) => {
    await using images = await imagedClusters(dialect, t.signal)
    const { on, task } = images
    const index = await images.pushIndex(on.a, 'team/app', '1.0', ['linux/amd64', 'linux/arm64/v8'])
    await images.pushBlob(on.a, 'team/app', Buffer.from('nobody names this'))
    const { key, ...run } = await on.replicate(task())
    assert.equal(run.record.errorReason, null)
    assert.equal(counts(run), '3/0/0/0')
    assert.equal(await images.digestAt(on.b, 'team/app', '1.0'), index.digest)
    assert.deepEqual(await images.pull(on.b, 'team/app', '1.0'), await images.pull(on.a, 'team/app', '1.0'))
    for (const { digest } of index.children) await images.pull(on.b, 'team/app', digest)
    assert.deepEqual(await images.versions(on.b), await images.versions(on.a))
    assert.deepEqual(await images.tags(on.b, 'team/app'), ['1.0'])
    // Three manifests, two configs, two layers and the one that both have.
    assert.equal(run.overview.fileSuccess, 8)
    const before = on.line.seen.length
    assert.equal(counts(await on.again(key)), '0/3/0/0')
    assert.equal(on.line.seen.length - before, 1)
  })

  it('given images that share layers, packed ones too, when replicated, then each blob travels once, as it is, and by cursor and by comparing nothing more does', async (t) => {
    await using images = await imagedClusters(dialect, t.signal)
    const { on, task } = images
    const shared = gzipSync(Buffer.from('base layer'.repeat(1_000)))
    const packed = zstdCompressSync(Buffer.from('top layer'.repeat(1_000)))
    for (const tag of ['1.0', '1.1', '1.2']) {
      const layers = [shared, packed, Buffer.from(`own layer of ${tag}`)]
      await images.push(on.a, 'app', tag, { layers, layerType: 'application/vnd.oci.image.layer.v1.tar+gzip' })
    }
    const { key, ...run } = await on.replicate(task())
    assert.equal(counts(run), '3/0/0/0')
    // For each image its manifest, its config and its own layer.
    assert.equal(run.overview.fileSuccess, 2 + 3 * 3)
    for (const tag of ['1.0', '1.1', '1.2']) {
      assert.deepEqual(await images.pull(on.b, 'app', tag), await images.pull(on.a, 'app', tag))
    }
    await images.push(on.a, 'app', '1.3', { layers: [shared, packed] })
    const second = await on.again(key)
    assert.equal(counts(second), '1/3/0/0')
    assert.equal(second.overview.fileSuccess, 2)
    // Somebody writes at the target: the cursor counts no more.
    await images.push(on.b, 'other', '1.0')
    assert.equal(counts(await on.again(key)), '0/4/0/0')
    assert.deepEqual(await images.tags(on.b, 'app'), ['1.0', '1.1', '1.2', '1.3'])
  })

  it('case 35: given versions, all versions and an unknown one of images, by either scheme, when run, then those are there, and the unknown one has a FAILED row', async (t) => {
    await using images = await imagedClusters(dialect, t.signal)
    const { on, task } = images
    for (const tag of ['1.0', '1.1', '2.0']) await images.push(on.a, 'app', tag)
    for (const tag of ['a', 'b']) await images.push(on.a, 'team/tool', tag)
    await images.push(on.a, 'other', '1')
    const packageConstraints = [
      { packageKey: 'docker://app', versions: ['1.0', '9.9'] },
      { packageKey: 'oci://team/tool' },
    ]
    const { key, ...run } = await on.replicate(task({ replicaObjectType: 'PACKAGE' }, { packageConstraints }))
    assert.equal(counts(run), '3/0/1/0')
    const failed = (run.details as readonly PackageDetail[]).filter(({ status }) => status === 'FAILED')
    assert.deepEqual(
      failed.map(({ artifactName, version, errorReason }) => [artifactName, version, /251019/.test(errorReason!)]),
      [['app', '9.9', true]],
    )
    assert.deepEqual(await images.tags(on.b, 'app'), ['1.0'])
    assert.deepEqual(await images.tags(on.b, 'team/tool'), ['a', 'b'])
    assert.equal(await images.tags(on.b, 'other'), undefined)
    assert.deepEqual(await images.pull(on.b, 'app', '1.0'), await images.pull(on.a, 'app', '1.0'))
    assert.equal(counts(await on.again(key)), '0/3/1/0')
  })

  it('given expressions for images and tags, when run, then what fits travels, an index with its children', async (t) => {
    await using images = await imagedClusters(dialect, t.signal)
    const { on, task } = images
    const index = await images.pushIndex(on.a, 'team/app', '1.0', ['linux/amd64', 'linux/arm64'])
    await images.push(on.a, 'team/app', '2.0')
    await images.push(on.a, 'lone', '1.5')
    const packageConstraints = [{ packageRegex: 'team/.*', versionRegex: '1\\..*' }]
    const { key, ...run } = await on.replicate(task({ replicaObjectType: 'PACKAGE' }, { packageConstraints }))
    assert.equal(counts(run), '1/0/0/0')
    assert.deepEqual(await images.tags(on.b, 'team/app'), ['1.0'])
    assert.deepEqual(await images.pull(on.b, 'team/app', '1.0'), await images.pull(on.a, 'team/app', '1.0'))
    for (const { digest } of index.children) await images.pull(on.b, 'team/app', digest)
    assert.equal(counts(await on.again(key)), '0/1/0/0')
  })

  it('given paths below an image, when a PATH task runs, then versions with files there go as a whole', async (t) => {
    await using images = await imagedClusters(dialect, t.signal)
    const { on, task } = images
    await images.push(on.a, 'app', '1.0')
    await images.push(on.a, 'other', '1.0')
    const changes = task({ replicaObjectType: 'PATH' }, { pathConstraints: [{ path: '/app' }] })
    const { key, ...run } = await on.replicate(changes)
    assert.equal(counts(run), '1/0/0/0')
    assert.deepEqual(await images.pull(on.b, 'app', '1.0'), await images.pull(on.a, 'app', '1.0'))
    assert.equal(await images.tags(on.b, 'other'), undefined)
    assert.equal(counts(await on.again(key)), '0/1/0/0')
  })

  for (const [strategy, expected, stays] of [
    ['SKIP', '0/1/0/1', 'theirs'],
    ['OVERWRITE', '1/0/0/1', 'ours'],
    ['FAST_FAIL', '0/0/1/1', 'theirs'],
  ] as const) {
    it(`given a tag that both sides gave to images of their own, when replicated with ${strategy}, then it is decided as a whole, and no manifest is lost`, async (t) => {
      await using images = await imagedClusters(dialect, t.signal)
      const { on, task } = images
      await images.push(on.a, 'other', '1')
      await on.replicate(task())
      const ours = await images.push(on.a, 'app', 'v1', { layers: [Buffer.from('ours')] })
      const theirs = await images.push(on.b, 'app', 'v1', { layers: [Buffer.from('theirs')] })
      const { key, ...run } = await on.replicate(task({ setting: { conflictStrategy: strategy } }))
      const [success, skip, ...rest] = expected.split('/').map(Number) as [number, number]
      assert.equal(counts(run), [success, skip + 1, ...rest].join('/'))
      assert.equal(await images.digestAt(on.b, 'app', 'v1'), (stays === 'ours' ? ours : theirs).digest)
      await images.pull(on.b, 'app', theirs.digest)
      assert.deepEqual(await images.tags(on.b, 'app'), ['v1'])
      if (strategy === 'SKIP') {
        assert.equal(counts(await on.again(key)), '0/2/0/1')
        // A comparison finds their image, and none of our files.
        await images.push(on.b, 'theirs', '1')
        assert.equal(counts(await on.again(key)), '0/2/0/1')
        const { links } = await on.a.api.call<{
          links: readonly { expected: boolean; counts: Record<string, number> }[]
        }>(...(['POST', `/replication/api/task/verify/${key}`, undefined, t.signal] as const))
        const { missing, content, kept } = links[0]!.counts
        assert.deepEqual({ missing, content, kept }, { missing: 0, content: 0, kept: 3 })
      }
      if (strategy === 'OVERWRITE') assert.equal(counts(await on.again(key)), '0/2/0/0')
    })
  }

  it('given a tag that moved at the source, when run again, then it moves at the target, and both manifests are there by digest', async (t) => {
    await using images = await imagedClusters(dialect, t.signal)
    const { on, task } = images
    const first = await images.push(on.a, 'app', 'v1', { layers: [Buffer.from('first')] })
    const { key } = await on.replicate(task({ setting: { conflictStrategy: 'SKIP' } }))
    const second = await images.push(on.a, 'app', 'v1', { layers: [Buffer.from('second')] })
    const run = await on.again(key)
    assert.equal(run.overview.conflict, 0)
    assert.equal(run.overview.failed, 0)
    assert.equal(await images.digestAt(on.b, 'app', 'v1'), second.digest)
    await images.pull(on.b, 'app', first.digest)
    assert.deepEqual(await images.versions(on.b), await images.versions(on.a))
    const again = await on.again(key)
    assert.equal(counts(again), '0/2/0/0')
    await images.push(on.b, 'theirs', '1')
    assert.equal(counts(await on.again(key)), '0/2/0/0')
  })

  it('given deletions of tags, of manifests and of a package, when they travel, then the target loses the same', async (t) => {
    await using images = await imagedClusters(dialect, t.signal)
    const { on, task } = images
    const kept = await images.push(on.a, 'app', '1.0')
    const gone = await images.push(on.a, 'app', '2.0')
    await images.push(on.a, 'app', '3.0')
    await images.push(on.a, 'whole', '1.0')
    const { key } = await on.replicate(task({ setting: { propagateDelete: true } }))
    const remove = async (path: string) => {
      const { status, bytes } = await images.send(on.a, 'DELETE', `/v2/proj/images/${path}`)
      assert.equal(status, 202, bytes.toString())
    }
    await remove('app/manifests/1.0')
    await remove(`app/manifests/${gone.digest}`)
    await on.a.api.call(
      'DELETE',
      '/repository/api/package/delete/proj/images?packageKey=docker://whole',
      undefined,
      t.signal,
    )
    const run = await on.again(key)
    assert.equal(run.overview.failed, 0, JSON.stringify(run.details))
    assert.deepEqual(await images.tags(on.b, 'app'), ['3.0'])
    assert.equal(await images.digestAt(on.b, 'app', gone.digest), undefined)
    await images.pull(on.b, 'app', kept.digest)
    assert.equal(await images.tags(on.b, 'whole'), undefined)
    assert.deepEqual(await images.versions(on.b), await images.versions(on.a))
    await remove(`app/manifests/${kept.digest}`)
    await on.again(key)
    assert.equal(await images.digestAt(on.b, 'app', kept.digest), undefined)
    assert.deepEqual(await images.versions(on.b), await images.versions(on.a))
  })
})
