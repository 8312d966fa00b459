import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { fileWrite, path } from '../../../test/helpers/artifacts.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { foldAll, liveRowsOf, sumWithin, TINY_BUCKETS, TINY_SIZE, WHOLE } from '../../../test/helpers/fingerprints.ts'
import { makePackageRepository, type PackageServices, packageServices } from '../../../test/helpers/packages.ts'
import { deleteFiles, lockLive, putFiles, putMetadata } from '../../artifacts/nodes/node-writer.ts'
import type { Repository } from '../../artifacts/repositories/repositories.ts'
import { type ErrorCode, hasCode } from '../../core/errors.ts'
import type { PathRange } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'
import { numberChanges } from '../changes/sequencer.ts'
import { buildSlice } from './building.ts'
import { createFingerprints } from './fingerprints.ts'
import { forgetSums } from './fold-state.ts'
import { splitBuckets } from './splitting.ts'
import { createFingerprintUpkeep, type FingerprintUpkeep } from './upkeep.ts'

/** Names whose order in UTF-8 is not that of UTF-16, and folders whose paths sort around those below them. */
const NAMES = ['a', 'a-b', 'a.b', 'b', '\uffee', '\u{1f600}', ...Array.from({ length: 12 }, (_, at) => `f${at}`)]
const name = fc.constantFrom(...NAMES)
const file = fc.oneof(
  name.map((one) => `/${one}.txt`),
  fc.tuple(name, name).map(([folder, one]) => `/${folder}/${one}.txt`),
)
const files = fc.uniqueArray(file, { minLength: 1, maxLength: 12 })
const bound = fc.oneof(
  file,
  fc.constantFrom('', '/', '0', '\u0001pkg/', '\u0001pkg/rds://b', '\u0001pkg/rds://b\u0001', '\u0002'),
)

type Step = (world: World) => Promise<unknown>
interface World {
  readonly on: PackageServices
  readonly repository: Repository
  readonly upkeep: FingerprintUpkeep
}
const step = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(files, fc.nat(3)).map(([paths, content]): Step => put(paths, String(content))) },
  { weight: 3, arbitrary: files.map((paths): Step => remove(paths)) },
  { weight: 2, arbitrary: fc.tuple(files, fc.nat(3)).map(([paths, value]): Step => describe(paths, value)) },
  { weight: 2, arbitrary: fc.tuple(fc.constantFrom('a', 'b', 'b2'), fc.nat(4)).map(([n, v]): Step => publish(n, v)) },
  { weight: 1, arbitrary: fc.constantFrom('a', 'b', 'b2').map((n): Step => unpublish(n)) },
  { weight: 6, arbitrary: fc.constant<Step>(({ upkeep }) => upkeep.step()) },
  { weight: 2, arbitrary: fc.constant<Step>(({ on }) => numberChanges(on.db)) },
  // Out of turn: with changes that are not folded.
  { weight: 3, arbitrary: fc.constant<Step>(({ on }) => buildSlice(on.db, 5, TINY_SIZE)) },
  {
    weight: 3,
    arbitrary: fc.constant<Step>(async ({ on }) => {
      assert.deepEqual((await splitBuckets(on.db, TINY_SIZE, []))?.wrong, [])
    }),
  },
  {
    weight: 1,
    arbitrary: fc.constant<Step>(({ on, repository }) => on.db.transact((trx) => forgetSums(trx, repository.id))),
  },
)

const put =
  (paths: readonly string[], content: string): Step =>
  ({ on, repository }) =>
    on.db.transact(async (trx) => {
      const writes = paths.map((one) => fileWrite(on, one, content))
      const current = await lockLive(trx, repository.id, paths.map(path))
      return putFiles(trx, repository, writes, current, on.clock.now())
    })
const remove =
  (paths: readonly string[]): Step =>
  ({ on, repository }) =>
    on.db.transact(async (trx) => {
      const found = [...(await lockLive(trx, repository.id, paths.map(path))).values()]
      const how = { by: 'bob', at: on.clock.now(), hlc: on.hlc.next(), origin: 0, viaLink: null }
      return deleteFiles(trx, repository, found, how)
    })
const describe =
  (paths: readonly string[], value: number): Step =>
  ({ on, repository }) =>
    on.db.transact(async (trx) => {
      const found = [...(await lockLive(trx, repository.id, paths.map(path))).values()]
      const by = { modifiedBy: 'bob', modifiedAt: on.clock.now(), origin: 0, viaLink: undefined, viaMark: undefined }
      const changes = found.map((node) => ({ ...by, node, metadata: [{ key: 'k', value }], hlc: on.hlc.next() }))
      return putMetadata(trx, repository, changes, on.clock.now())
    })
const publish =
  (packageName: string, version: number): Step =>
  ({ on, repository }) =>
    on
      .publish(
        repository,
        packageName,
        `${version}.0.0`,
        { [`/${packageName}/${version}.tgz`]: `${version}` },
        {
          existing: 'replace',
        },
      )
      .catch(unless('VERSION_EXISTED'))
const unpublish =
  (packageName: string): Step =>
  ({ on, repository }) =>
    on.deletion.deletePackage(repository, `rds://${packageName}`, 'alice').catch(unless('PACKAGE_NOT_FOUND'))

const unless = (code: ErrorCode) => (error: unknown) => {
  if (!hasCode(error, code)) throw error
}

async function assertExact({ on, repository }: World, ranges: readonly PathRange[]): Promise<void> {
  const live = await liveRowsOf(on.db, repository.id)
  const fingerprints = createFingerprints(on.db)
  const all = [WHOLE, ...ranges]
  assert.deepEqual(
    await fingerprints.sums(repository.id, all),
    all.map((range) => sumWithin(live, range)),
  )
  for (const range of all.slice(0, 3)) {
    const inside = live.filter(({ path }) => sumWithin([{ ...live[0]!, path }], range).rows > 0)
    assert.deepEqual(await fingerprints.rows(repository.id, range, 7), inside.slice(0, 7))
  }
}

eachDatabase('fingerprints', (make) => {
  it('given any writes, folds, splits, merges and builds, when ranges are summed at any moment, then they are the sums of their rows', async () => {
    const range = fc.tuple(bound, fc.option(bound)).map(([lo, hi]): PathRange => ({ lo, hi }))
    const moves = fc.array(fc.tuple(step, fc.array(range, { maxLength: 5 })), { minLength: 5, maxLength: 30 })
    await fc.assert(
      fc.asyncProperty(moves, async (list) => {
        await using db = await make()
        const on = packageServices(db)
        const repository = await makePackageRepository(on)
        const upkeep = createFingerprintUpkeep(db, { ...TINY_BUCKETS, onWrong: () => assert.fail('a bucket is wrong') })
        const world = { on, repository, upkeep }
        for (const [move, ranges] of list) {
          await move(world)
          await assertExact(world, ranges)
        }
        await foldAll(db, TINY_BUCKETS)
        await assertExact(
          world,
          list.flatMap(([, ranges]) => ranges),
        )
      }),
      { numRuns: 8, endOnFailure: true },
    )
  })

  it('given a thousand files, when all is folded, then buckets have the size that is asked for and cuts fall on them', async () => {
    await using db = await make()
    const on = packageServices(db)
    const repository = await makePackageRepository(on)
    const paths = Array.from({ length: 1_000 }, (_, at) => `/d${at % 10}/f${at}`)
    for (let at = 0; at < 1_000; at += 250) await put(paths.slice(at, at + 250), 'x')({ on, repository } as World)
    const size = { target: 16, most: 32, least: 4, rowsPerLandmark: 1_024 }
    await foldAll(db, { size })
    const buckets = await db.read.selectFrom('fp_bucket').select(['lo', 'n']).orderBy('lo').execute()
    assert.ok(buckets.length > 40 && buckets.length < 90, `${buckets.length} buckets`)
    assert.ok(buckets.every(({ n }) => n <= 32))
    const fingerprints = createFingerprints(db)
    const cuts = await fingerprints.cuts(repository.id, { lo: '/', hi: null }, 16)
    assert.equal(cuts.length, 15)
    const starts = new Set(buckets.map(({ lo }) => lo))
    assert.ok(cuts.every((cut) => starts.has(cut)))
    const bounds = ['/', ...cuts, null]
    const ranges = bounds.slice(1).map((hi, at): PathRange => ({ lo: bounds[at]!, hi }))
    const sums = await fingerprints.sums(repository.id, ranges)
    assert.ok(sums.every(({ rows }) => rows > 25 && rows < 110))

    const narrow = { lo: '/d3', hi: '/d4' }
    const few = await fingerprints.cuts(repository.id, narrow, 50)
    assert.equal(few.length, 49)
    assert.deepEqual(few, [...few].sort(comparePaths))
    assert.ok(few.every((cut) => cut.startsWith('/d3/') && cut !== '/d3/f103'))

    await remove(paths.slice(0, 990))({ on, repository } as World)
    await foldAll(db, { size })
    assert.deepEqual(await fingerprints.cuts(repository.id, { lo: '/nothing', hi: null }, 16), [])
    await assertExact({ on, repository } as World, ranges)
  })

  it('given two repositories with the same files, when they came in another order, then the cuts of one are starts of buckets in the other', async () => {
    await using db = await make()
    const on = packageServices(db)
    const paths = Array.from({ length: 900 }, (_, at) => `/d${at % 7}/f${at}`)
    const orders = [paths, paths.toReversed(), [...paths].sort()]
    const size = { target: 16, most: 32, least: 4, rowsPerLandmark: 8 }
    const starts: string[][] = []
    const cuts: string[][] = []
    for (const [at, order] of orders.entries()) {
      const repository = await makePackageRepository(on, `rds${at}`)
      const step = 100 * (at + 1)
      for (let from = 0; from < order.length; from += step) {
        await put(order.slice(from, from + step), 'x')({ on, repository } as World)
        await foldAll(db, { size })
      }
      if (at === 2) await db.transact((trx) => forgetSums(trx, repository.id))
      await foldAll(db, { size })
      const rows = await db.read.selectFrom('fp_bucket').selectAll().where('repo_id', '=', repository.id).execute()
      starts.push(rows.map(({ lo }) => lo))
      cuts.push(await createFingerprints(db).cuts(repository.id, { lo: '/', hi: null }, 16))
    }
    assert.ok(cuts[0]!.length >= 12, `${cuts[0]!.length} cuts`)
    for (const own of cuts) {
      for (const other of starts)
        assert.deepEqual(
          own.filter((cut) => !other.includes(cut)),
          [],
        )
    }
  })
})
