import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDialect, type LocalCluster } from '../helpers/local-cluster.ts'
import { digestOf, imageOf, manifestOf, type PushedManifest } from '../helpers/registry.ts'
import { counts, twoClusters } from '../helpers/two-clusters.ts'

const IMAGE = 'proj/docker/team/web'
const CONFIG = Buffer.from('{"os":"linux","architecture":"amd64"}')
const imageWith = (text: string): PushedManifest => imageOf(CONFIG, [Buffer.from(text)])

async function call(
  { url, api }: LocalCluster,
  method: string,
  path: string,
  body?: Buffer,
  type = 'application/octet-stream',
) {
  const sent = body === undefined ? {} : { body: new Uint8Array(body) }
  const headers = { authorization: api.authorization, ...(body === undefined ? {} : { 'content-type': type }) }
  return fetch(`${url}/v2/${IMAGE}/${path}`, { method, headers, ...sent })
}
async function push(where: LocalCluster, reference: string, { bytes, mediaType }: PushedManifest, ...texts: string[]) {
  for (const blob of [CONFIG, ...texts.map((text) => Buffer.from(text))]) {
    const { status } = await call(where, 'POST', `blobs/uploads/?digest=${digestOf(blob)}`, blob)
    assert.equal(status, 201)
  }
  const answer = await call(where, 'PUT', `manifests/${reference}`, bytes, mediaType)
  assert.equal(answer.status, 201, await answer.text())
}
async function pull(where: LocalCluster, reference: string): Promise<Buffer | number> {
  const answer = await call(where, 'GET', `manifests/${reference}`)
  const body = Buffer.from(await answer.arrayBuffer())
  return answer.status === 200 ? body : answer.status
}

eachDialect('replication of tags', (dialect) => {
  it('given tags, manifests by digest and a tag that moves, when replicated, then the target serves the very same, and keeps what it had', async (t) => {
    await using on = await twoClusters(dialect, t.signal)
    const repository = { projectId: 'proj', name: 'docker', type: 'DOCKER', category: 'LOCAL' }
    await on.a.api.call('POST', '/repository/api/repo/create', repository, t.signal)
    const [one, two, three] = [imageWith('1'), imageWith('2'), imageWith('3')]
    await push(on.a, '1.0', one, '1')
    await push(on.a, two.digest, two, '2')
    const index = manifestOf({
      mediaType: 'application/vnd.oci.image.index.v1+json',
      ...{ manifests: [{ mediaType: two.mediaType, digest: two.digest, size: two.bytes.length }] },
    })
    await push(on.a, 'multi', index)
    const object = { localRepoName: 'docker', remoteProjectId: 'proj', remoteRepoName: 'docker', repoType: 'DOCKER' }
    const { key, ...run } = await on.replicate({
      setting: { conflictStrategy: 'OVERWRITE' },
      replicaTaskObjects: [{ ...object, packageConstraints: [], pathConstraints: [] } as never],
    })
    assert.equal(run.record.errorReason, null)
    assert.equal(counts(run), '3/0/0/0')
    for (const { digest, bytes } of [one, two, index]) assert.deepEqual(await pull(on.b, digest), bytes)
    assert.deepEqual(await pull(on.b, 'multi'), index.bytes)
    const columns = async (where: LocalCluster) => {
      const rows = where.db.read.selectFrom('package_version').select(['name', 'listed', 'digest', 'subject', 'size'])
      return rows.orderBy('name').execute()
    }
    assert.deepEqual(await columns(on.b), await columns(on.a))

    await push(on.a, '1.0', three, '3')
    const second = await on.again(key)
    assert.equal(second.record.errorReason, null)
    assert.deepEqual(await pull(on.b, '1.0'), three.bytes)
    assert.deepEqual(await pull(on.b, one.digest), one.bytes)
    assert.deepEqual(await columns(on.b), await columns(on.a))
    const third = await on.again(key)
    assert.equal(counts(third), '0/4/0/0')
  })
})
