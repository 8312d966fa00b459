import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { RecordInfo } from '../../src/cli/run-progress.ts'
import type { ApiError } from '../helpers/api.ts'
import { DISTRIBUTION, sampleOf } from '../helpers/distributions.ts'
import { eachDialect, type TestDialect } from '../helpers/local-cluster.ts'
import { until } from '../helpers/real-time.ts'
import { INDEX, MANIFEST, startRegistry } from '../helpers/registry.ts'
import { detailsOf, registerCluster } from '../helpers/replication-calls.ts'

const REPO = 'demo/images'

/** A registry of ours, and another server of ours that plays somebody else's: its protocol is all that the first one knows of it. */
async function pair(dialect: TestDialect) {
  const a = await startRegistry(dialect, { ENTREPOT_ALLOW_PRIVATE_TARGETS: 'true' })
  const b = await startRegistry(dialect)
  const call = <T = null>(method: string, path: string, body?: unknown): Promise<T> =>
    a.server.api.call<T>(method, `${DISTRIBUTION}/${path}`, body, AbortSignal.timeout(20_000))
  const target = {
    registry: `${b.server.url}/demo/images/mirror`,
    username: 'admin',
    password: b.server.password,
  }
  const manifest = (reference: string, image: string) =>
    b.call('GET', `/v2/demo/images/mirror/${image}/manifests/${reference}`, {
      headers: { accept: `${MANIFEST}, ${INDEX}` },
    })
  const status = (name: string) => call<RecordInfo | null>('GET', `get/runOnceTaskStatus/${REPO}?name=${name}`)
  return {
    ...{ a, b, call, target, manifest, status },
    async ended(name: string, signal: AbortSignal): Promise<RecordInfo> {
      await until(async () => (await status(name))?.status !== 'RUNNING', signal)
      return (await status(name))!
    },
    async [Symbol.asyncDispose]() {
      await a[Symbol.asyncDispose]()
      await b[Symbol.asyncDispose]()
    },
  }
}

eachDialect('distribution to registries', (dialect) => {
  it('case 46: given the sample of contract 001 for a registry, when a tag is pushed afterwards, then it is there, and nothing older', async (t) => {
    await using on = await pair(dialect)
    await on.a.pushImage(`${REPO}/nginx`, 'old')
    await on.call('POST', `create/${REPO}`, sampleOf(on.target))
    const pushed = await on.a.pushImage(`${REPO}/nginx`, '1.1')
    await until(async () => (await on.manifest('1.1', 'nginx')).status === 200, t.signal)
    const there = await on.manifest('1.1', 'nginx')
    assert.deepEqual(there.body, pushed.bytes)
    assert.equal((await on.manifest('old', 'nginx')).status, 404)

    const infos = await on.call<Record<string, unknown>[]>('GET', `info/${REPO}`)
    assert.equal(infos[0]?.registry, `${on.b.server.url}/demo/images/mirror`)
    assert.deepEqual([infos[0]?.username, infos[0]?.password, infos[0]?.clusterId], ['admin', null, null])
    assert.ok(!JSON.stringify(infos).includes(on.b.server.password))
    const { name: _, password: __, ...change } = sampleOf(on.target).configs[0] as Record<string, unknown>
    await on.call('POST', `update/${REPO}/mirrors`, change)
    await on.a.pushImage(`${REPO}/nginx`, '1.2')
    await until(async () => (await on.manifest('1.2', 'nginx')).status === 200, t.signal)
    await on.call('POST', `toggle/status/${REPO}/mirrors`)
    await on.call('DELETE', `delete/${REPO}/mirrors`)
    assert.deepEqual(await on.call('GET', `info/${REPO}`), [])
  })

  it('given many creations of one name at once, when all are answered, then there is one, and each was done or told that it is taken', async (t) => {
    await using on = await pair(dialect)
    const body = { ...sampleOf(on.target).configs[0], name: 'once', packageName: 'nginx', versions: ['1.1'] }
    const calls = Array.from({ length: 6 }, (_, n) =>
      n % 2 === 0
        ? on.call('POST', `create/${REPO}`, sampleOf(on.target))
        : on.call('POST', `create/runOnceTask/${REPO}`, body),
    )
    for (const one of await Promise.allSettled(calls)) {
      if (one.status === 'rejected') assert.equal((one.reason as ApiError).status, 400, String(one.reason))
    }
    const infos = await on.call<{ readonly name: string }[]>('GET', `info/${REPO}`)
    assert.deepEqual(infos.map(({ name }) => name).sort(), ['mirrors', 'once'])
    const pushed = await on.a.pushImage(`${REPO}/nginx`, '1.1')
    await until(async () => (await on.manifest('1.1', 'nginx')).status === 200, t.signal)
    assert.deepEqual((await on.manifest('1.1', 'nginx')).body, pushed.bytes)
  })

  it('case 46: given the run-once sample of contract 001 for a package and a cluster, when executed, then that tag is there, and no other', async (t) => {
    await using on = await pair(dialect)
    const pushed = await on.a.pushImage(`${REPO}/nginx`, '1.1')
    await on.a.pushImage(`${REPO}/nginx`, '1.2')
    const address = { name: 'beta', url: on.b.server.url, user: 'admin', password: on.b.server.password }
    const clusterId = await registerCluster(on.a.server.api, address, t.signal)
    const target = { clusterId, remoteProjectId: 'demo', remoteRepoName: 'mirror' }
    const body = { name: 'once', ...target, packageName: 'nginx', versions: ['1.1'], description: 'xxxx' }
    await on.call('POST', `create/runOnceTask/${REPO}`, body)
    await on.call('POST', `execute/runOnceTask/${REPO}?name=once`)
    const record = await on.ended('once', t.signal)
    assert.deepEqual([record.status, record.errorReason, record.replicaOverview?.success], ['SUCCESS', null, 1])
    const there = (tag: string) => on.b.call('GET', `/v2/demo/mirror/nginx/manifests/${tag}`)
    assert.deepEqual((await there('1.1')).body, pushed.bytes)
    assert.equal((await there('1.2')).status, 404)
    await on.call('DELETE', `delete/runOnceTask/${REPO}?name=once`)
  })

  it('cases 42 and 47: given a run-once with targetVersions, when executed, then these tags are there, and not its own', async (t) => {
    await using on = await pair(dialect)
    const pushed = await on.a.pushImage(`${REPO}/nginx`, '1.1')
    const body = { name: 'once', ...on.target, packageName: 'nginx', versions: ['1.1'], targetVersions: ['1.2', '1.3'] }
    await on.call('POST', `create/runOnceTask/${REPO}`, body)
    assert.equal(await on.status('once'), null)
    await on.call('POST', `execute/runOnceTask/${REPO}?name=once`)
    const record = await on.ended('once', t.signal)
    assert.deepEqual([record.status, record.errorReason, record.replicaOverview?.success], ['SUCCESS', null, 1])
    for (const tag of ['1.2', '1.3']) assert.deepEqual((await on.manifest(tag, 'nginx')).body, pushed.bytes)
    assert.equal((await on.manifest('1.1', 'nginx')).status, 404)
    const { records } = await detailsOf(on.a.server.api, record.id, 10, t.signal)
    const [detail] = records
    assert.deepEqual([detail?.artifactName, detail?.status], ['nginx', 'SUCCESS'])

    await on.call('POST', `execute/runOnceTask/${REPO}?name=once`)
    const again = await on.ended('once', t.signal)
    assert.deepEqual([again.status, again.replicaOverview?.success, again.replicatedBytes], ['SUCCESS', 0, 0])
    await on.call('DELETE', `delete/runOnceTask/${REPO}?name=once`)
  })
})
