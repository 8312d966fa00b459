import assert from 'node:assert/strict'
import { it } from 'node:test'
import { append, change } from '../../../test/helpers/changes.ts'
import { eachDatabase } from '../../../test/helpers/databases.ts'
import { planOf, watched } from '../../../test/helpers/plans.ts'
import { EVERY_PATH, rangesOfTree } from '../../core/path-range.ts'
import type { NodePath } from '../../core/paths.ts'
import { headSeq } from './change-numbers.ts'
import { changedPaths, changeSpan, hasForeignChanges } from './change-spans.ts'

const EVERYTHING = [EVERY_PATH]

eachDatabase('spans of changes', (make) => {
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
})
