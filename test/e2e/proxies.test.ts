import assert from 'node:assert/strict'
import { it } from 'node:test'
import { seededBytes } from '../helpers/blobs.ts'
import { eachDialect, startCluster } from '../helpers/local-cluster.ts'
import { createTask, registerCluster, taskOf, waitForRun } from '../helpers/replication-calls.ts'
import { scriptedUpstream } from '../helpers/scripted-upstream.ts'

const PROXIES = { ENTREPOT_ALLOW_PRIVATE_TARGETS: 'true' }

async function prepare(
  cluster: { api: Awaited<ReturnType<typeof startCluster>>['api'] },
  repos: object[],
  signal: AbortSignal,
) {
  const project = { name: 'demo', displayName: 'demo', description: '' }
  await cluster.api.call('POST', '/repository/api/project/create', project, signal)
  for (const repo of repos)
    await cluster.api.call(
      'POST',
      '/repository/api/repo/create',
      { projectId: 'demo', type: 'GENERIC', ...repo },
      signal,
    )
}

eachDialect('Proxies', (dialect) => {
  it('given another Entrepot as upstream, when read through a VIRTUAL repository, then digest and bytes are the same', async (t) => {
    await using upstream = await startCluster({ name: 'upstream', dialect })
    await using edge = await startCluster({ name: 'edge', dialect, env: PROXIES })
    await prepare(upstream, [{ name: 'files', category: 'LOCAL' }], t.signal)
    const bytes = seededBytes(7, 3_000_000)
    const original = await upstream.api.upload('demo/files', '/a b/ü#%.bin', bytes, {}, t.signal)
    const credentials = { username: 'admin', password: upstream.password }
    await prepare(
      edge,
      [
        { name: 'far', category: 'REMOTE', configuration: { url: `${upstream.url}/generic/demo/files`, credentials } },
        { name: 'all', category: 'VIRTUAL', configuration: { repositoryList: [{ projectId: 'demo', name: 'far' }] } },
      ],
      t.signal,
    )
    const answer = await edge.api.download('demo/all', '/a b/ü#%.bin', t.signal)
    assert.equal(answer.headers['x-checksum-sha256'], original.sha256)
    assert.equal(Buffer.compare(Buffer.concat(await answer.toArray()), bytes), 0)
    const detail = `/repository/api/node/detail/demo/far/${encodeURIComponent('a b')}/${encodeURIComponent('ü#%.bin')}`
    assert.equal((await edge.api.call<{ sha256: string }>('GET', detail, undefined, t.signal)).sha256, original.sha256)
  })

  it('given a REMOTE repository of this very server and itself, when read, then it ends with an error, not in a circle', async (t) => {
    await using edge = await startCluster({ name: 'edge', dialect, env: PROXIES })
    const credentials = { username: 'admin', password: edge.password }
    const configuration = { url: `${edge.url}/generic/demo/self`, credentials }
    await prepare(edge, [{ name: 'self', category: 'REMOTE', configuration }], t.signal)
    await assert.rejects(edge.api.download('demo/self', '/x', t.signal), /502 \/ 250116/)
  })

  it('given private targets not allowed, when a proxy is configured on loopback, then it is refused by field', async (t) => {
    await using edge = await startCluster({ name: 'edge', dialect })
    const repo = { name: 'far', category: 'REMOTE', configuration: { url: 'http://127.0.0.1:1' } }
    await assert.rejects(prepare(edge, [repo], t.signal), /250105.*configuration\.url.*allowPrivateTargets/)
  })

  it('given a REMOTE repository, when it is replicated, then the target gets what is cached and no address; VIRTUAL is refused', async (t) => {
    await using upstream = await scriptedUpstream()
    await using edge = await startCluster({ name: 'edge', dialect, env: PROXIES })
    await using other = await startCluster({ name: 'other', dialect })
    upstream.serve('/x', 'cached')
    const credentials = { username: 'u', password: 'p' }
    await prepare(
      edge,
      [
        { name: 'far', category: 'REMOTE', configuration: { url: upstream.url, credentials } },
        { name: 'all', category: 'VIRTUAL', configuration: { repositoryList: [{ name: 'far' }] } },
      ],
      t.signal,
    )
    ;(await edge.api.download('demo/far', '/x', t.signal)).resume()
    await edge.api.call('GET', '/repository/api/node/detail/demo/far/x', undefined, t.signal)
    const address = { name: 'other', url: other.url, user: 'admin', password: other.password }
    const clusterId = await registerCluster(edge.api, address, t.signal)
    const create = (repo: string) => createTask(edge.api, taskOf(`copy-${repo}`, `demo/${repo}`, [clusterId]), t.signal)
    await assert.rejects(create('all'), /250105.*VIRTUAL/)
    const record = await waitForRun(edge.api, await create('far'), { runs: 1, pollMs: 5 }, t.signal)
    assert.deepEqual([record.status, record.replicaOverview?.success], ['SUCCESS', 1])
    const [repository] = await other.db.read.selectFrom('repository').selectAll().execute()
    assert.deepEqual(
      [repository?.category, JSON.parse(repository?.configuration ?? '')],
      ['LOCAL', { type: 'local', settings: {} }],
    )
  })
})
