import assert from 'node:assert/strict'
import { it } from 'node:test'
import { sql } from 'kysely'
import { artifactServices, fileWrite, makeRepository } from '../../../test/helpers/artifacts.ts'
import { eachDatabase, type TestDatabase } from '../../../test/helpers/databases.ts'
import { planOf, watched } from '../../../test/helpers/plans.ts'
import { putFiles } from '../../artifacts/nodes/node-writer.ts'
import { EVERY_PATH, mergeRanges, type PathRange, rangesOfTree } from '../../core/path-range.ts'
import type { NodePath } from '../../core/paths.ts'
import { countExpired, listFiles, rangeSize } from './source-files.ts'

/** `/d0/f0` … `/d9/f199`, 2,000 files of one byte; every tenth of a folder expires at 5,000. */
async function filled(db: TestDatabase) {
  const on = artifactServices(db)
  const repository = await makeRepository(on)
  const writes = Array.from({ length: 2_000 }, (_, n) =>
    fileWrite(on, `/d${Math.floor(n / 200)}/f${n % 200}`, 'x', n % 10 === 0 ? { expiresAt: 5_000_000_000_000 } : {}),
  )
  await db.transact((trx) => putFiles(trx, repository, writes, new Map(), on.clock.now()))
  if (db.dialect === 'postgres') await sql`analyze`.execute(db.read)
  return { repoId: repository.id, now: on.clock.now() }
}
const ofTrees = (paths: readonly string[]) => mergeRanges(paths.flatMap((path) => rangesOfTree(path as NodePath)))
/** A folder, and single files of all others. */
const MANY = ofTrees([
  '/d3',
  ...Array.from({ length: 10_000 }, (_, n) => `/d${n % 10}/f${Math.floor(n / 10)}`).filter((_, n) => n % 3 === 0),
])

eachDatabase('files of a scope', (make) => {
  it('given one range, two or thousands, when paged, then every file of them comes once, in order', async () => {
    await using db = await make()
    const { repoId, now } = await filled(db)
    const all = (await listFiles(db.read, repoId, { ranges: [EVERY_PATH], after: undefined, limit: 5_000 }, now)).map(
      ({ path }) => path as string,
    )
    assert.equal(all.length, 2_000)
    for (const ranges of [[EVERY_PATH], ofTrees(['/d1', '/d7']), MANY, []]) {
      const found: string[] = []
      for (let after: string | undefined; ; after = found.at(-1)) {
        const page = await listFiles(db.read, repoId, { ranges, after, limit: 150 }, now)
        found.push(...page.map(({ path }) => path))
        if (page.length < 150) break
      }
      const inside = (path: string) => ranges.some(({ lo, hi }) => path >= lo && (hi === null || path < hi))
      assert.deepEqual(found, all.filter(inside))
    }
  })

  it('given many ranges, when paged, then each is looked up by index, in few statements that do not grow with them', async () => {
    await using db = await make()
    const { repoId, now } = await filled(db)
    const { reader, asked } = watched(db.slow)
    await listFiles(reader, repoId, { ranges: MANY, after: undefined, limit: 500 }, now)
    assert.ok(asked.length < 40, `${asked.length} statements for ${MANY.length} ranges`)
    for (const query of asked) {
      const plan = await planOf(db.slow, query)
      assert.doesNotMatch(plan, /SCAN node|Seq Scan on node/, plan)
      assert.match(plan, /node_live/, plan)
    }
  })

  it('given expired files, when counted, then those of the scope count, whether its ranges are few or many', async () => {
    await using db = await make()
    const { repoId, now } = await filled(db)
    const count = (ranges: readonly PathRange[], at = 6_000_000_000_000) => countExpired(db.slow, repoId, ranges, at)
    assert.equal(await count([EVERY_PATH]), 200)
    assert.equal(await count(ofTrees(['/d1', '/d2/f10'])), 21)
    const single = Array.from({ length: 100 }, (_, n) => `/d4/f${n}`)
    assert.equal(await count(ofTrees(single)), 10)
    assert.equal(await count(ofTrees(single), now), 0)
    assert.deepEqual(await rangeSize(db.slow, repoId, { lo: '/d1/', hi: '/d10' }, now), { files: 200, bytes: 200 })
  })
})
