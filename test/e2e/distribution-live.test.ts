import assert from 'node:assert/strict'
import { it } from 'node:test'
import { trimChanges } from '../../src/metadata/changes/change-trimming.ts'
import { numberChanges } from '../../src/metadata/changes/sequencer.ts'
import { distributionSource, REPO } from '../helpers/distributions.ts'
import { eachDialect, type TestDialect } from '../helpers/local-cluster.ts'
import { until } from '../helpers/real-time.ts'
import { descriptor, EMPTY, EMPTY_TYPE, MANIFEST, manifestOf } from '../helpers/registry.ts'
import { type RegistryTraits, scriptedRegistry } from '../helpers/scripted-registry.ts'

async function pair(dialect: TestDialect, traits: RegistryTraits = {}) {
  const source = await distributionSource(dialect)
  const there = await scriptedRegistry(traits)
  return {
    ...{ source, there, target: { registry: `${there.url}/team`, replicaType: 'REAL_TIME' } },
    arrives: (tag: string, signal: AbortSignal, image = 'nginx') =>
      until(async () => there.manifests.has(`team/${image}:${tag}`), signal),
    tags: () => [...there.manifests.keys()].filter((key) => !key.includes('@')).sort(),
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]()
      await there[Symbol.asyncDispose]()
    },
  }
}
const REFUSED = { status: 403, body: '{"errors":[{"code":"DENIED","message":"not this one"}]}' }

eachDialect('a distribution to a registry in real time', (dialect) => {
  it('given no backfill, when our change log is cut, and when the repository is made again, then only what came after the beginning is pushed', async (t) => {
    await using on = await pair(dialect)
    const { source } = on
    await source.tag('old')
    await source.distribute('live', on.target)
    await source.tag('1')
    await on.arrives('1', t.signal)
    await source.caughtUp('live', t.signal)
    await source.call('POST', `toggle/status/${REPO}/live`)
    await source.tag('2')
    const { db } = source.registry.server
    await numberChanges(db)
    while ((await db.transact((trx) => trimChanges(trx, Number.MAX_SAFE_INTEGER))) > 0);
    await source.call('POST', `toggle/status/${REPO}/live`)
    await on.arrives('2', t.signal)
    await source.caughtUp('live', t.signal)
    assert.deepEqual(on.tags(), ['team/nginx:1', 'team/nginx:2'])

    await source.call('POST', `toggle/status/${REPO}/live`)
    await source.api('DELETE', '/repository/api/repo/delete/demo/images?forced=true')
    await source.api('POST', '/repository/api/repo/create', { projectId: 'demo', name: 'images', type: 'DOCKER' })
    await source.tag('3', 'again')
    await source.call('POST', `toggle/status/${REPO}/live`)
    await on.arrives('3', t.signal, 'again')
    assert.deepEqual(on.tags(), ['team/again:3', 'team/nginx:1', 'team/nginx:2'])
  })

  it('given setting.backfill, when created, then what is there is pushed first, and then what comes', async (t) => {
    await using on = await pair(dialect)
    const { source } = on
    await source.tag('old')
    await source.distribute('live', { ...on.target, setting: { backfill: true } })
    await on.arrives('old', t.signal)
    await source.tag('new')
    await on.arrives('new', t.signal)
    const moved = await source.tag('new')
    await until(async () => on.there.manifests.get('team/nginx:new')!.bytes.equals(moved.bytes), t.signal)
    await source.caughtUp('live', t.signal)
    const [record] = await source.records('live')
    const overview = await source.api<object>('GET', `/replication/api/task/record/overview/${record!.id}`)
    assert.deepEqual({ success: 2, failed: 0, skip: 0, conflict: 0 }, pick(overview))
    assert.deepEqual(await source.detailTexts(record!), ['new SUCCESS', 'old SUCCESS'])
  })

  it('given a tag that the registry refuses, when others come, then they arrive, and the refused one when it is due; its detail is one', async (t) => {
    await using on = await pair(dialect)
    const { source, there } = on
    await source.distribute('live', on.target)
    there.script(({ method, url }) => (method === 'PUT' && url?.endsWith('/manifests/bad') ? REFUSED : undefined))
    await source.tag('bad')
    await source.tag('good')
    await on.arrives('good', t.signal)
    const [record] = await source.records('live')
    await until(async () => (await source.detailTexts(record!)).length === 2, t.signal)
    assert.deepEqual(await source.detailTexts(record!), ['bad FAILED', 'good SUCCESS'])
    there.script(() => undefined)
    await source.api('POST', '/replication/api/replica/event/retry', { taskKey: (await source.task('live')).key })
    await on.arrives('bad', t.signal)
    await until(async () => (await source.detailTexts(record!)).includes('bad SUCCESS'), t.signal)
    assert.deepEqual(await source.detailTexts(record!), ['bad SUCCESS', 'good SUCCESS'])
  })

  it('given a push that takes its time, when another tag comes after it, then that one does not wait; toggled off and on, both are there', async (t) => {
    await using on = await pair(dialect)
    const { source, there } = on
    await source.distribute('live', on.target)
    await source.caughtUp('live', t.signal)
    there.script(({ method, url }) => (method === 'POST' && url?.startsWith('/v2/team/slow/') ? BROKEN : undefined))
    await source.tag('1', 'slow')
    await source.tag('1', 'quick')
    await on.arrives('1', t.signal, 'quick')
    assert.ok(!there.manifests.has('team/slow:1'))
    await source.call('POST', `toggle/status/${REPO}/live`)
    there.script(() => undefined)
    await source.tag('2', 'quick')
    await source.call('POST', `toggle/status/${REPO}/live`)
    await on.arrives('1', t.signal, 'slow')
    await on.arrives('2', t.signal, 'quick')
  })

  it('given something about a tag that is not there yet, when the tag is pushed, then both arrive', async (t) => {
    await using on = await pair(dialect)
    const { source, there } = on
    const image = `${REPO}/nginx`
    await source.distribute('live', on.target)
    const first = await source.tag('1')
    await on.arrives('1', t.signal)
    await source.registry.pushBlob(image, EMPTY)
    const about = async (subject: { bytes: Buffer; mediaType: string }) => {
      const note = manifestOf({
        ...{ mediaType: MANIFEST, artifactType: 'application/signature', layers: [] },
        ...{ config: descriptor(EMPTY, EMPTY_TYPE), subject: descriptor(subject.bytes, subject.mediaType) },
      })
      await source.registry.pushManifest(image, note.digest, note)
      return `team/nginx@${note.digest}`
    }
    const signature = await about(first)
    await until(async () => there.manifests.has(signature), t.signal)
    const second = manifestOf({ ...JSON.parse(first.bytes.toString()), annotations: { second: 'yes' } })
    const early = await about(second)
    await source.caughtUp('live', t.signal)
    assert.ok(!there.manifests.has(early), 'what it is about has no tag')
    await source.registry.pushManifest(image, '2', second)
    await until(async () => there.manifests.has(early) && there.manifests.has('team/nginx:2'), t.signal)
  })

  it('given FAST_FAIL, when a tag is refused, then the link stops there and says why', async (t) => {
    await using on = await pair(dialect)
    const { source, there } = on
    await source.distribute('live', { ...on.target, setting: { errorStrategy: 'FAST_FAIL' } })
    await source.caughtUp('live', t.signal)
    there.script(({ method, url }) => (method === 'PUT' && url?.endsWith('/manifests/bad') ? REFUSED : undefined))
    await source.tag('bad')
    const { key } = await source.task('live')
    const lags = () =>
      source.api<{ state: string; lastError: string | null }[]>('GET', `/replication/api/task/lag/${key}`)
    await until(async () => (await lags())[0]?.state === 'STOPPED', t.signal)
    assert.match((await lags())[0]?.lastError ?? '', /answered 403/)
  })
})

/** Tried again for some seconds. */
const BROKEN = { status: 500 }
const pick = (overview: object) => {
  const { success, failed, skip, conflict } = overview as Record<string, number>
  return { success, failed, skip, conflict }
}
