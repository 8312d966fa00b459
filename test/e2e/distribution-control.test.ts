import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { ApiError } from '../helpers/api.ts'
import { distributionSource, REPO, SCHEDULED, scheduled } from '../helpers/distributions.ts'
import { eachDialect, type TestDialect } from '../helpers/local-cluster.ts'
import { until } from '../helpers/real-time.ts'
import { imageOf } from '../helpers/registry.ts'
import { type RegistryTraits, scriptedRegistry } from '../helpers/scripted-registry.ts'
import { TEST_CERTIFICATE, tlsProxy } from '../helpers/tls-proxy.ts'

const LOGIN = { username: 'pusher', password: 'p:ss/w+rd' }

async function pair(dialect: TestDialect, traits: RegistryTraits = {}) {
  const source = await distributionSource(dialect)
  const there = await scriptedRegistry(traits)
  const nodes = () => source.api<Node[]>('GET', '/replication/api/cluster/list?type=REMOTE')
  return {
    ...{ source, there, nodes, target: { registry: `${there.url}/team` } },
    rows: async (table: 'pushed_version' | 'pushed_upload' | 'link') =>
      (await source.registry.server.db.read.selectFrom(table).selectAll().execute()).length,
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]()
      await there[Symbol.asyncDispose]()
    },
  }
}
interface Node {
  readonly id: string
  readonly name: string
  readonly url: string
  readonly status: string
  readonly errorReason: string | null
}
interface Info {
  readonly registry: string | null
  readonly clusterId: string | null
  readonly username: string | null
  readonly certificate: string | null
  readonly replicaType: string
  readonly enable: boolean
  readonly setting: { readonly rateLimit: number; readonly backfill?: boolean }
}
const refused = (code: number, words?: RegExp) => (error: unknown) => {
  assert.equal((error as ApiError).code, code, (error as ApiError).message)
  if (words !== undefined) assert.match((error as ApiError).message, words)
  return true
}

eachDialect('registries of distributions', (dialect) => {
  it('given a wrong password, nobody there, or ping false, when created, then it is refused with words, or stored without being asked', async () => {
    await using on = await pair(dialect, { auth: 'basic' })
    const { source, there } = on
    const create = (config: object) => source.distribute('mirror', { ...on.target, ...scheduled({}), ...config })
    await assert.rejects(create({ ...LOGIN, password: 'wrong' }), refused(250301, /answered 401/))
    await assert.rejects(create({}), refused(250301, /answered 401/))
    await assert.rejects(create({ registry: 'http://127.0.0.1:1/x' }), refused(250301))
    assert.deepEqual(await on.nodes(), [])
    const asked = there.asked.length
    await create({ ping: false })
    assert.equal(there.asked.length, asked)
    const [node] = await on.nodes()
    assert.deepEqual([node?.name, node?.status], [`${REPO}/mirror`, 'UNHEALTHY'])
    await create(LOGIN)
    const [same] = await on.nodes()
    assert.deepEqual([same?.id, same?.status], [node?.id, 'HEALTHY'])
    // Without the password the stored one stays, for the same address and user only.
    await source.call('POST', `update/${REPO}/mirror`, { ...on.target, username: LOGIN.username, password: '******' })
    const moved = { registry: there.url, username: LOGIN.username }
    await assert.rejects(source.call('POST', `update/${REPO}/mirror`, moved), refused(250301, /answered 401/))
  })

  it('given an update that leaves out enable, type and setting, when made, then they stay; another address gets everything again', async (t) => {
    await using on = await pair(dialect)
    const { source, there } = on
    await source.tag('1')
    await source.distribute('mirror', { ...on.target, ...scheduled({ rateLimit: 10_000_000 }) })
    await source.run('mirror', t.signal)
    assert.equal(await on.rows('pushed_version'), 1)
    await source.call('POST', `update/${REPO}/mirror`, { registry: `${there.url}/other`, description: 'moved' })
    const [info] = await source.call<Info[]>('GET', `info/${REPO}/mirror`)
    assert.deepEqual([info?.registry, info?.replicaType, info?.enable], [`${there.url}/other`, 'SCHEDULED', true])
    assert.equal(info?.setting.rateLimit, 10_000_000)
    const record = await source.run('mirror', t.signal)
    assert.equal(record.replicaOverview?.success, 1)
    assert.ok(there.manifests.has('other/nginx:1'))
  })

  it('given a distribution, when it goes to a cluster and back, and its task is deleted, then its node and what is known of it go along', async (t) => {
    await using on = await pair(dialect)
    const { source, there } = on
    await source.tag('1')
    await source.distribute('mirror', { ...on.target, ...scheduled({}) })
    await source.run('mirror', t.signal)
    const { server } = source.registry
    const itself = { name: 'itself', url: server.url, type: 'STANDALONE', username: 'admin', password: server.password }
    await source.api('POST', '/replication/api/cluster/create', itself)
    const clusters = await source.api<Node[]>('GET', '/replication/api/cluster/list?type=STANDALONE')
    const cluster = { clusterId: clusters[0]!.id, remoteProjectId: 'demo', remoteRepoName: 'copy' }
    await source.distribute('mirror', { ...cluster, ...scheduled({}) })
    assert.deepEqual([await on.nodes(), await on.rows('pushed_version')], [[], 0])
    await source.run('mirror', t.signal)
    await source.distribute('mirror', { ...on.target, ...scheduled({}) })
    there.manifests.clear()
    assert.equal((await source.run('mirror', t.signal)).replicaOverview?.success, 1)
    assert.equal((await on.nodes()).length, 1)
    await source.api('DELETE', `/replication/api/task/delete/${(await source.task('mirror')).key}`)
    assert.deepEqual([await on.nodes(), await on.rows('pushed_version'), await on.rows('link')], [[], 0, 0])
  })

  it('given the node of a registry, when it is treated as a cluster, then it is asked as a registry, and changed with its distribution only', async () => {
    await using on = await pair(dialect)
    const { source, there } = on
    await source.distribute('mirror', { ...on.target, ...scheduled({}) })
    const [node] = await on.nodes()
    const name = encodeURIComponent(node!.name)
    await source.api('POST', `/replication/api/cluster/tryConnect?name=${name}`)
    there.script(() => ({ status: 401 }))
    await assert.rejects(source.api('POST', `/replication/api/cluster/tryConnect?name=${name}`), refused(250301, /401/))
    assert.match((await on.nodes())[0]?.errorReason ?? '', /401/)
    there.script(() => undefined)
    const change = { name: node!.name, url: 'http://127.0.0.1:1' }
    await assert.rejects(source.api('POST', '/replication/api/cluster/update', change), refused(250105, /distribution/))
    await assert.rejects(
      source.api('DELETE', `/replication/api/cluster/delete/${node!.id}`),
      refused(250105, /distribution/),
    )
    const made = { name: 'by-hand', url: there.url, type: 'REMOTE' }
    await assert.rejects(source.api('POST', '/replication/api/cluster/create', made), refused(250112, /distribution/))
    const { key } = await source.task('mirror')
    const copy = { name: 'a copy', key }
    await assert.rejects(source.api('POST', '/replication/api/task/copy', copy), refused(250105, /distribution/))
    const task = {
      ...{ name: 'mine', localProjectId: 'demo', remoteClusterIds: [node!.id], replicaType: 'SCHEDULED' },
      replicaTaskObjects: [
        { localRepoName: 'images', repoType: 'DOCKER', remoteProjectId: 'demo', remoteRepoName: 'copy' },
      ],
    }
    await assert.rejects(source.api('POST', '/replication/api/task/create', task), refused(250105, /registry/))
    await assert.rejects(
      source.distribute('other', { clusterId: node!.id, remoteProjectId: 'demo', remoteRepoName: 'copy' }),
      refused(250105, /registry/),
    )
  })

  it('given a certificate of an own authority, when it is named, then the registry is trusted, and not without it', async (t) => {
    await using on = await pair(dialect)
    const { source } = on
    await using tls = await tlsProxy(on.there.url)
    await source.tag('1')
    const target = { registry: `${tls.url}/team`, versions: ['1'] }
    const create = (config: object) =>
      source.call('POST', `create/runOnceTask/${REPO}`, { name: 'once', packageName: 'nginx', ...target, ...config })
    await assert.rejects(create({}), refused(250302))
    await assert.rejects(create({ certificate: 'nonsense' }), refused(250105, /certificate/))
    const record = await source.runOnce('once', { ...target, certificate: TEST_CERTIFICATE }, t.signal)
    assert.deepEqual([record.status, record.errorReason], ['SUCCESS', null])
    const [info] = await source.call<Info[]>('GET', `info/${REPO}/once`)
    assert.equal(info?.certificate, TEST_CERTIFICATE)
    // As the contract writes it, `{registry-host}/{repository}`: what answered is stored.
    const { host } = new URL(tls.url)
    await create({ registry: `${host}/team`, certificate: TEST_CERTIFICATE, ...LOGIN })
    assert.equal((await source.call<Info[]>('GET', `info/${REPO}/once`))[0]?.registry, `https://${host}/team`)
    const plain = new URL(on.there.url).host
    await create({ registry: `${plain}/team` })
    assert.equal((await source.call<Info[]>('GET', `info/${REPO}/once`))[0]?.registry, `http://${plain}/team`)
    await assert.rejects(create({ registry: `${plain}/team`, ...LOGIN }), refused(250302, /speaks plain HTTP only/))
  })

  it('case 47: given one that is no run-once, when deleted as one, then it is refused until it has ended', async (t) => {
    await using on = await pair(dialect)
    const { source } = on
    await source.tag('1')
    const remove = () => source.call('DELETE', `delete/runOnceTask/${REPO}?name=mirror`)
    await source.distribute('mirror', { ...on.target, ...SCHEDULED })
    await assert.rejects(remove(), refused(250113, /has not ended/))
    await source.distribute('mirror', { ...on.target, replicaType: 'SCHEDULED' })
    await until(async () => (await source.status('mirror'))?.status === 'SUCCESS', t.signal)
    await remove()
    assert.deepEqual(await on.nodes(), [])
  })

  it('given a tag that the registry lost, when it is pushed again by name, then it is there: by a run, and by a link that follows', async (t) => {
    await using on = await pair(dialect)
    const { source, there } = on
    await source.distribute('live', { ...on.target, replicaType: 'REAL_TIME' })
    await source.tag('1')
    await until(async () => there.manifests.has('team/nginx:1'), t.signal)
    await source.caughtUp('live', t.signal)
    await source.distribute('mirror', { ...on.target, ...scheduled({}) })
    const push = (name: string, query: string) => source.call('POST', `push/${REPO}/${name}?${query}`)
    await assert.rejects(push('mirror', 'packageName=nginx&version=1'), refused(250303))
    await source.run('mirror', t.signal)
    for (const name of ['mirror', 'live']) {
      there.manifests.clear()
      await push(name, 'packageName=nginx&version=1')
      await until(async () => there.manifests.has('team/nginx:1'), t.signal)
    }
    assert.deepEqual((await source.records('mirror')).length, 2)
    await assert.rejects(push('mirror', 'packageName=nginx&version=2'), refused(251019))
    await assert.rejects(push('mirror', 'packageName=apache&version=1'), refused(251017))
    await assert.rejects(push('mirror', 'packageName=nginx'), refused(250103))
    await assert.rejects(push('absent', 'packageName=nginx&version=1'), refused(250310))
    await source.call('POST', `toggle/status/${REPO}/mirror`)
    await assert.rejects(push('mirror', 'packageName=nginx&version=1'), refused(250304))
  })

  it('given a plan and a proof of a distribution, when asked for, then the registry says what it has, and nothing is pushed', async (t) => {
    await using on = await pair(dialect)
    const { source, there } = on
    for (const tag of ['1', '2', '3']) await source.tag(tag)
    await source.distribute('mirror', { ...on.target, ...scheduled({}) })
    const { key } = await source.task('mirror')
    const plan = async () =>
      (await source.api<Preview>('GET', `/replication/api/task/plan/${key}?pageSize=10`)).links[0]
    const proof = async () =>
      (await source.api<Preview>('POST', `/replication/api/task/verify/${key}?pageSize=10`)).links[0]
    assert.deepEqual(
      [(await plan())?.counts, (await plan())?.errorReason],
      [{ send: 3, skip: 0, keep: 0, fail: 0, delete: 0 }, null],
    )
    assert.equal(there.manifests.size, 0)
    await source.run('mirror', t.signal)
    assert.deepEqual([(await proof())?.equal, (await proof())?.files], [true, 3])
    there.manifests.set('team/nginx:2', { bytes: Buffer.from('{"mediaType":"x"}'), type: 'x' })
    there.manifests.delete('team/nginx:3')
    const found = await proof()
    assert.deepEqual(
      [found?.equal, found?.expected, found?.counts.content, found?.counts.missing],
      [false, false, 1, 1],
    )
    await source.tag('4')
    assert.equal((await plan())?.counts.send, 1)
    assert.equal((await plan())?.counts.skip, 3)
  })

  it('given a run-once of a version, when stored, then its task says how large that is, and its record from the beginning', async (t) => {
    await using on = await pair(dialect)
    const { source } = on
    for (const tag of ['1', '2']) await source.tag(tag)
    const page = await source.api<{ records: { name: string; size: number }[] }>(
      'GET',
      `/repository/api/version/page/${REPO}?packageKey=docker://nginx`,
    )
    const sizeOf = (tag: string) => page.records.find(({ name }) => name === tag)!.size
    const once = { name: 'once', packageName: 'nginx', ...on.target }
    await source.call('POST', `create/runOnceTask/${REPO}`, { ...once, versions: ['1'] })
    assert.equal((await source.task('once')).totalBytes, sizeOf('1'))
    await source.call('POST', `create/runOnceTask/${REPO}`, { ...once, versions: ['1', '2', 'none'] })
    assert.equal((await source.task('once')).totalBytes, sizeOf('1') + sizeOf('2'))
    await source.call('POST', `execute/runOnceTask/${REPO}?name=once`)
    assert.ok((await source.status('once'))!.totalBytes > 0)
    await source.ended('once', t.signal)
  })

  it('given the address of this server, when a repository would go to itself or below itself, then it is refused; stored without asking, its run fails with words', async (t) => {
    await using on = await pair(dialect)
    const { source } = on
    const { url, password } = source.registry.server
    await source.tag('1')
    const to = (path: string, more: object = {}) =>
      source.distribute('self', { ...SCHEDULED, registry: `${url}${path}`, username: 'admin', password, ...more })
    for (const path of [`/${REPO}`, `/${REPO}/below`]) {
      await assert.rejects(
        to(path),
        refused(250105, /\[registry\].*demo\/images of this server: it would go to itself/),
      )
    }
    await to('/demo/others')
    assert.equal((await source.run('self', t.signal)).status, 'SUCCESS')
    assert.equal((await source.registry.call('GET', '/v2/demo/others/nginx/manifests/1')).status, 200)
    await to(`/${REPO}/below`, { ping: false })
    const record = await source.run('self', t.signal)
    assert.equal(record.status, 'FAILED')
    assert.match(record.errorReason ?? '', /it would go to itself/)
    assert.equal((await source.registry.call('GET', `/v2/${REPO}/below/nginx/manifests/1`)).status, 404)
  })

  it('given a run-once, when it runs with a limit, then it is RUNNING, its bytes grow, it can be stopped, and not deleted before', async (t) => {
    await using on = await pair(dialect)
    const { source } = on
    const layer = Buffer.alloc(600_000, 'x')
    await source.registry.pushBlob(`${REPO}/nginx`, layer)
    const config = Buffer.from('{}')
    await source.registry.pushBlob(`${REPO}/nginx`, config)
    await source.registry.pushManifest(`${REPO}/nginx`, 'big', imageOf(config, [layer]))
    const body = {
      name: 'once',
      packageName: 'nginx',
      versions: ['big'],
      ...on.target,
      setting: { rateLimit: 100_000 },
    }
    await source.call('POST', `create/runOnceTask/${REPO}`, body)
    await source.call('POST', `execute/runOnceTask/${REPO}?name=once`)
    assert.equal((await source.status('once'))?.status, 'RUNNING')
    await assert.rejects(source.call('POST', `execute/runOnceTask/${REPO}?name=once`), refused(250303))
    await assert.rejects(source.call('DELETE', `delete/runOnceTask/${REPO}?name=once`), refused(250113))
    await until(async () => ((await source.status('once'))?.replicatedBytes ?? 0) > 0, t.signal)
    await source.api('POST', `/replication/api/task/stop/${(await source.task('once')).key}`)
    const record = await source.ended('once', t.signal)
    assert.equal(record.status, 'FAILED')
    await source.call('DELETE', `delete/runOnceTask/${REPO}?name=once`)
    assert.deepEqual([await on.nodes(), await on.rows('pushed_version'), await on.rows('pushed_upload')], [[], 0, 0])
  })
})

interface Preview {
  readonly links: readonly {
    readonly counts: Readonly<Record<string, number>>
    readonly equal: boolean
    readonly expected: boolean
    readonly files: number
    readonly errorReason: string | null
  }[]
}
