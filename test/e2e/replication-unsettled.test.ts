import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDialect, type LocalCluster } from '../helpers/local-cluster.ts'
import { allDetails, loseResults } from '../helpers/lost-results.ts'
import { packagedClusters } from '../helpers/packaged-clusters.ts'
import { caughtUp, liveTask, REAL_TIME, recordsOf, toggle } from '../helpers/real-time.ts'
import { counts, REPO, type TwoClusters, twoClusters } from '../helpers/two-clusters.ts'

const GIVES_UP_SOON = { ENTREPOT_REPLICATION_LINK_TIMEOUT_MS: '300', ENTREPOT_REPLICATION_BATCH_FILES: '2' }
const names = (count: number) => Array.from({ length: count }, (_, n) => `/f${String(n).padStart(2, '0')}`)
const onceEach = (paths: readonly string[], times = 1) =>
  Object.fromEntries(paths.map((path) => [path, Array(times).fill('SUCCESS')]))
const hasFiles = (two: TwoClusters, count: number) => async () => (await two.files(two.b)).length >= count

/** Executes a task whose results get lost but for some acknowledgements; it is given up when so much has arrived. */
async function giveUp(
  two: TwoClusters,
  key: string,
  acks: number,
  arrived: number | (() => Promise<boolean>),
  signal: AbortSignal,
): Promise<void> {
  const { lost } = loseResults(two, acks, typeof arrived === 'number' ? hasFiles(two, arrived) : arrived, signal)
  const ending = two.again(key)
  // One frame may acknowledge several batches: a run that asks for too many of them ends before anything is lost.
  await Promise.race([lost, ending])
  assert.equal((await ending).record.status, 'FAILED', 'the run ended before its results got lost')
}
/** Files at the target whose content ends so. */
async function arrivals(two: TwoClusters, paths: readonly string[], ending: string): Promise<number> {
  const texts = await Promise.all(paths.map((path) => two.text(two.b, path)))
  return texts.filter((text) => text.endsWith(ending)).length
}
async function versionsAt({ db }: LocalCluster): Promise<number> {
  const versions = await db.read.selectFrom('package_version').select('id').execute()
  return versions.length
}
/** Over all records of a task. */
async function successes(two: TwoClusters, key: string, signal: AbortSignal): Promise<number> {
  let total = 0
  for (const { id } of await recordsOf(two.a, key, signal)) {
    const url = `/replication/api/task/record/overview/${id}`
    total += (await two.a.api.call<{ success: number }>('GET', url, undefined, signal)).success
  }
  return total
}

eachDialect('what arrived in a run that was given up', (dialect) => {
  it('given results of a first copy that never came back, when it is executed again, then each artifact has one detail in all records', async (t) => {
    await using two = await twoClusters(dialect, t.signal, GIVES_UP_SOON)
    const all = names(20)
    for (const name of all) await two.put(two.a, name, name)
    const { lost } = loseResults(two, 0, hasFiles(two, 6), t.signal)
    const key = await two.create()
    await lost
    const given = await two.ended(key, 1)
    assert.equal(given.record.status, 'FAILED')
    assert.equal(counts(given), '0/0/0/0')
    two.line.script(() => undefined)
    assert.equal(counts(await two.again(key)), '20/0/0/0')
    assert.deepEqual(await allDetails(two.a, key, t.signal), onceEach(all))
    assert.equal(counts(await two.again(key)), '0/20/0/0')
    assert.deepEqual(await allDetails(two.a, key, t.signal), onceEach(all))
  })

  it('given a second run that is given up as well, and a target that others changed, when executed again, then each artifact has one detail in all records', async (t) => {
    await using two = await twoClusters(dialect, t.signal, GIVES_UP_SOON)
    await two.put(two.a, '/before', 'before')
    const { key } = await two.replicate()
    await two.put(two.b, '/theirs', 'so that ranges are compared')
    const all = names(30)
    for (const name of all) await two.put(two.a, name, name)
    await giveUp(two, key, 0, 2 + 6, t.signal)
    await giveUp(two, key, 0, 2 + 6, t.signal)
    await giveUp(two, key, 1, 2 + 8, t.signal)
    two.line.script(() => undefined)
    const last = await two.again(key)
    assert.equal(last.record.status, 'SUCCESS')
    assert.deepEqual(await allDetails(two.a, key, t.signal), onceEach(['/before', ...all]))
    assert.equal(await successes(two, key, t.signal), 31)
    assert.equal(counts(await two.again(key)), '0/31/0/0')
  })

  it('given a task that keeps no details and two runs that were given up, when executed again, then each artifact counts once in all records', async (t) => {
    await using two = await twoClusters(dialect, t.signal, GIVES_UP_SOON)
    for (const name of names(30)) await two.put(two.a, name, name)
    const { lost } = loseResults(two, 0, hasFiles(two, 6), t.signal)
    const key = await two.create({ record: false })
    await lost
    assert.equal(counts(await two.ended(key, 1)), '0/0/0/0')
    await giveUp(two, key, 2, 8, t.signal)
    two.line.script(() => undefined)
    assert.equal((await two.again(key)).record.status, 'SUCCESS')
    assert.equal(await successes(two, key, t.signal), 30)
    assert.equal(counts(await two.again(key)), '0/30/0/0')
  })

  it('given a target that only this link writes, when changed files arrived and their results did not, then the plan says what the next run does', async (t) => {
    await using two = await twoClusters(dialect, t.signal, GIVES_UP_SOON)
    const all = names(10)
    for (const name of all) await two.put(two.a, name, name)
    const { key } = await two.replicate()
    for (const name of all) await two.put(two.a, name, `${name} changed`)
    await giveUp(two, key, 0, async () => (await arrivals(two, all, 'changed')) >= 6, t.signal)
    // Of those that arrived, one changes once more and one goes.
    await two.put(two.a, '/f00', 'once more')
    await two.a.api.call('DELETE', `/repository/api/node/delete/${REPO}/f01`, undefined, t.signal)
    two.line.script(() => undefined)
    const plan = await two.a.api.call<{ total: { counts: { send: number } } }>(
      'GET',
      `/replication/api/task/plan/${key}`,
      undefined,
      t.signal,
    )
    assert.equal(plan.total.counts.send, 9)
    const run = await two.again(key)
    assert.equal(counts(run), '9/0/0/0')
    assert.equal(await two.text(two.b, '/f00'), 'once more')
    const details = await allDetails(two.a, key, t.signal)
    assert.deepEqual(details, { ...onceEach(all, 2), '/f01': ['SUCCESS'] })
  })

  it('given deletions that arrived and whose results did not, when executed again by ranges, then each has one detail', async (t) => {
    await using two = await twoClusters(dialect, t.signal, GIVES_UP_SOON)
    const all = names(10)
    for (const name of all) await two.put(two.a, name, name)
    const { key } = await two.replicate({ setting: { propagateDelete: true } })
    for (const name of all.slice(0, 6)) {
      await two.a.api.call('DELETE', `/repository/api/node/delete/${REPO}${name}`, undefined, t.signal)
    }
    await giveUp(two, key, 0, async () => (await two.files(two.b)).length <= 4, t.signal)
    await two.put(two.b, '/theirs', 'so that ranges are compared')
    two.line.script(() => undefined)
    assert.equal(counts(await two.again(key)), '6/4/0/0')
    const expected = { ...onceEach(all.slice(0, 6), 2), ...onceEach(all.slice(6)) }
    assert.deepEqual(await allDetails(two.a, key, t.signal), expected)
    assert.equal(counts(await two.again(key)), '0/4/0/0')
  })

  it('given versions of packages that arrived and whose results did not, when executed again by ranges, then each has one detail', async (t) => {
    await using clusters = await packagedClusters(dialect, t.signal, GIVES_UP_SOON)
    const { on: two, publish, task } = clusters
    const versions = names(9).map((name) => `lib/1.0.${Number(name.slice(2))}`)
    for (const version of versions) await publish(two.a, version, version)
    const { lost } = loseResults(two, 0, async () => (await versionsAt(two.b)) >= 4, t.signal)
    const key = await two.create(task())
    await lost
    const given = await two.ended(key, 1)
    assert.equal(counts(given), '0/0/0/0')
    two.line.script(() => undefined)
    const run = await two.again(key)
    assert.equal(counts(run), '9/0/0/0')
    assert.equal(run.details.length, 9)
    assert.equal(counts(await two.again(key)), '0/9/0/0')
  })

  it('given a task that keeps no details, when results got lost, then artifacts count once in all records', async (t) => {
    await using two = await twoClusters(dialect, t.signal, GIVES_UP_SOON)
    const all = names(20)
    for (const name of all) await two.put(two.a, name, name)
    const { lost } = loseResults(two, 1, hasFiles(two, 8), t.signal)
    const key = await two.create({ record: false })
    await lost
    await two.ended(key, 1)
    two.line.script(() => undefined)
    await two.again(key)
    assert.equal(await successes(two, key, t.signal), 20)
  })

  it('given a run that a user stops while results are on their way, when executed again, then each artifact has one detail', async (t) => {
    await using two = await twoClusters(dialect, t.signal, { ENTREPOT_REPLICATION_BATCH_FILES: '2' })
    const all = names(12)
    for (const name of all) await two.put(two.a, name, name)
    const { lost } = loseResults(two, 0, hasFiles(two, 6), t.signal)
    const key = await two.create()
    await lost
    await two.a.api.call('POST', `/replication/api/task/stop/${key}`, undefined, t.signal)
    await two.ended(key, 1)
    two.line.script(() => undefined)
    assert.equal(counts(await two.again(key)), '12/0/0/0')
    assert.deepEqual(await allDetails(two.a, key, t.signal), onceEach(all))
  })

  it('given a real-time link whose results got lost, when the target was changed by others meanwhile and is compared, then each artifact has one detail', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    const key = await liveTask(two, {}, t.signal)
    const all = names(6)
    const { lost } = loseResults(two, 0, hasFiles(two, 4), t.signal)
    for (const name of all) await two.put(two.a, name, name)
    await lost
    await two.put(two.b, '/theirs', 'so that the link is compared')
    two.line.script(() => undefined)
    await caughtUp(two.a, key, t.signal)
    assert.deepEqual(await allDetails(two.a, key, t.signal), onceEach(all))
    assert.equal(await successes(two, key, t.signal), 6)
  })

  it('given a real-time link whose results got lost, when the task goes on in another record and the link is compared, then each artifact has one detail', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    const key = await liveTask(two, {}, t.signal)
    const all = names(6)
    const { lost } = loseResults(two, 0, hasFiles(two, 4), t.signal)
    for (const name of all) await two.put(two.a, name, name)
    await lost
    await toggle(two.a, key, t.signal)
    await two.put(two.b, '/theirs', 'so that the link is compared')
    two.line.script(() => undefined)
    await toggle(two.a, key, t.signal)
    await caughtUp(two.a, key, t.signal)
    assert.deepEqual(await allDetails(two.a, key, t.signal), onceEach(all))
    await two.put(two.a, '/f00', 'changed')
    await caughtUp(two.a, key, t.signal)
    assert.equal(await two.text(two.b, '/f00'), 'changed')
    assert.equal(await successes(two, key, t.signal), 6)
  })

  it('given a real-time task that is switched off while what exists is brought over, when it goes on, then each artifact has one detail', async (t) => {
    await using two = await twoClusters(dialect, t.signal, { ENTREPOT_REPLICATION_BATCH_FILES: '2' })
    const all = names(20)
    for (const name of all) await two.put(two.a, name, name)
    const { lost } = loseResults(two, 1, hasFiles(two, 8), t.signal)
    const key = await two.create(REAL_TIME)
    await lost
    await toggle(two.a, key, t.signal)
    two.line.script(() => undefined)
    await toggle(two.a, key, t.signal)
    await caughtUp(two.a, key, t.signal)
    assert.deepEqual(await allDetails(two.a, key, t.signal), onceEach(all))
    assert.equal(await successes(two, key, t.signal), 20)
  })

  it('given a request that is refused as one that makes no sense, when it was damage on the way, then the run goes on; when it stays so, then FAILED says why', async (t) => {
    await using two = await twoClusters(dialect, t.signal)
    const unclear = JSON.stringify({ code: 250106, message: 'Invalid request content', data: null, traceId: null })
    const refusing = (most: number) => {
      let times = 0
      two.line.script(({ path }) => {
        return path.includes('/open') && times++ < most ? { answer: 400, body: unclear } : undefined
      })
      return () => times
    }
    await two.put(two.a, '/x', 'x')
    refusing(3)
    const run = await two.replicate()
    assert.equal(counts(run), '1/0/0/0')
    assert.equal(run.record.status, 'SUCCESS')
    await two.put(two.a, '/x', 'y')
    const times = refusing(Number.POSITIVE_INFINITY)
    const refused = await two.again(run.key)
    assert.equal(refused.record.status, 'FAILED')
    assert.match(refused.record.errorReason ?? '', /beta: .*Invalid request content/)
    assert.equal(times(), 4)
  })
})
