import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ApiError } from '../helpers/api.ts'
import { eachDialect } from '../helpers/local-cluster.ts'
import { createRepository, taskOf } from '../helpers/replication-calls.ts'
import { counts, REPO, type Run, type TaskChanges, type TwoClusters, twoClusters } from '../helpers/two-clusters.ts'

const FILES = ['/one.txt', '/dir/a.log', '/dir/b.log', '/dir/c.txt', '/dir/sub/d.log', '/other/e.txt', '/other/f.jar']

/** A task on the files of one repository. */
function limitedTo(...pathConstraints: unknown[]): TaskChanges {
  return {
    replicaObjectType: 'PATH',
    replicaTaskObjects: [
      {
        localRepoName: 'files',
        remoteProjectId: 'proj',
        remoteRepoName: 'files',
        repoType: 'GENERIC',
        packageConstraints: null,
        pathConstraints,
      },
    ] as never,
  }
}
const pathsAt = async (two: TwoClusters, where = two.b) => (await two.files(where)).map(({ path }) => path).sort()
const failures = ({ details }: Run) =>
  details
    .filter(({ status }) => status === 'FAILED')
    .map(({ artifactName }) => artifactName)
    .sort()
async function putAll(two: TwoClusters, paths: readonly string[] = FILES): Promise<void> {
  for (const path of paths) await two.put(two.a, path, `content of ${path}`)
}

/** Of the one run, from the database: its record shows all constraints, which takes long to ask for again and again. */
async function endedRun({ a }: TwoClusters) {
  for (;;) {
    const run = await a.db.read
      .selectFrom('execution_record')
      .select(['status', 'overview', 'started_at', 'ended_at'])
      .executeTakeFirst()
    if (run !== undefined && run.status !== 'RUNNING') return run
    await sleep(20)
  }
}

eachDialect('constraints', (dialect) => {
  describe('of paths', () => {
    it('case 33: given a file, a folder, a pattern and a missing path, when run, then each goes as it says and the missing one is a FAILED row', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await putAll(two)
      const constraints = ['/one.txt', { path: '/other/' }, '/dir/*.log', '/missing', '/dir/*.nothing']
      const run = await two.replicate(limitedTo(...constraints))
      assert.deepEqual(await pathsAt(two), ['/dir/a.log', '/dir/b.log', '/one.txt', '/other/e.txt', '/other/f.jar'])
      assert.deepEqual(failures(run), ['/dir/*.nothing', '/missing'])
      assert.match(run.details.find(({ status }) => status === 'FAILED')!.errorReason!, /251010/)
      assert.deepEqual([run.record.status, counts(run)], ['FAILED', '5/0/2/0'])

      const again = await two.again(run.key)
      assert.equal(counts(again), '0/5/2/0')
    })

    it('case 33: given a node of just the name of a pattern, when it comes and goes, then it is meant as long as it is there', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await putAll(two, ['/dir/*.log', '/dir/a.log'])
      const run = await two.replicate(limitedTo('/dir/*.log'))
      assert.deepEqual(await pathsAt(two), ['/dir/*.log'])
      assert.equal(counts(run), '1/0/0/0')
      await two.a.api.call('DELETE', '/repository/api/node/delete/proj/files/dir/*.log', undefined, t.signal)
      assert.equal(counts(await two.again(run.key)), '1/0/0/0')
      assert.deepEqual(await pathsAt(two), ['/dir/*.log', '/dir/a.log'])
    })

    it('given expressions, when run and files change, then only what they match is sent, counted, and looked at', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await putAll(two)
      await createRepository(two.b.api, REPO, t.signal)
      await two.put(two.b, '/dir/theirs.txt', 'of the target')
      const constraints = [
        { path: '/dir', pathRegex: '.*/[ad]\\.log' },
        { path: '/', pathRegex: '/other/.*\\.jar' },
      ]
      const run = await two.replicate(limitedTo(...constraints))
      const sent = ['/dir/a.log', '/dir/sub/d.log', '/other/f.jar']
      assert.deepEqual(await pathsAt(two), [...sent, '/dir/theirs.txt'].sort())
      assert.equal(counts(run), '3/0/0/0')
      await two.put(two.a, '/dir/b.log', 'not meant')
      await two.put(two.a, '/dir/a.log', 'meant')
      await two.put(two.a, '/dir/new/a.log', 'new')
      const again = await two.again(run.key)
      assert.equal(counts(again), '2/2/0/0')
      assert.deepEqual(again.details.map(({ artifactName }) => artifactName).sort(), ['/dir/a.log', '/dir/new/a.log'])
      assert.equal(counts(await two.again(run.key)), '0/4/0/0')
    })

    it('given a constraint that changes, when run, then what came in is sent and what went out stays at the target', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await putAll(two)
      const { key } = await two.replicate(limitedTo('/dir/*.log'))
      const body = { ...taskOf('changed', REPO, [two.clusterId]), ...limitedTo('/dir/*.txt'), key }
      await two.a.api.call('POST', '/replication/api/task/update', body, t.signal)
      assert.equal(counts(await two.again(key)), '1/0/0/0')
      assert.deepEqual(await pathsAt(two), ['/dir/a.log', '/dir/b.log', '/dir/c.txt'])
    })

    it('given propagateDelete, when files end here, then only those that are meant end at the target', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await putAll(two)
      const all = await two.replicate({ name: 'all' } as never)
      assert.equal(counts(all), '7/0/0/0')
      const setting = { propagateDelete: true, conflictStrategy: 'OVERWRITE' } as never
      const { key } = await two.replicate({ ...limitedTo('/dir/*.log'), setting })
      for (const path of ['/dir/a.log', '/dir/c.txt', '/dir/sub/d.log']) {
        await two.a.api.call('DELETE', `/repository/api/node/delete/proj/files${path}`, undefined, t.signal)
      }
      await two.again(key)
      assert.deepEqual(await pathsAt(two), FILES.filter((path) => path !== '/dir/a.log').sort())
    })

    it('given a REAL_TIME task with patterns, when files come, then only those that fit follow', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await putAll(two)
      await two.create({
        ...limitedTo('/dir/*.log', { path: null, pathRegex: '/other/.*jar' }),
        replicaType: 'REAL_TIME',
      } as never)
      const arrive = async (...paths: string[]) => {
        while ((await pathsAt(two).catch(() => [])).length < paths.length) await sleep(20)
        assert.deepEqual(await pathsAt(two), paths)
      }
      await arrive('/dir/a.log', '/dir/b.log', '/other/f.jar')
      await putAll(two, ['/dir/new.txt', '/dir/sub/new.log', '/other/new.jar', '/dir/new.log'])
      await arrive('/dir/a.log', '/dir/b.log', '/dir/new.log', '/other/f.jar', '/other/new.jar')
    })

    it('given many files that a filter leaves out, when only few are meant, then the others are neither sent nor counted', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      const names = Array.from({ length: 120 }, (_, n) => `/bulk/${n % 10 === 0 ? 'keep' : 'skip'}-${n}.bin`)
      await putAll(two, names)
      const run = await two.replicate(limitedTo('/bulk/keep-*.bin'))
      assert.equal(counts(run), '12/0/0/0')
      await two.put(two.b, '/bulk/skip-1.bin', 'theirs')
      const again = await two.again(run.key)
      assert.equal(counts(again), '0/12/0/0')
      assert.equal(await two.text(two.b, '/bulk/skip-1.bin'), 'theirs')
    })
  })

  describe('as requests have them', () => {
    const refused = (two: TwoClusters, changes: TaskChanges) =>
      two.create(changes).then(
        () => assert.fail('it was taken'),
        (error: unknown) => (error as ApiError).code,
      )
    it('given expressions that are wrong or too much, when created, then 250105 names the field', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      for (const pathRegex of ['(', '(?=x)', 'a'.repeat(501), '(a{0,900}){0,1}b{0,900}']) {
        assert.equal(await refused(two, limitedTo({ path: '/', pathRegex })), 250105, pathRegex.slice(0, 20))
      }
    })

    it('given 10,000 constraints, when created and run, then they are taken; 10,001 are 250105', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      await putAll(two, ['/f/1', '/f/77', '/f/5000', '/f-5000', '/f/77-x'])
      const many = Array.from({ length: 10_000 }, (_, n) => `/f/${n}`)
      assert.equal(await refused(two, limitedTo(...many, '/f/x')), 250105)
      await two.create({ ...limitedTo(...many), record: false })
      const run = await endedRun(two)
      assert.deepEqual(await pathsAt(two), ['/f/1', '/f/5000', '/f/77'])
      const { success, failed } = JSON.parse(run.overview!)
      assert.deepEqual([run.status, success, failed], ['FAILED', 3, 9997])
    })

    it('given constraints with a date, when asked for, then all is echoed as it was given', async (t) => {
      await using two = await twoClusters(dialect, t.signal)
      const constraint = { path: '/a', pathRegex: '/a/.*', deletedDate: '2026-01-01T00:00:00' }
      const key = await two.create(limitedTo(constraint))
      const detail = await two.a.api.call<{ objects: { pathConstraints: unknown }[] }>(
        'GET',
        `/replication/api/task/detail/${key}`,
        undefined,
        t.signal,
      )
      assert.deepEqual(detail.objects[0]!.pathConstraints, [constraint])
    })
  })
})
