import assert from 'node:assert/strict'
import { it } from 'node:test'
import { type ImagedClusters, imagedClusters } from '../helpers/imaged-clusters.ts'
import { eachDialect } from '../helpers/local-cluster.ts'
import { caughtUp, liveTask, until } from '../helpers/real-time.ts'
import { descriptor, INDEX, MANIFEST, manifestOf } from '../helpers/registry.ts'
import { registerCluster } from '../helpers/replication-calls.ts'
import { counts } from '../helpers/two-clusters.ts'

const ARM = { setting: { platforms: ['linux/arm64'] } }
const PLATFORMS = ['linux/amd64', 'linux/arm64/v8', 'windows/amd64']

eachDialect('replication of some platforms', (dialect) => {
  it('case 38: given an index of three platforms, when one is asked for, then the index is the same, the others stay away, and nothing of that counts as missing', async (t) => {
    await using images = await imagedClusters(dialect, t.signal)
    const { on, task } = images
    const index = await images.pushIndex(on.a, 'app', '1.0', PLATFORMS)
    await images.push(on.a, 'app', 'amd-only', { platform: 'linux/amd64' })
    await images.push(on.a, 'windows', '1.0', { platform: 'windows/amd64' })
    await images.push(on.a, 'arm', '1.0', { platform: 'linux/arm64' })
    const { key, ...run } = await on.replicate(task(ARM))
    assert.equal(run.record.errorReason, null)
    // The index, its child, and the image that has this platform alone.
    assert.equal(counts(run), '3/0/0/0', JSON.stringify(run.details))
    assert.equal(await images.digestAt(on.b, 'app', '1.0'), index.digest)
    const [amd, arm, windows] = index.children as [never, never, never] as readonly (typeof index)[]
    await images.pull(on.b, 'app', arm!.digest)
    await images.pull(on.b, 'arm', '1.0')
    for (const { digest } of [amd!, windows!]) {
      for (const method of ['HEAD', 'GET']) {
        const answer = await images.send(on.b, method, `/v2/proj/images/app/manifests/${digest}`)
        assert.equal(answer.status, 404)
        if (method === 'HEAD') continue
        assert.equal(answer.json.errors[0].code, 'MANIFEST_UNKNOWN')
        assert.match(answer.json.errors[0].message, /left out when index \[1\.0\] was replicated/)
      }
    }
    assert.deepEqual(await images.tags(on.b, 'app'), ['1.0'])
    assert.equal(await images.tags(on.b, 'windows'), undefined)
    // Three manifests, two configs, the layer that the children share, and two layers.
    assert.equal(run.overview.fileSuccess, 8)

    const before = on.line.seen.length
    assert.equal(counts(await on.again(key)), '0/3/0/0')
    assert.equal(on.line.seen.length - before, 1)
    assert.deepEqual(await planOf(images, key, t.signal), { send: 0, skip: 3, keep: 0, fail: 0, delete: 0 })
    assert.deepEqual(await proofOf(images, key, t.signal), { equal: true, missing: 0, content: 0, extra: 0 })

    // Somebody writes at the target: what is left out is known without a cursor.
    await images.push(on.b, 'theirs', '1')
    const compared = on.line.seen.length
    assert.equal(counts(await on.again(key)), '0/3/0/0')
    const calls = on.line.seen.slice(compared).map(({ path }) => path)
    assert.ok(
      calls.every((path) => /\/(open|recon)$/.test(path)),
      calls.join(),
    )
    assert.equal((await proofOf(images, key, t.signal)).missing, 0)
  })

  it('given a task that asked for one platform, when it asks for all later, then the rest is sent, and the index says no more that it lacks something', async (t) => {
    await using images = await imagedClusters(dialect, t.signal)
    const { on, task } = images
    const index = await images.pushIndex(on.a, 'app', '1.0', PLATFORMS)
    const { key } = await on.replicate(task(ARM))
    await update(['linux/arm64', 'linux/amd64'])
    const second = await on.again(key)
    assert.equal(second.overview.failed, 0)
    assert.equal(second.overview.success, 2)
    await images.pull(on.b, 'app', index.children[0]!.digest)
    assert.equal(await images.digestAt(on.b, 'app', index.children[2]!.digest), undefined)
    await update([])
    const third = await on.again(key)
    assert.equal(third.overview.success, 2)
    assert.deepEqual(await images.pull(on.b, 'app', '1.0'), await images.pull(on.a, 'app', '1.0'))
    assert.deepEqual(await images.versions(on.b), await images.versions(on.a))
    assert.deepEqual(await extensionsAt(on.b), await extensionsAt(on.a))
    assert.deepEqual(await proofOf(images, key, t.signal), { equal: true, missing: 0, content: 0, extra: 0 })

    async function update(platforms: readonly string[]) {
      const { task: stored, objects } = await on.a.api.call<{ task: object & { setting: object }; objects: unknown }>(
        'GET',
        `/replication/api/task/detail/${key}`,
        undefined,
        t.signal,
      )
      const body = {
        ...stored,
        localProjectId: 'proj',
        replicaTaskObjects: objects,
        remoteClusterIds: [on.clusterId],
        setting: { ...stored.setting, platforms },
      }
      await on.a.api.call('POST', '/replication/api/task/update', body, t.signal)
    }
    async function extensionsAt(where: typeof on.a) {
      const rows = await where.db.read
        .selectFrom('package_version')
        .select(['name', 'extension'])
        .orderBy('name')
        .execute()
      return rows.map(({ name, extension }) => [name, JSON.parse(extension)])
    }
  })

  it('given attestations in an index, and a signature of a child, when one platform is asked for, then they go with their image', async (t) => {
    await using images = await imagedClusters(dialect, t.signal)
    const { on, task } = images
    const [amd, arm] = [
      await images.push(on.a, 'app', 'digest', { platform: 'linux/amd64' }),
      await images.push(on.a, 'app', 'digest', { platform: 'linux/arm64', layers: [Buffer.from('arm')] }),
    ]
    const proofs = await Promise.all(
      [amd, arm].map((one) =>
        images.push(on.a, 'app', 'digest', { platform: 'unknown/unknown', layers: [Buffer.from(one.digest)] }),
      ),
    )
    const platformed = (one: typeof amd, os: string, architecture: string, more = {}) =>
      descriptor(one.bytes, MANIFEST, { platform: { os, architecture }, ...more })
    const about = (digest: string) => ({
      annotations: { 'vnd.docker.reference.type': 'attestation-manifest', 'vnd.docker.reference.digest': digest },
    })
    const index = manifestOf({
      mediaType: INDEX,
      manifests: [
        platformed(amd, 'linux', 'amd64'),
        platformed(arm, 'linux', 'arm64'),
        platformed(proofs[0]!, 'unknown', 'unknown', about(amd.digest)),
        platformed(proofs[1]!, 'unknown', 'unknown', about(arm.digest)),
      ],
    })
    await images.pushManifest(on.a, 'app', '1.0', index)
    const signatures = [
      await images.refer(on.a, 'app', amd, 'signature of amd'),
      await images.refer(on.a, 'app', arm, 'signature of arm'),
      await images.refer(on.a, 'app', index, 'signature of the index'),
    ]
    const packageConstraints = [{ packageKey: 'docker://app', versions: ['1.0'] }]
    const { key, ...run } = await on.replicate(task({ replicaObjectType: 'PACKAGE', ...ARM }, { packageConstraints }))
    assert.equal(counts(run), '3/0/0/0', JSON.stringify(run.details))
    const there = async (one: typeof amd) => (await images.digestAt(on.b, 'app', one.digest)) !== undefined
    assert.deepEqual(await Promise.all([amd, arm, ...proofs].map(there)), [false, true, false, true])
    assert.deepEqual(await Promise.all(signatures.map(there)), [false, true, true])
    assert.equal(counts(await on.again(key)), '0/3/0/0')
  })

  it('given a REAL_TIME task about one platform, when an index is pushed, then only that is followed', async (t) => {
    await using images = await imagedClusters(dialect, t.signal)
    const { on, task } = images
    const key = await liveTask(on, task(ARM), t.signal)
    const index = await images.pushIndex(on.a, 'app', '1.0', PLATFORMS)
    await images.push(on.a, 'other', '1.0', { platform: 'linux/amd64' })
    await until(async () => (await images.digestAt(on.b, 'app', '1.0')) === index.digest, t.signal)
    await caughtUp(on.a, key, t.signal)
    await images.pull(on.b, 'app', index.children[1]!.digest)
    for (const at of [0, 2]) assert.equal(await images.digestAt(on.b, 'app', index.children[at]!.digest), undefined)
    assert.equal(await images.tags(on.b, 'other'), undefined)
    assert.deepEqual(await proofOf(images, key, t.signal), { equal: true, missing: 0, content: 0, extra: 0 })
  })

  it('given an index with a left-out child at a middle cluster, when that replicates on, then the third knows it too', async (t) => {
    await using images = await imagedClusters(dialect, t.signal)
    const { on, task } = images
    const index = await images.pushIndex(on.a, 'app', '1.0', PLATFORMS)
    await on.replicate(task(ARM))
    const back = { name: 'alpha', url: on.a.url, user: 'admin', password: on.a.password }
    await registerCluster(on.b.api, back, t.signal)
    const onward = { remoteProjectId: 'proj', remoteRepoName: 'onward' }
    const body = { localRepoName: 'images', repoType: 'DOCKER', packageConstraints: [], pathConstraints: [], ...onward }
    const run = await on.replicateBack({}, { replicaTaskObjects: [body as never] })
    assert.equal(run.record.errorReason, null)
    assert.equal(run.overview.failed, 0)
    const answer = await images.send(on.a, 'GET', `/v2/proj/onward/app/manifests/${index.children[0]!.digest}`)
    assert.equal(answer.status, 404)
    assert.match(answer.json.errors[0].message, /left out/)
    const same = await images.send(on.a, 'GET', '/v2/proj/onward/app/manifests/1.0')
    assert.equal(same.headers.get('docker-content-digest'), index.digest)
  })

  it('given a tag of its own at the target, when an index without some children comes to it, then SKIP keeps it and remembers, and OVERWRITE replaces it', async (t) => {
    await using images = await imagedClusters(dialect, t.signal)
    const { on, task } = images
    await images.push(on.a, 'other', '1.0', { platform: 'linux/arm64' })
    await on.replicate(task(ARM))
    const index = await images.pushIndex(on.a, 'app', '1.0', PLATFORMS)
    const theirs = await images.push(on.b, 'app', '1.0')
    const { key, ...run } = await on.replicate(task(ARM))
    assert.equal(counts(run), '1/2/0/1')
    assert.equal(await images.digestAt(on.b, 'app', '1.0'), theirs.digest)
    assert.equal(counts(await on.again(key)), '0/3/0/1')
    await images.push(on.b, 'theirs', '1')
    const before = on.line.seen.length
    assert.equal(counts(await on.again(key)), '0/3/0/1')
    const calls = on.line.seen.slice(before).map(({ path }) => path)
    assert.ok(
      calls.every((path) => /\/(open|recon)$/.test(path)),
      calls.join(),
    )
    const over = await on.replicate(task({ setting: { ...ARM.setting, conflictStrategy: 'OVERWRITE' } }))
    assert.equal(counts(over), '1/2/0/1')
    assert.equal(await images.digestAt(on.b, 'app', '1.0'), index.digest)
    await images.pull(on.b, 'app', theirs.digest)
    assert.equal(counts(await on.again(over.key)), '0/3/0/0')
  })

  it('given a target that refuses an index, when it is sent, then its artifact is FAILED with the words of the target', async (t) => {
    await using images = await imagedClusters(dialect, t.signal)
    const { on, task } = images
    const first = await images.push(on.a, 'other', '1.0', { platform: 'linux/arm64' })
    await on.replicate(task(ARM))
    const index = await images.pushIndex(on.a, 'app', '1.0', PLATFORMS)
    // Where the index has a file, the target has a folder.
    await images.pushManifest(on.b, 'other', '2.0', first)
    await on.b.api.upload('proj/images', '/app/manifest/1.0/list.manifest.json/x', Buffer.from('x'), {}, t.signal)
    const run = await on.replicate(task(ARM))
    assert.equal(run.record.status, 'FAILED')
    const failed = run.details.filter(({ status }) => status === 'FAILED')
    assert.deepEqual(
      failed.map(({ artifactName }) => artifactName),
      ['app'],
    )
    assert.match(failed[0]!.errorReason!, /the target has a folder at \[\/app\/manifest\/1\.0\/list\.manifest\.json\]/)
    await images.pull(on.b, 'app', index.children[1]!.digest)
  })

  it('given platforms that are none, or for a repository without images, when a task is created, then it is refused by name', async (t) => {
    await using images = await imagedClusters(dialect, t.signal)
    const { on, task } = images
    for (const platforms of [['linux'], ['linux/amd64/v1/x'], ['Linux/amd64'], [''], ['linux/amd64', 'x y/z']]) {
      await assert.rejects(on.create(task({ setting: { platforms } })), { code: 250105 }, platforms.join())
    }
    await assert.rejects(on.create({ setting: { platforms: ['linux/amd64'] } }), { code: 250105 })
    await on.create(task({ setting: { platforms: ['linux/amd64', 'linux/arm/v7'] } }))
  })
})

async function planOf({ on }: ImagedClusters, key: string, signal: AbortSignal): Promise<object> {
  const plan = await on.a.api.call<{ total: { counts: object } }>(
    'GET',
    `/replication/api/task/plan/${key}`,
    undefined,
    signal,
  )
  return plan.total.counts
}
async function proofOf({ on }: ImagedClusters, key: string, signal: AbortSignal) {
  const { links } = await on.a.api.call<{
    links: readonly { equal: boolean; counts: { missing: number; content: number; extra: number } }[]
  }>('POST', `/replication/api/task/verify/${key}`, undefined, signal)
  const { equal, counts: found } = links[0]!
  return { equal, missing: found.missing, content: found.content, extra: found.extra }
}
