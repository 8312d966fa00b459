import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDialect, type LocalCluster } from '../helpers/local-cluster.ts'
import { rdsFormat } from '../helpers/rds-format.ts'
import { listFiles } from '../helpers/replication-calls.ts'
import { counts, twoClusters } from '../helpers/two-clusters.ts'

const REPO = 'proj/rds'
const OBJECT = { localRepoName: 'rds', remoteProjectId: 'proj', remoteRepoName: 'rds', repoType: 'RDS' }

async function pathsOf(cluster: LocalCluster, signal: AbortSignal): Promise<string[]> {
  const found = []
  for await (const { fullPath, sha256 } of listFiles(cluster.api, REPO, signal)) found.push(`${fullPath} ${sha256}`)
  return found
}

eachDialect('replication of the files of packages', (dialect) => {
  it('given versions that come, change and go at the source, when replicated run by run, then files and words follow, each version as one artifact', async (t) => {
    await using two = await twoClusters(dialect, t.signal, {}, [rdsFormat])
    const { api, url } = two.a
    const repository = { projectId: 'proj', name: 'rds', type: 'RDS', category: 'LOCAL' }
    await api.call('POST', '/repository/api/repo/create', repository, t.signal)
    const publish = async (version: string) => {
      const headers = { authorization: api.authorization }
      const target = `${url}/rds/${REPO}/a/${version}?notes=n${version}`
      assert.equal((await fetch(target, { method: 'PUT', headers, body: version })).status, 201)
    }
    await publish('1.0')
    const object = { ...OBJECT, packageConstraints: [], pathConstraints: [] }
    const { key, ...first } = await two.replicate({ replicaTaskObjects: [object] })
    assert.equal(counts(first), '1/0/0/0')
    assert.deepEqual(await pathsOf(two.b, t.signal), await pathsOf(two.a, t.signal))

    const note = { packageKey: 'rds://a', version: '1.0', versionMetadata: [{ key: 'k', value: 1 }] }
    await api.call('POST', `/repository/api/metadata/package/${REPO}`, note, t.signal)
    const before = two.line.bodyBytes()
    const second = await two.again(key)
    assert.deepEqual([second.record.status, counts(second), second.overview.fileSuccess], ['SUCCESS', '1/0/0/0', 0])
    assert.ok(two.line.bodyBytes() - before < 8_192, 'its words travel, not its files')

    await publish('1.1')
    const third = await two.again(key)
    assert.equal(counts(third), '1/1/0/0')
    assert.deepEqual(await pathsOf(two.b, t.signal), await pathsOf(two.a, t.signal))
    const target = `/repository/api/version/delete/${REPO}?packageKey=rds://a&version=1.0`
    await api.call('DELETE', target, undefined, t.signal)
    const fourth = await two.again(key)
    assert.deepEqual([fourth.record.status, counts(fourth)], ['SUCCESS', '0/1/0/0'])
  })
})
