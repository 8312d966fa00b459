import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eachDatabase } from '../../test/helpers/databases.ts'
import { foldAll } from '../../test/helpers/fingerprints.ts'
import { planOf, watched } from '../../test/helpers/plans.ts'
import type { Lanes } from '../core/lanes.ts'
import { EVERY_PATH, rangesOfTree } from '../core/path-range.ts'
import type { NodePath } from '../core/paths.ts'
import {
  appendChanges,
  type Change,
  changedPaths,
  changeSpan,
  type FileLanes,
  hasForeignChanges,
  headSeq,
  trimChanges,
} from './change-log.ts'
import type { MetadataDatabase } from './database.ts'
import { numberChanges } from './sequencer.ts'

const EVERYTHING = [EVERY_PATH]
const FILE: FileLanes = { content: [1, 2, 3, 4], metadata: [5, 6, 7, 8] }

function change(path: string, differs: Partial<Change> = {}): Change {
  return { repoId: 1, path, op: 1, origin: 0, viaLink: null, at: 1_000, before: undefined, after: FILE, ...differs }
}
async function append(db: MetadataDatabase, ...changes: Change[]): Promise<number> {
  await db.transact((trx) => appendChanges(trx, changes))
  await numberChanges(db)
  return headSeq(db.read, changes[0]!.repoId)
}
async function addRepository(db: MetadataDatabase, name: string): Promise<number> {
  const text = { project: 'p', name, type: 'GENERIC', category: 'LOCAL', epoch: 'e', configuration: '{}' }
  const by = { created_by: 'a', modified_by: 'a', created_at: 1, modified_at: 1 }
  const values = { ...text, ...by, public: 0, floor_seq: 0 }
  const add = db.transact((trx) =>
    trx.insertInto('repository').values(values).returning('id').executeTakeFirstOrThrow(),
  )
  return (await add).id
}

eachDatabase('change log', (make) => {
  it('given changes of one transaction, when listed, then each path comes once in order of bytes', async () => {
    await using db = await make()
    const to = await append(
      db,
      change('/b'),
      change('/\u{1f600}'),
      change('/\uffee'),
      change('/b', { op: 3 }),
      change('/a'),
    )
    const paths = await changedPaths(db.read, 1, { from: 0, to, ranges: EVERYTHING })
    assert.deepEqual(paths, ['/a', '/b', '/\uffee', '/\u{1f600}'])
    assert.deepEqual(await changedPaths(db.read, 1, { from: 0, to, ranges: EVERYTHING, limit: 2 }), ['/a', '/b'])
  })

  it('given a rolled back transaction, when listed, then its changes never were', async () => {
    await using db = await make()
    const failed = db.transact(async (trx) => {
      await appendChanges(trx, [change('/a')])
      throw new Error('no')
    })
    await assert.rejects(failed)
    await numberChanges(db)
    assert.equal(await headSeq(db.read, 1), 0)
  })

  it('given a cursor, when more changes come, then only they are listed and counted', async () => {
    await using db = await make()
    const from = await append(db, change('/a'), change('/b'))
    const to = await append(db, change('/c'), change('/d'), change('/c'))
    assert.deepEqual(await changedPaths(db.read, 1, { from, to, ranges: EVERYTHING }), ['/c', '/d'])
    assert.equal(await changeSpan(db.read, 1, { from, to, limit: 100 }), 3)
    assert.equal(await changeSpan(db.read, 1, { from, to, limit: 2 }), 2)
  })

  it('given changes of two repositories, when one is asked, then the other does not show', async () => {
    await using db = await make()
    await append(db, change('/a'))
    const other = await append(db, change('/b', { repoId: 2 }))
    assert.deepEqual(await changedPaths(db.read, 2, { from: 0, to: other, ranges: EVERYTHING }), ['/b'])
    assert.ok((await headSeq(db.read, 1)) < other)
  })

  it('given a folder scope, when listed, then the folder itself and what is below are in, look-alikes are out', async () => {
    await using db = await make()
    const names = ['/a', '/a/x', '/a/x/y', '/a-b', '/a.b', '/a0', '/ab', '/A/x']
    const to = await append(db, ...names.map((name) => change(name)))
    const ranges = rangesOfTree('/a' as NodePath)
    assert.deepEqual(await changedPaths(db.read, 1, { from: 0, to, ranges }), ['/a', '/a/x', '/a/x/y'])
  })

  it('given a scope of 3,000 paths or of none, when listed, then it works', async () => {
    await using db = await make()
    const to = await append(db, change('/f7'), change('/g'))
    const ranges = Array.from({ length: 3_000 }, (_, n) => rangesOfTree(`/f${n}` as NodePath)[0]!)
    assert.deepEqual(await changedPaths(db.read, 1, { from: 0, to, ranges }), ['/f7'])
    assert.deepEqual(await changedPaths(db.read, 1, { from: 0, to, ranges, limit: 0 }), [])
    assert.deepEqual(await changedPaths(db.read, 1, { from: 0, to, ranges: [] }), [])
  })

  it('given a scope of 10,000 paths and more foreign changes than one slice, when asked, then no statement grows with either', async () => {
    await using db = await make()
    const ranges = Array.from({ length: 10_000 }, (_, n) => ({ lo: `/f${n}`, hi: `/f${n}\u0001` }))
    const outside = Array.from({ length: 2_100 }, (_, n) => change(`/g${n}`))
    const before = await append(db, ...outside, change('/f7', { viaLink: 7 }))
    const { reader, asked } = watched(db.read)
    const ask = (to: number) => hasForeignChanges(reader, 1, { from: 0, to, ranges, exceptVia: 7 })
    assert.equal(await ask(before), false)
    assert.equal(await ask(await append(db, change('/f8', { viaLink: 8 }))), true)
    assert.equal(asked.length, 4, 'two slices each')
    for (const query of asked) {
      assert.ok(query.parameters.length < 10, query.sql)
      // PostgreSQL has no statistics of rows that are so new.
      if (db.dialect === 'sqlite')
        assert.match(await planOf(db.read, query), /^SEARCH change_log USING INDEX change_seq/)
    }
  })

  it('given extreme lanes before and after, when written, then the difference is kept exactly', async () => {
    await using db = await make()
    const [low, high]: Lanes[] = [
      [-(2 ** 31), 0, 1, -1],
      [2 ** 31 - 1, 0, -1, 1],
    ]
    const before = { content: low!, metadata: high! }
    await append(db, change('/a', { before, after: { content: high!, metadata: low! } }))
    const row = await db.read.selectFrom('change_log').selectAll().executeTakeFirstOrThrow()
    assert.deepEqual([row.d0, row.d1, row.d2, row.d3, row.dn], [2 ** 32 - 1, 0, -2, 2, 0])
    assert.deepEqual([row.e0, row.e1, row.e2, row.e3], [-(2 ** 32) + 1, 0, 2, -2])
  })

  it('given changes by a link, by another link and by a user, when asked for foreign ones, then only others count', async () => {
    await using db = await make()
    const own = await append(db, change('/a', { viaLink: 7 }))
    const ask = (from: number, to: number, path = '/') =>
      hasForeignChanges(db.read, 1, { from, to, ranges: rangesOfTree(path as NodePath), exceptVia: 7 })
    assert.equal(await ask(0, own), false)
    const other = await append(db, change('/b/x', { viaLink: 8 }))
    assert.equal(await ask(own, other), true)
    assert.equal(await ask(own, other, '/a'), false)
    const user = await append(db, change('/c'))
    assert.equal(await ask(other, user), true)
    assert.equal(await ask(user, user), false)
  })

  it('given old changes, when trimmed, then the floor is the last of them and newer ones stay', async () => {
    await using db = await make()
    const repoId = await addRepository(db, 'r')
    const old = await append(db, change('/a', { repoId }), change('/b', { repoId }))
    const head = await append(db, change('/c', { repoId, at: 2_000 }))
    assert.equal(await db.transact((trx) => trimChanges(trx, 2_000)), 0, 'not before they are folded')
    await foldAll(db)
    assert.equal(await db.transact((trx) => trimChanges(trx, 2_000)), 2)
    assert.equal(await db.transact((trx) => trimChanges(trx, 2_000)), 0)
    const { floor_seq } = await db.read.selectFrom('repository').select('floor_seq').executeTakeFirstOrThrow()
    assert.equal(floor_seq, old)
    assert.deepEqual(await changedPaths(db.read, repoId, { from: old, to: head, ranges: EVERYTHING }), ['/c'])
  })

  it('given all changes trimmed, when the head is asked and changes come, then numbers go on from where they were', async () => {
    await using db = await make()
    const repoId = await addRepository(db, 'r')
    const head = await append(db, change('/a', { repoId }), change('/b', { repoId }))
    await foldAll(db)
    await db.transact((trx) => trimChanges(trx, 2_000))
    assert.equal(await headSeq(db.read, repoId), head)
    assert.ok((await append(db, change('/c', { repoId }))) > head)
  })

  it('given more old changes than one slice, when trimmed by slices, then all go and the call that finds none says 0', async () => {
    await using db = await make()
    const repoIds = [await addRepository(db, 'r'), await addRepository(db, 's')]
    await append(db, ...Array.from({ length: 20 }, (_, n) => change(`/${n}`, { repoId: repoIds[n % 2]!, at: n })))
    await foldAll(db)
    let deleted = 0
    for (let slice = -1; slice !== 0; deleted += slice) slice = await db.transact((trx) => trimChanges(trx, 20, 6))
    assert.equal(deleted, 20)
  })

  it('given 1,000 changes in one call, when appended, then all are there in order of the call', async () => {
    await using db = await make()
    await append(db, ...Array.from({ length: 1_000 }, (_, n) => change(`/${n}`)))
    const rows = await db.read.selectFrom('change_log').select('path').orderBy('seq').execute()
    assert.deepEqual(
      rows.map(({ path }) => path),
      Array.from({ length: 1_000 }, (_, n) => `/${n}`),
    )
  })
})
