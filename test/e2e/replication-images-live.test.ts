import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { imagedClusters } from '../helpers/imaged-clusters.ts'
import { eachDialect, type LocalCluster } from '../helpers/local-cluster.ts'
import { caughtUp, liveTask, openRecord, overviewOf, REAL_TIME, until } from '../helpers/real-time.ts'
import { registerCluster } from '../helpers/replication-calls.ts'
import { counts } from '../helpers/two-clusters.ts'

const TAGS = 100

eachDialect('replication of images in real time', (dialect) => {
  it('given a task that follows, when images are pushed, moved and pushed while the line is down, then they can be pulled at the target', async (t) => {
    await using images = await imagedClusters(dialect, t.signal, {
      ENTREPOT_REPLICATION_RECONNECT_DELAYS_MS: '5,10,20',
    })
    const { on, task } = images
    await images.push(on.a, 'before', '1.0')
    const key = await liveTask(on, task(), t.signal)
    await images.pull(on.b, 'before', '1.0')
    const index = await images.pushIndex(on.a, 'app', 'latest', ['linux/amd64', 'linux/arm64'])
    await until(async () => (await images.digestAt(on.b, 'app', 'latest')) === index.digest, t.signal)
    assert.deepEqual(await images.pull(on.b, 'app', 'latest'), await images.pull(on.a, 'app', 'latest'))

    on.line.script(() => ({ answer: 503 }))
    const moved = await images.push(on.a, 'app', 'latest')
    const signature = await images.refer(on.a, 'app', moved, 'signature')
    await images.push(on.a, 'late', '1.0')
    on.line.script(() => undefined)
    await until(async () => (await images.digestAt(on.b, 'late', '1.0')) !== undefined, t.signal)
    await caughtUp(on.a, key, t.signal)
    assert.equal(await images.digestAt(on.b, 'app', 'latest'), moved.digest)
    assert.deepEqual(await images.referrers(on.b, 'app', moved.digest), [signature.digest])
    await images.pull(on.b, 'app', index.digest)
    assert.deepEqual(await images.versions(on.b), await images.versions(on.a))
    const record = await openRecord(on.a, key, t.signal)
    const { failed, conflict, success } = await overviewOf(on.a, record.id, t.signal)
    const versions = (await images.versions(on.a)).length
    assert.deepEqual({ failed, conflict, success }, { failed: 0, conflict: 0, success: versions })
  })

  it('case 60: given two clusters that follow each other and overwrite, when the same image and tags of one name are pushed on both sides, then both end equal, and quiet', async (t) => {
    await using images = await imagedClusters(dialect, t.signal)
    const { on, task } = images
    const back = { name: 'alpha', url: on.a.url, user: 'admin', password: on.a.password }
    await registerCluster(on.b.api, back, t.signal)
    const both = { ...REAL_TIME, setting: { conflictStrategy: 'OVERWRITE' } } as const
    const there = await liveTask(on, task(both), t.signal)
    const body = { ...(await bodyOf(on.a, there)), name: 'back', remoteClusterIds: ['alpha'] }
    const { key: back_ } = await on.b.api.call<{ key: string }>('POST', '/replication/api/task/create', body, t.signal)
    await caughtUp(on.b, back_, t.signal)

    const same = { layers: [Buffer.from('the same on both sides')] }
    await Promise.all([
      images.push(on.a, 'app', 'same', same),
      images.push(on.b, 'app', 'same', same),
      images.push(on.a, 'app', 'apart', { layers: [Buffer.from('of A')] }),
      images.push(on.b, 'app', 'apart', { layers: [Buffer.from('of B')] }),
      images.pushIndex(on.a, 'multi', '1', ['linux/amd64', 'linux/arm64']),
      images.pushIndex(on.b, 'multi', '1', ['linux/amd64', 'linux/arm64']),
    ])
    const isQuiet = async () => {
      const before = await changesAt(on.a, on.b)
      await caughtUp(on.a, there, t.signal)
      await caughtUp(on.b, back_, t.signal)
      await sleep(300)
      const after = await changesAt(on.a, on.b)
      return before.every((count, at) => count === after[at])
    }
    await until(isQuiet, t.signal)
    assert.deepEqual(await images.versions(on.b), await images.versions(on.a))
    for (const [image, tag] of [
      ['app', 'same'],
      ['app', 'apart'],
      ['multi', '1'],
    ] as const) {
      assert.deepEqual(await images.pull(on.a, image, tag), await images.pull(on.b, image, tag))
    }

    async function bodyOf({ api }: LocalCluster, key: string) {
      const { task: stored, objects } = await api.call<{ task: object; objects: unknown }>(
        'GET',
        `/replication/api/task/detail/${key}`,
        undefined,
        t.signal,
      )
      return { ...stored, localProjectId: 'proj', replicaTaskObjects: objects }
    }
  })

  it(`given ${TAGS} tags, when nothing changed, then a run asks at most three times; one changed tag costs a few requests`, async (t) => {
    await using images = await imagedClusters(dialect, t.signal)
    const { on, task } = images
    const layers = [Buffer.from('one layer of all')]
    const first = await images.push(on.a, 'app', 't0', { layers })
    await Promise.all(
      Array.from({ length: TAGS - 1 }, (_, at) =>
        at % 2 === 0
          ? images.pushManifest(on.a, 'app', `t${at + 1}`, first)
          : images.push(on.a, 'app', `t${at + 1}`, { layers }),
      ),
    )
    const { key, ...run } = await on.replicate(task())
    assert.equal(counts(run), `${TAGS}/0/0/0`)
    assert.deepEqual(await images.tags(on.b, 'app'), await images.tags(on.a, 'app'))
    const requests = async (expected: string) => {
      const before = on.line.seen.length
      assert.equal(counts(await on.again(key)), expected)
      return on.line.seen.length - before
    }
    assert.equal(await requests(`0/${TAGS}/0/0`), 1)
    await images.push(on.a, 'app', 'one-more', { layers })
    const changed = await requests(`1/${TAGS}/0/0`)
    assert.ok(changed <= 10, String(changed))
    // Without a cursor, both sides compare sums.
    await images.push(on.b, 'theirs', '1')
    const compared = await requests(`0/${TAGS + 1}/0/0`)
    assert.ok(compared <= 8, String(compared))
  })
})

/** Last numbers of their change logs. */
async function changesAt(...clusters: readonly LocalCluster[]): Promise<number[]> {
  return Promise.all(
    clusters.map(async ({ db }) => {
      const row = await db.read
        .selectFrom('change_log')
        .select((eb) => eb.fn.countAll<number>().as('changes'))
        .executeTakeFirstOrThrow()
      return Number(row.changes)
    }),
  )
}
