import assert from 'node:assert/strict'
import { it } from 'node:test'
import { systemClock } from '../../src/app/system-clock.ts'
import { seededBytes } from '../helpers/blobs.ts'
import { distributionSource, REPO, scheduled } from '../helpers/distributions.ts'
import { eachDialect, type TestDialect } from '../helpers/local-cluster.ts'
import { until } from '../helpers/real-time.ts'
import { imageOf } from '../helpers/registry.ts'
import { type RegistryTraits, scriptedRegistry } from '../helpers/scripted-registry.ts'

const LOGIN = { username: 'pusher', password: 'p:ss/w+rd' }

async function pair(dialect: TestDialect, traits: RegistryTraits = {}) {
  const source = await distributionSource(dialect)
  const there = await scriptedRegistry({ clock: systemClock, ...traits })
  return {
    ...{ source, there, target: { registry: `${there.url}/team` } },
    /** An image with a layer of this size. */
    async pushLayer(tag: string, bytes: Buffer) {
      const config = Buffer.from('{}')
      for (const blob of [config, bytes]) await source.registry.pushBlob(`${REPO}/nginx`, blob)
      await source.registry.pushManifest(`${REPO}/nginx`, tag, imageOf(config, [bytes]))
    },
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]()
      await there[Symbol.asyncDispose]()
    },
  }
}

eachDialect('distribution to registries that are not easy', (dialect) => {
  it('case 39: given Bearer with access_token only and a life of 5 s, when a push is slow, then the token is renewed and it succeeds', async (t) => {
    await using on = await pair(dialect, { auth: 'bearer', tokens: { field: 'access_token', lifeSeconds: 5 } })
    await on.pushLayer('1.1', seededBytes(1, 700_000))
    const body = { ...on.target, ...LOGIN, versions: ['1.1'], setting: { rateLimit: 100_000 } }
    const record = await on.source.runOnce('once', body, t.signal)
    assert.deepEqual([record.status, record.errorReason], ['SUCCESS', null])
    const tokens = on.there.asked.filter((line) => line === 'GET /token').length
    assert.ok(tokens > 2, `${tokens} tokens`)
  })

  it('cases 40 and 41: given relative Locations, and a registry that takes one PATCH or none, when distributed, then it succeeds', async (t) => {
    for (const traits of [
      { location: 'relative' },
      { location: 'without port', patches: 'one' },
      { patches: 'none' },
    ] as const) {
      await using on = await pair(dialect, traits)
      await on.pushLayer('1.1', seededBytes(2, 300_000))
      const record = await on.source.runOnce('once', { ...on.target, versions: ['1.1'] }, t.signal)
      assert.deepEqual([record.status, record.errorReason], ['SUCCESS', null])
    }
  })

  it('case 49: given a registry that answers 403 to blobs, when executed, then FAILED with its status, and no secret in log or record', async (t) => {
    await using on = await pair(dialect, { auth: 'basic' })
    const { source, there } = on
    await source.tag('1.1')
    const words = `{"errors":[{"code":"DENIED","message":"no ${LOGIN.password} here"}]}`
    there.script(({ method, url }) =>
      method === 'POST' && url?.includes('/blobs/uploads/') ? { status: 403, body: words } : undefined,
    )
    const record = await source.runOnce('once', { ...on.target, ...LOGIN, versions: ['1.1'] }, t.signal)
    assert.equal(record.status, 'FAILED')
    assert.match(record.errorReason ?? '', /403/)
    const [detail] = await source.details(record)
    assert.match(detail?.errorReason ?? '', /answered 403 .*DENIED/)
    const told = [
      JSON.stringify(record),
      JSON.stringify(await source.details(record)),
      JSON.stringify(await source.call('GET', `info/${REPO}`)),
      JSON.stringify(await source.api('GET', '/replication/api/cluster/list')),
      JSON.stringify(await source.api('GET', '/replication/api/replica/failure/page')),
      JSON.stringify(await source.api('GET', `/replication/api/task/detail/${(await source.task('once')).key}`)),
      source.log(),
    ]
    const secrets = [LOGIN.password, Buffer.from(`${LOGIN.username}:${LOGIN.password}`).toString('base64')]
    for (const [n, text] of told.entries()) {
      for (const secret of secrets)
        assert.ok(!text.includes(secret), `${n}: ${text.slice(Math.max(0, text.indexOf(secret) - 200), 400)}`)
    }
  })

  it('given 429 with Retry-After, a cut, and a wrong digest, when distributed, then what passes passes, and what does not is told', async (t) => {
    await using on = await pair(dialect)
    const { source, there } = on
    await on.pushLayer('1.1', seededBytes(3, 200_000))
    let puts = 0
    there.script(({ method, url }, nth) => {
      if (method === 'POST' && nth === 1) return { status: 429, headers: { 'retry-after': '1' } }
      if (method === 'PUT' && url?.includes('/blobs/uploads/') && ++puts === 1) return { cutAfter: 100_000 }
      return undefined
    })
    const record = await source.runOnce('once', { ...on.target, versions: ['1.1'] }, t.signal)
    assert.deepEqual([record.status, record.errorReason], ['SUCCESS', null])

    await source.tag('wrong')
    there.script(({ method, url }) => {
      if (method !== 'PUT' || !url?.endsWith('/manifests/wrong')) return undefined
      return { status: 201, headers: { 'docker-content-digest': `sha256:${'0'.repeat(64)}` } }
    })
    const second = await source.runOnce('twice', { ...on.target, versions: ['wrong'] }, t.signal)
    assert.equal(second.status, 'FAILED')
    assert.match((await source.details(second))[0]?.errorReason ?? '', /in place of/)
  })

  it('given a registry that is away, when a run is under way, then it waits and goes on; what never works ends FAILED with words', async (t) => {
    await using on = await pair(dialect)
    const { source, there } = on
    for (const tag of ['1', '2']) await source.tag(tag)
    let isAway = true
    there.script(() => (isAway ? { status: 503, headers: { 'retry-after': '0' } } : undefined))
    await source.distribute('mirror', { ...on.target, ping: false, ...scheduled({}) })
    const { key } = await source.task('mirror')
    await source.api('POST', `/replication/api/task/execute/${key}`)
    const node = async () =>
      (
        await source.api<{ name: string; status: string; errorReason: string | null }[]>(
          'GET',
          '/replication/api/cluster/list?type=REMOTE',
        )
      )[0]
    await until(async () => (await node())?.errorReason?.includes('503') === true, t.signal)
    assert.equal((await node())?.status, 'UNHEALTHY')
    isAway = false
    const record = await source.ended('mirror', t.signal)
    assert.deepEqual([record.status, record.replicaOverview?.success], ['SUCCESS', 2])
    assert.equal((await node())?.status, 'HEALTHY')

    await source.tag('3')
    there.script(() => ({ status: 401, body: '{}' }))
    const refused = await source.run('mirror', t.signal)
    assert.equal(refused.status, 'FAILED')
    assert.match(refused.errorReason ?? '', /answered 401/)
  })

  it('given a blob that the registry lost since it was seen there, when another tag has it, then it is sent again', async (t) => {
    await using on = await pair(dialect)
    const { source, there } = on
    await source.distribute('live', { ...on.target, replicaType: 'REAL_TIME' })
    const image = await source.tag('1')
    await until(async () => there.manifests.has('team/nginx:1'), t.signal)
    const layers = [...there.blobs]
    there.blobs.clear()
    there.script(({ method, url }, nth) =>
      method === 'PUT' && url?.endsWith('/manifests/2') && nth === 1
        ? { status: 404, body: '{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"gone"}]}' }
        : undefined,
    )
    await source.registry.pushManifest(`${REPO}/nginx`, '2', image)
    await until(async () => there.manifests.has('team/nginx:2'), t.signal)
    assert.equal(there.blobs.size, layers.length)
  })
})
