import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { seededBytes } from '../helpers/blobs.ts'
import { eachDialect } from '../helpers/local-cluster.ts'
import { createRepository } from '../helpers/replication-calls.ts'
import { seedFiles } from '../helpers/seed-files.ts'
import { counts, REPO, twoClusters } from '../helpers/two-clusters.ts'

/** What a target says of a content that it will never take. */
const REFUSED = { answer: 400, body: JSON.stringify({ code: 250105, message: 'no', data: null, traceId: '' }) }
const remote = (remoteRepoName: string) => ({
  ...{ localRepoName: 'files', remoteProjectId: 'proj', remoteRepoName, repoType: 'GENERIC' },
  ...{ packageConstraints: [], pathConstraints: [] },
})

eachDialect('replication.md section 7, runs of many files', (dialect) => {
  it('case 27: given a rate limit, when two files travel at once, then the run takes at least as long as their bytes together', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    for (const n of [1, 2]) await two.put(two.a, `/${n}`, seededBytes(n, 300_000))
    const { record } = await two.replicate({ setting: { rateLimit: 1_000_000 } })
    assert.equal(record.status, 'SUCCESS')
    assert.equal(record.replicatedBytes, 600_000)
    const tookMs = Date.parse(record.endTime!) - Date.parse(record.startTime)
    assert.ok(tookMs >= 500, `${tookMs} ms`)
  })

  it('case 52: given record false and one failure, when run, then the overview is right and only the failed detail is there', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    for (const n of [1, 2, 3]) await two.put(two.a, `/${n}`, seededBytes(n, 100_000))
    let refused: string | undefined
    two.line.script(({ method, path }) => {
      if (method !== 'PUT' || !path.includes('/blobs/')) return undefined
      refused ??= path
      return path === refused ? REFUSED : undefined
    })
    const run = await two.replicate({ record: false })
    assert.equal(counts(run), '2/0/1/0')
    assert.equal(run.record.status, 'FAILED')
    assert.deepEqual(
      run.details.map(({ status, sha256 }) => [status, sha256]),
      [['FAILED', refused!.replace(/.*\//, '').replace('sha256:', '')]],
    )
  })

  it('case 59: given ten times as many unchanged files, when executed again, then no more requests, all skipped, no details', async (t) => {
    const requests: number[][] = []
    for (const files of [400, 4_000]) {
      await using two = await twoClusters(dialect, t.signal)
      await createRepository(two.b.api, REPO, t.signal)
      const paths = Array.from({ length: files }, (_, n) => `/d${n % 10}/f${n}`)
      for (const cluster of [two.a, two.b]) await seedFiles(cluster, REPO, paths)
      const { key } = await two.replicate()
      const made: number[] = []
      for (const foreign of [undefined, '/theirs']) {
        if (foreign !== undefined) await two.put(two.b, foreign, 'so that ranges are compared')
        const before = two.line.seen.length
        const run = await two.again(key)
        assert.equal(counts(run), `0/${files}/0/0`)
        assert.deepEqual(run.details, [])
        made.push(two.line.seen.length - before)
      }
      requests.push(made)
    }
    assert.equal(requests[0]![0], 1)
    assert.equal(requests[1]![0], 1)
    assert.ok(requests[1]![1]! <= requests[0]![1]! + 1, `${requests[1]} after ${requests[0]}`)
  })

  it('case 62: given files added and removed while a run is under way, when it ends, then every file that was there throughout is copied once', async (t) => {
    await using two = await twoClusters(dialect, t.signal, { ENTREPOT_REPLICATION_BATCH_FILES: '10' })
    const stays = Array.from({ length: 40 }, (_, n) => `/d/${100 + n}`)
    for (const path of stays) await two.put(two.a, path, path)
    for (let n = 0; n < 40; n += 4) await two.put(two.a, `/d/${100 + n}-leaves`, String(n))
    const held = two.line.hold(({ path, nth }) => path.includes('/missing') && nth === 2)
    const key = await two.create()
    await held.reached
    for (let n = 0; n < 40; n += 4) {
      await two.put(two.a, `/d/${100 + n}-comes`, String(n))
      await two.a.api.call('DELETE', `/repository/api/node/delete/${REPO}/d/${100 + n}-leaves`, undefined, t.signal)
    }
    held.release()
    const run = await two.ended(key, 1)
    assert.equal(run.record.status, 'SUCCESS')
    const there = new Set((await two.files(two.b)).map(({ path }) => path))
    assert.deepEqual(
      stays.filter((path) => !there.has(path)),
      [],
    )
    const told = run.details.map(({ artifactName }) => artifactName)
    assert.equal(new Set(told).size, told.length)
    assert.deepEqual(
      stays.filter((path) => !told.includes(path)),
      [],
    )
    await two.again(key)
    const arrived = (await two.files(two.b)).map(({ path }) => path).filter((path) => !path.endsWith('-leaves'))
    assert.deepEqual(
      arrived,
      (await two.files(two.a)).map(({ path }) => path),
    )
  })

  describe('several at once, and targets with limits of their own', () => {
    it('given two tasks that send the same contents to one target at once, when both end, then each content travelled once', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      let bytes = 0
      for (let n = 0; n < 4; n++) {
        await two.put(two.a, `/large${n}`, seededBytes(n, 2_000_000))
        bytes += 2_000_000
      }
      const keys = await Promise.all(['r1', 'r2'].map((name) => two.create({ replicaTaskObjects: [remote(name)] })))
      for (const run of await Promise.all(keys.map((key) => two.ended(key, 1)))) assert.equal(counts(run), '4/0/0/0')
      assert.ok(two.line.bodyBytes() < bytes * 1.2, `${two.line.bodyBytes()} bytes for ${bytes}`)
    })

    it('given a target that answers the first request for each content with 429, when run, then all arrive', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      for (let n = 0; n < 12; n++) await two.put(two.a, `/f${n}`, seededBytes(n, 100_000))
      two.line.script(({ method, path, nth }) =>
        method === 'PUT' && path.includes('/blobs/') && nth === 1 ? { answer: 429 } : undefined,
      )
      const run = await two.replicate()
      assert.equal(counts(run), '12/0/0/0')
      assert.deepEqual(await two.files(two.b), await two.files(two.a))
    })

    it('given error strategy FAST_FAIL and one passing refusal, when executed until SUCCESS, then nothing is left out', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      for (let n = 0; n < 10; n++) await two.put(two.a, `/f${n}`, seededBytes(n, 100_000))
      let times = 0
      two.line.script(({ method, path }) =>
        method === 'PUT' && path.includes('/blobs/') && ++times === 3 ? { answer: 503 } : undefined,
      )
      const run = await two.replicate({ setting: { errorStrategy: 'FAST_FAIL' } })
      if (run.record.status === 'FAILED') assert.equal((await two.again(run.key)).record.status, 'SUCCESS')
      assert.deepEqual(await two.files(two.b), await two.files(two.a))
    })

    it('given a source that would send larger contents within frames than its target takes, when run, then they travel in requests of their own', async (t) => {
      await using two = await twoClusters(dialect, t.signal, { ENTREPOT_REPLICATION_INLINE_MAX_BYTES: '262144' })
      await two.put(two.a, '/small', seededBytes(1, 1_000))
      await two.put(two.a, '/middle', seededBytes(2, 150_000))
      assert.equal(counts(await two.replicate()), '2/0/0/0')
      assert.deepEqual(await two.files(two.b), await two.files(two.a))
    })
  })
})
