import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { ApiError } from '../helpers/api.ts'
import { distributionSource, REPO, scheduled } from '../helpers/distributions.ts'
import { eachDialect, type TestDialect } from '../helpers/local-cluster.ts'
import { descriptor, digestOf, EMPTY, EMPTY_TYPE, INDEX, imageOf, MANIFEST, manifestOf } from '../helpers/registry.ts'
import { type RegistryTraits, scriptedRegistry } from '../helpers/scripted-registry.ts'

/** Our repository, and somebody else's registry. */
async function pair(dialect: TestDialect, traits: RegistryTraits = {}) {
  const source = await distributionSource(dialect)
  const there = await scriptedRegistry(traits)
  const target = { registry: `${there.url}/team` }
  return {
    ...{ source, there, target },
    tags: () => [...there.manifests.keys()].filter((key) => !key.includes('@')).sort(),
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]()
      await there[Symbol.asyncDispose]()
    },
  }
}

eachDialect('runs of a distribution to a registry', (dialect) => {
  it('given a run that has nothing to do, when it runs, then the registry is not asked; with storageConsistencyCheck once for each tag', async (t) => {
    await using on = await pair(dialect)
    const { source, there } = on
    for (const tag of ['1', '2']) await source.tag(tag)
    await source.distribute('mirror', { ...on.target, ...scheduled({}) })
    const first = await source.run('mirror', t.signal)
    assert.deepEqual(
      [first.status, first.replicaOverview?.success, on.tags()],
      ['SUCCESS', 2, ['team/nginx:1', 'team/nginx:2']],
    )
    const asked = there.asked.length
    const second = await source.run('mirror', t.signal)
    assert.deepEqual([second.status, second.replicaOverview?.success, second.replicaOverview?.skip], ['SUCCESS', 0, 2])
    assert.deepEqual(there.asked.slice(asked), [])

    there.manifests.delete('team/nginx:2')
    await source.distribute('mirror', { ...on.target, ...scheduled({ storageConsistencyCheck: true }) })
    const before = there.asked.length
    const third = await source.run('mirror', t.signal)
    assert.deepEqual([third.status, third.replicaOverview?.success, third.replicaOverview?.skip], ['SUCCESS', 1, 1])
    const heads = there.asked.slice(before).filter((line) => line.startsWith('HEAD /v2/team/nginx/manifests/'))
    assert.deepEqual(heads.sort(), ['HEAD /v2/team/nginx/manifests/1', 'HEAD /v2/team/nginx/manifests/2'])
    assert.deepEqual(on.tags(), ['team/nginx:1', 'team/nginx:2'])
  })

  it('given a tag that somebody else put there, and one that moved here, when a run comes, then the strategy decides on the first, and the second goes forward', async (t) => {
    await using on = await pair(dialect)
    const { source, there } = on
    await source.tag('moves')
    await source.tag('taken')
    const others = imageOf(Buffer.from('{}'), [])
    there.manifests.set('team/nginx:taken', { bytes: others.bytes, type: MANIFEST })
    await source.distribute('mirror', { ...on.target, ...scheduled({ conflictStrategy: 'SKIP' }) })
    const first = await source.run('mirror', t.signal)
    const { success, skip, conflict, failed } = first.replicaOverview!
    assert.deepEqual([first.status, success, skip, conflict, failed], ['SUCCESS', 1, 1, 1, 0])
    assert.ok(there.manifests.get('team/nginx:taken')!.bytes.equals(others.bytes))
    const kept = (await source.details(first)).find(({ version }) => version === 'taken')
    assert.deepEqual([kept?.status, kept?.conflictStrategy], ['SUCCESS', 'SKIP'])

    const moved = await source.tag('moves')
    const second = await source.run('mirror', t.signal)
    assert.deepEqual([second.replicaOverview?.success, second.replicaOverview?.conflict], [1, 1])
    assert.ok(there.manifests.get('team/nginx:moves')!.bytes.equals(moved.bytes))

    await source.distribute('mirror', { ...on.target, ...scheduled({ conflictStrategy: 'FAST_FAIL' }) })
    const third = await source.run('mirror', t.signal)
    assert.deepEqual([third.status, third.replicaOverview?.failed], ['FAILED', 1])
    const [failure] = await source.details(third)
    assert.match(failure?.errorReason ?? '', /has something else as nginx:taken/)

    await source.distribute('mirror', { ...on.target, ...scheduled({ conflictStrategy: 'OVERWRITE' }) })
    const fourth = await source.run('mirror', t.signal)
    assert.deepEqual(
      [fourth.status, fourth.replicaOverview?.success, fourth.replicaOverview?.conflict],
      ['SUCCESS', 1, 1],
    )
    assert.ok(!there.manifests.get('team/nginx:taken')!.bytes.equals(others.bytes))
  })

  it('case 38: given an index of two platforms with what is about it and about a platform, when distributed, then all of it is there under the same digests', async (t) => {
    await using on = await pair(dialect, { referrers: 'unknown' })
    const { source, there } = on
    const { registry } = source
    const image = `${REPO}/nginx`
    const children = []
    for (const platform of ['amd64', 'arm64']) {
      const [config, layer] = [
        Buffer.from(JSON.stringify({ architecture: platform })),
        Buffer.from(`layer of ${platform}`),
      ]
      for (const blob of [config, layer]) await registry.pushBlob(image, blob)
      const child = imageOf(config, [layer])
      await registry.pushManifest(image, child.digest, child)
      children.push(child)
    }
    const index = manifestOf({
      mediaType: INDEX,
      manifests: children.map(({ bytes, mediaType }) => descriptor(bytes, mediaType)),
    })
    await registry.pushManifest(image, '1.1', index)
    await registry.pushBlob(image, EMPTY)
    const about = async (subject: { bytes: Buffer; mediaType: string }, what: string) => {
      const note = manifestOf({
        ...{ mediaType: MANIFEST, artifactType: what, config: descriptor(EMPTY, EMPTY_TYPE), layers: [] },
        subject: descriptor(subject.bytes, subject.mediaType),
      })
      await registry.pushManifest(image, note.digest, note)
      return note
    }
    const signature = await about(index, 'application/signature')
    const sbom = await about(children[1]!, 'application/sbom')
    const record = await source.runOnce('once', { ...on.target, versions: ['1.1'] }, t.signal)
    assert.deepEqual([record.status, record.errorReason, record.replicaOverview?.success], ['SUCCESS', null, 3])
    assert.equal(digestOf(there.manifests.get('team/nginx:1.1')!.bytes), index.digest)
    for (const { digest } of [...children, signature, sbom]) {
      assert.ok(there.manifests.has(`team/nginx@${digest}`), digest)
    }
    // A registry that lists no referrers has a tag in their place.
    const standIn = there.manifests.get(`team/nginx:${index.digest.replace(':', '-')}`)
    assert.match(standIn?.bytes.toString() ?? '', new RegExp(signature.digest))

    const late = await about(index, 'application/late')
    const again = await source.runOnce('once', { ...on.target, versions: ['1.1'] }, t.signal)
    assert.deepEqual([again.status, again.replicaOverview?.success, again.replicaOverview?.skip], ['SUCCESS', 1, 3])
    assert.ok(there.manifests.has(`team/nginx@${late.digest}`))
  })

  it('given versions that are named and not there, and one of a proxy, when distributed, then they are told, and the rest is done', async (t) => {
    await using on = await pair(dialect)
    const { source } = on
    await source.tag('1')
    await source.tag('2')
    const fetched = {
      packageKey: 'docker://nginx',
      version: '2',
      versionMetadata: [{ key: 'sourceType', value: 'PROXY' }],
    }
    await source.api('POST', `/repository/api/metadata/package/${REPO}`, fetched)
    const record = await source.runOnce('once', { ...on.target, versions: ['1', '2', 'absent'] }, t.signal)
    const { success, skip, failed, conflict } = record.replicaOverview!
    assert.deepEqual([record.status, success, skip, failed, conflict], ['FAILED', 1, 1, 1, 0])
    assert.deepEqual(await source.detailTexts(record), ['1 SUCCESS', '2 SUCCESS', 'absent FAILED'])
    const details = await source.details(record)
    assert.match(details.find((one) => one.version === '2')?.errorReason ?? '', /sourceType=PROXY/)
    assert.match(details.find((one) => one.version === 'absent')?.errorReason ?? '', /251019/)
    assert.deepEqual(on.tags(), ['team/nginx:1'])
  })

  it('given a registry that refuses one of 100 tags, when distributed, then CONTINUE brings the other 99, and a retry the last; FAST_FAIL stops there', async (t) => {
    await using on = await pair(dialect)
    const { source, there } = on
    const names = Array.from({ length: 100 }, (_, n) => `v${String(n).padStart(3, '0')}`)
    const image = await source.tag(names[0]!)
    for (const name of names.slice(1)) await source.registry.pushManifest(`${REPO}/nginx`, name, image)
    const refuse = { status: 403, body: '{"errors":[{"code":"DENIED","message":"not this one"}]}' }
    there.script(({ method, url }) => (method === 'PUT' && url?.endsWith('/manifests/v050') ? refuse : undefined))
    await source.distribute('mirror', { ...on.target, ...scheduled({ errorStrategy: 'CONTINUE' }) })
    const record = await source.run('mirror', t.signal)
    assert.deepEqual(
      [record.status, record.replicaOverview?.success, record.replicaOverview?.failed],
      ['FAILED', 99, 1],
    )
    const failed = (await source.details(record)).filter(({ status }) => status === 'FAILED')
    assert.equal(failed.length, 1)
    assert.match(failed[0]?.errorReason ?? '', /answered 403 .*DENIED/)
    assert.equal((await source.details(record)).length, 100)
    assert.equal(there.blobs.size, 2)

    there.script(() => undefined)
    await source.api('POST', `/replication/api/task/record/retry/${record.id}`)
    const second = await source.ended('mirror', t.signal)
    assert.deepEqual([second.status, second.replicaOverview?.success], ['SUCCESS', 1])
    assert.equal(on.tags().length, 100)

    there.script(({ method, url }) => (method === 'PUT' && url?.endsWith('/manifests/v003') ? refuse : undefined))
    const fast = { ...on.target, registry: `${there.url}/fast` }
    await source.distribute('fast', { ...fast, ...scheduled({ errorStrategy: 'FAST_FAIL' }) })
    const stopped = await source.run('fast', t.signal)
    assert.deepEqual(
      [stopped.status, stopped.replicaOverview?.success, stopped.replicaOverview?.failed],
      ['FAILED', 3, 1],
    )
  })

  it('case 43: given targetVersions of two versions, of a cluster, or files for a registry, when created, then 250105 names it', async () => {
    await using on = await pair(dialect)
    const create = (changes: object) =>
      on.source.call('POST', `create/runOnceTask/${REPO}`, {
        name: 'once',
        ...on.target,
        packageName: 'nginx',
        ...changes,
      })
    const refused = (field: RegExp) => (error: unknown) => {
      assert.deepEqual([(error as ApiError).status, (error as ApiError).code], [400, 250105])
      assert.match((error as ApiError).message, field)
      return true
    }
    await assert.rejects(create({ versions: ['1', '2'], targetVersions: ['3'] }), refused(/targetVersions/))
    await assert.rejects(create({ versions: ['1'], targetVersions: [''] }), refused(/targetVersions/))
    await assert.rejects(create({ versions: ['1'], pathConstraints: ['/a'] }), refused(/pathConstraints/))
    await assert.rejects(create({ versions: ['1'], registry: 'ftp://x' }), refused(/registry/))
    await assert.rejects(create({ versions: ['1'], registry: 'http://user:secret@x/y' }), refused(/registry/))
  })
})
