import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDialect } from '../helpers/local-cluster.ts'
import { caughtUp, lagsOf, liveTask, openRecord, overviewOf, toggle, until } from '../helpers/real-time.ts'
import { REPO, type TwoClusters, twoClusters } from '../helpers/two-clusters.ts'

const MIRROR = { setting: { propagateDelete: true } }

eachDialect('deletions in real time', (dialect) => {
  it('given propagateDelete, when a file is deleted, renamed and made again, then each arrives and counts', async (t) => {
    await using clusters = await twoClusters(dialect, t.signal)
    const { a, b } = clusters
    for (const name of ['/x', '/y', '/k']) await clusters.put(a, name, name)
    const key = await liveTask(clusters, MIRROR, t.signal)
    await a.api.call('DELETE', `/repository/api/node/delete/${REPO}/x`, undefined, t.signal)
    await a.api.call('POST', `/repository/api/node/rename/${REPO}/y?newFullPath=/z`, undefined, t.signal)
    await until(async () => `${await pathsAt(clusters)}` === '/k,/z', t.signal)
    await caughtUp(a, key, t.signal)
    const { id } = await openRecord(a, key, t.signal)
    const { success, failed } = await overviewOf(a, id, t.signal)
    assert.deepEqual({ success, failed }, { success: 4, failed: 0 })
    await clusters.put(a, '/x', 'again')
    await until(async () => `${await pathsAt(clusters)}` === '/k,/x,/z', t.signal)
    assert.equal(await clusters.text(b, '/x'), 'again')
  })

  it('given more deletions than the guard lets through, when they happen, then no more of them is sent and the link says why, until the files are back', async (t) => {
    await using clusters = await twoClusters(dialect, t.signal)
    const { a } = clusters
    const paths = Array.from({ length: 150 }, (_, n) => `/d/f${n}`)
    await Promise.all([...paths, '/k'].map((path) => clusters.put(a, path, path)))
    const key = await liveTask(clusters, MIRROR, t.signal)
    await a.api.call('DELETE', `/repository/api/node/delete/${REPO}/d`, undefined, t.signal)
    await until(async () => (await lagsOf(a, key, t.signal))[0]?.state === 'RETRY', t.signal)
    await clusters.put(a, '/new', 'new')
    const [link] = await lagsOf(a, key, t.signal)
    assert.match(link!.lastError!, /1[0-9]{2} of 151 files .*deleteGuard/)
    // What came before the limit was reached is gone: a tree is deleted in several transactions.
    assert.ok((await pathsAt(clusters)).length >= 151 - 100)
    assert.ok(!(await pathsAt(clusters)).includes('/new'))
    const points = `/repository/api/node/list-deleted/${REPO}/d`
    const [point] = await a.api.call<{ deletedTime: string }[]>('GET', points, undefined, t.signal)
    const restore = `/repository/api/node/restore/${REPO}/d?deletedTime=${encodeURIComponent(point!.deletedTime)}`
    await a.api.call('POST', restore, undefined, t.signal)
    for (let n = 0; n < 2; n++) await toggle(a, key, t.signal)
    await until(async () => (await pathsAt(clusters)).length === 152, t.signal)
  })
})

const pathsAt = async (clusters: TwoClusters) => (await clusters.files(clusters.b)).map(({ path }) => path).sort()
