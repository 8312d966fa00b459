import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import {
  type ArtifactServices,
  artifactServices,
  fileWrite,
  makeRepository,
  path,
} from '../../../test/helpers/artifacts.ts'
import { manualClock } from '../../../test/helpers/clock.ts'
import { eachDatabase, makePostgres, skipReason } from '../../../test/helpers/databases.ts'
import { foldAll, liveRowsOf, sumWithin, TINY_BUCKETS, WHOLE } from '../../../test/helpers/fingerprints.ts'
import { deleteFiles, lockLive, putFiles } from '../../artifacts/nodes/node-writer.ts'
import type { Repository } from '../../artifacts/repositories/repositories.ts'
import { EMPTY_SUM } from '../../core/fingerprint.ts'
import { trimChanges } from '../changes/change-trimming.ts'
import { numberChanges } from '../changes/sequencer.ts'
import type { MetadataDatabase, Transaction } from '../database.ts'
import { openDatabase } from '../open-database.ts'
import type { Bucket } from './buckets.ts'
import { checkSlice, sumsState } from './checking.ts'
import { createFingerprints } from './fingerprints.ts'
import { forgetSums, readFoldState } from './fold-state.ts'
import { foldBatch } from './folding.ts'
import { createFingerprintUpkeep } from './upkeep.ts'
import { runUpkeep } from './upkeep-loop.ts'

const names = (count: number, folder = '/d') => Array.from({ length: count }, (_, at) => `${folder}/f${at}`)
const putIn = (trx: Transaction, on: ArtifactServices, repository: Repository, paths: readonly string[]) =>
  lockLive(trx, repository.id, paths.map(path)).then((current) =>
    putFiles(
      trx,
      repository,
      paths.map((one) => fileWrite(on, one, `${one} ${on.clock.now()}`)),
      current,
      on.clock.now(),
    ),
  )
const put = (on: ArtifactServices, repository: Repository, paths: readonly string[]) =>
  on.db.transact((trx) => putIn(trx, on, repository, paths))

async function assertExact(db: MetadataDatabase, repoId: number): Promise<void> {
  const live = await liveRowsOf(db, repoId)
  const ranges = [WHOLE, { lo: '/d/f1', hi: '/d/f3' }, { lo: '', hi: '/d/f5' }, { lo: '/d/f22', hi: null }]
  assert.deepEqual(
    await createFingerprints(db).sums(repoId, ranges),
    ranges.map((range) => sumWithin(live, range)),
  )
}
/** What the buckets alone say, without the changes that are not folded. */
const kept = async (db: MetadataDatabase, repoId: number) => (await sumsState(db.read, repoId)).rows

eachDatabase('upkeep of fingerprints', (make) => {
  it('given a database from before there were sums, its log trimmed, when it is opened, then sums are built in slices and exact all the while', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    await put(on, repository, names(40))
    await numberChanges(db)
    // What the migration leaves of a database that had no sums.
    await db.transact(async (trx) => {
      await trx.deleteFrom('change_log').execute()
      await trx.deleteFrom('fp_bucket').execute()
      await trx.updateTable('fp_repository').set({ built_to: '' }).execute()
    })
    await assertExact(db, repository.id)
    const upkeep = createFingerprintUpkeep(db, TINY_BUCKETS)
    let slices = 0
    for (; (await upkeep.step()) !== 'idle'; slices++) {
      await assertExact(db, repository.id)
      await put(on, repository, [`/d/f${slices}`, `/new/${slices}`])
      await numberChanges(db)
      await assertExact(db, repository.id)
      assert.ok(slices < 100)
    }
    assert.ok(slices > 5, `${slices} slices`)
    await foldAll(db, TINY_BUCKETS)
    assert.deepEqual(await kept(db, repository.id), (await liveRowsOf(db, repository.id)).length)
    await assertExact(db, repository.id)
  })

  it('given a repository, when it is deleted and another made under its name, then the old sums go and the new begin at nothing', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const old = await makeRepository(on)
    await put(on, old, names(40))
    await foldAll(db, TINY_BUCKETS)
    await on.repositories.delete(old.project, old.name, 'with-content', 'admin')
    const fresh = await makeRepository(on)
    await put(on, fresh, names(3))
    await foldAll(db, TINY_BUCKETS)
    await on.retirement.run(new AbortController().signal)
    await foldAll(db, TINY_BUCKETS)
    const left = await db.read.selectFrom('fp_bucket').select('repo_id').distinct().execute()
    assert.deepEqual(
      left.map((row) => row.repo_id),
      [fresh.id],
    )
    assert.equal(await kept(db, fresh.id), 3)
    assert.deepEqual(await createFingerprints(db).sums(old.id, [WHOLE]), [EMPTY_SUM])
  })

  it('given two that fold, split and merge at once, when files come and go, then each change counts once', async () => {
    await using db = await make()
    await using other =
      db.dialect === 'postgres' ? await openDatabase(db.config) : { ...db, async [Symbol.asyncDispose]() {} }
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    let writing = true
    const outcomes: string[] = []
    const fold = async (database: MetadataDatabase) => {
      const upkeep = createFingerprintUpkeep(database, {
        ...TINY_BUCKETS,
        onWrong: () => assert.fail('a bucket is wrong'),
      })
      // On SQLite a step with nothing to do is done at once: the disk, for which a commit waits, must have its turn.
      for (; writing; await setImmediate()) {
        await numberChanges(database)
        outcomes.push(await upkeep.step())
      }
    }
    const both = Promise.all([fold(db), fold(other)])
    for (let round = 0; round < 12; round++) {
      await put(on, repository, names(8, `/d${round % 4}`))
      await assertExact(db, repository.id)
    }
    writing = false
    await both
    await foldAll(db, TINY_BUCKETS)
    assert.equal(await kept(db, repository.id), 32)
    await assertExact(db, repository.id)
    assert.ok(outcomes.includes('more'))
  })

  it('given a fold that dies before its commit, when it runs again, then nothing is lost and nothing counts twice', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    await put(on, repository, names(20))
    await numberChanges(db)
    const before = await readFoldState(db.read)
    const dying: MetadataDatabase = {
      ...db,
      transact: (work) =>
        db.transact(async (trx) => {
          await work(trx)
          throw new Error('killed')
        }),
    }
    await assert.rejects(foldBatch(dying, 100), /killed/)
    assert.deepEqual(await readFoldState(db.read), before)
    await assertExact(db, repository.id)
    assert.equal((await foldBatch(db, 100))?.changes, 20)
    assert.equal((await foldBatch(db, 100))?.changes, 0)
    assert.equal(await kept(db, repository.id), 20)
    await assertExact(db, repository.id)
  })

  it('given a fold that was overtaken, when it comes to write, then it writes nothing', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    await put(on, repository, names(5))
    await numberChanges(db)
    const overtaken: MetadataDatabase = {
      ...db,
      async transact(work) {
        await foldBatch(db, 2)
        return db.transact(work)
      },
    }
    assert.equal(await foldBatch(overtaken, 5), undefined)
    assert.equal(await kept(db, repository.id), 2)
    await assertExact(db, repository.id)
  })

  it('given folded and unfolded changes, when the log is trimmed, then only folded ones go and sums stay exact', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    await put(on, repository, names(10))
    await foldAll(db, TINY_BUCKETS)
    await put(on, repository, names(10, '/e'))
    await numberChanges(db)
    const later = on.clock.now() + 1
    while ((await db.transact((trx) => trimChanges(trx, later))) > 0);
    const { left } = await db.read
      .selectFrom('change_log')
      .select((eb) => eb.fn.countAll<number>().as('left'))
      .executeTakeFirstOrThrow()
    assert.equal(left, 10)
    await assertExact(db, repository.id)
    await foldAll(db, TINY_BUCKETS)
    await assertExact(db, repository.id)
  })

  it('given all files of many buckets deleted, when folded, then the buckets are merged', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    await put(on, repository, names(60))
    await foldAll(db, TINY_BUCKETS)
    assert.ok((await sumsState(db.read, repository.id)).buckets > 10)
    await db.transact(async (trx) => {
      const found = [...(await lockLive(trx, repository.id, names(60).map(path))).values()]
      const how = { by: 'bob', at: on.clock.now(), hlc: on.hlc.next(), origin: 0, viaLink: null }
      await deleteFiles(trx, repository, found, how)
    })
    await foldAll(db, TINY_BUCKETS)
    assert.deepEqual(await sumsState(db.read, repository.id), { buckets: 1, rows: 0, complete: true })
  })

  it('given sums that were tampered with, when checked, then the range is named; a rebuild puts it right', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    await put(on, repository, names(40))
    await foldAll(db, TINY_BUCKETS)
    await put(on, repository, names(3, '/unfolded'))
    assert.deepEqual(await checkSlice(db, repository.id, ''), { rows: 43, wrong: [], next: null })
    const buckets = await db.read.selectFrom('fp_bucket').select(['lo', 'n']).orderBy('lo').execute()
    const victim = buckets[3]!
    await db.transact((trx) =>
      trx
        .updateTable('fp_bucket')
        .set({ s2: 7 })
        .where('repo_id', '=', repository.id)
        .where('lo', '=', victim.lo)
        .execute(),
    )
    const { wrong } = await checkSlice(db, repository.id, '')
    assert.deepEqual(
      wrong.map(({ range }) => range),
      [{ lo: victim.lo, hi: buckets[4]!.lo }],
    )
    await db.transact((trx) => forgetSums(trx, repository.id))
    await foldAll(db, TINY_BUCKETS)
    assert.deepEqual((await checkSlice(db, repository.id, '')).wrong, [])
    assert.equal((await sumsState(db.read, repository.id)).complete, true)
  })

  it('given a wrong bucket, when it is split, then it is told and its parts are right', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    await put(on, repository, names(4))
    await foldAll(db, TINY_BUCKETS)
    await db.transact((trx) => trx.updateTable('fp_bucket').set({ n: 9 }).where('lo', '=', '').execute())
    const told: Bucket[] = []
    const upkeep = createFingerprintUpkeep(db, { ...TINY_BUCKETS, onWrong: (bucket) => told.push(bucket) })
    while ((await upkeep.step()) !== 'idle');
    assert.deepEqual(
      told.map(({ lo, sum }) => [lo, sum.rows]),
      [['', 9]],
    )
    await assertExact(db, repository.id)
  })

  it('given files that come all the time, when the loop runs, then it folds, and it ends by its signal', async () => {
    await using db = await make()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    const clock = manualClock()
    const stop = new AbortController()
    // Told, not thrown: a loop that ended would never sleep again, and the test would wait for that.
    const errors: unknown[] = []
    const onError = (error: unknown) => void errors.push(error)
    const running = runUpkeep(createFingerprintUpkeep(db, TINY_BUCKETS), clock, onError, stop.signal)
    for (let round = 0; round < 3; round++) {
      await put(on, repository, names(10, `/${round}`))
      await numberChanges(db)
      for (let pauses = 0; pauses < 100 && (await kept(db, repository.id)) < 10 * (round + 1); pauses++) {
        await clock.untilSleeping()
        await clock.advance(200)
      }
      assert.equal(await kept(db, repository.id), 10 * (round + 1))
    }
    await clock.untilSleeping()
    stop.abort()
    await running
    assert.deepEqual(errors, [])
  })
})

describe('fingerprints on PostgreSQL', { skip: skipReason() }, () => {
  it('given a transaction that began first and commits last, when others were folded meanwhile, then it counts once', async () => {
    await using db = await makePostgres()
    const on = artifactServices(db)
    const repository = await makeRepository(on)
    const inserted = Promise.withResolvers<void>()
    const mayCommit = Promise.withResolvers<void>()
    const slow = db.transact(async (trx) => {
      await putIn(trx, on, repository, names(3, '/slow'))
      inserted.resolve()
      await mayCommit.promise
    })
    await inserted.promise
    await put(on, repository, names(3, '/fast'))
    await foldAll(db, TINY_BUCKETS)
    await assertExact(db, repository.id)
    mayCommit.resolve()
    await slow
    // Committed and not numbered: not in the buckets, and not forgotten.
    await assertExact(db, repository.id)
    assert.equal(await kept(db, repository.id), 3)
    await foldAll(db, TINY_BUCKETS)
    assert.equal(await kept(db, repository.id), 6)
    await assertExact(db, repository.id)
  })
})
