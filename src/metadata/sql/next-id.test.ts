import assert from 'node:assert/strict'
import { it } from 'node:test'
import { makeBlankSqlite, makeSqlite } from '../../../test/helpers/databases.ts'
import { appendChanges, type Change } from '../changes/change-log.ts'
import { headSeq } from '../changes/change-numbers.ts'
import type { MetadataDatabase, Transaction } from '../database.ts'
import { MIGRATIONS } from '../migrations/all.ts'
import { openDatabase } from '../open-database.ts'
import { nextId } from './next-id.ts'

const CHANGE: Change = {
  repoId: 1,
  path: '/a',
  op: 1,
  origin: 0,
  viaLink: null,
  at: 1,
  before: undefined,
  after: { content: [1, 2, 3, 4], metadata: [0, 0, 0, 0] },
}
const append = (db: MetadataDatabase, count: number) =>
  db.transact((trx) => appendChanges(trx, Array(count).fill(CHANGE)))
const next = (db: MetadataDatabase) => db.transact((trx) => nextId(trx, 'change_log'))
const emptyLog = (db: MetadataDatabase) => db.transact((trx: Transaction) => trx.deleteFrom('change_log').execute())

it('given an empty log, when the next number is asked, then it is one', async () => {
  await using db = await makeSqlite()
  assert.equal(await next(db), 1)
})

it('given a log that was emptied, when changes come, then no number is given again, by this process or the next', async () => {
  await using db = await makeSqlite()
  await append(db, 70)
  await emptyLog(db)
  assert.equal(await next(db), 71)
  await append(db, 3)
  await emptyLog(db)
  await using later = await openDatabase(db.config)
  await append(later, 1)
  assert.equal(await headSeq(later.read, 1), 74)
})

it('given a transaction that rolls back, when the next one asks, then it is told the same number', async () => {
  await using db = await makeSqlite()
  const broken = db.transact(async (trx) => {
    await appendChanges(trx, [CHANGE, CHANGE])
    throw new Error('broken')
  })
  await assert.rejects(broken, /broken/)
  await append(db, 1)
  assert.equal(await headSeq(db.read, 1), 1)
})

it('given rows that the database numbered, when rows are numbered here, then they go on from there', async () => {
  await using db = await makeSqlite()
  const row = { repo_id: 1, path: '/x', op: 1, origin: 0, via_link: null, at: 1, dn: 0 } as const
  const lanes = { d0: 0, d1: 0, d2: 0, d3: 0, e0: 0, e1: 0, e2: 0, e3: 0 }
  const byDatabase = (trx: Transaction) =>
    trx
      .insertInto('change_log')
      .values({ ...row, ...lanes, seq: null })
      .returning('id')
      .executeTakeFirstOrThrow()
  assert.equal((await db.transact(byDatabase)).id, 1)
  await append(db, 2)
  assert.equal((await db.transact(byDatabase)).id, 4)
  assert.equal(await headSeq(db.read, 1), 4, 'an insert that forgets the number gets it all the same')
})

it('given a log of an earlier version, when it is upgraded, then its numbers stay and the next ones follow', async () => {
  await using blank = await makeBlankSqlite()
  const earlier = MIGRATIONS.filter(({ name }) => name < '0014')
  {
    await using old = await openDatabase(blank.config, { migrations: earlier })
    await old.migrate()
    const row = { repo_id: 1, path: '/x', op: 1, origin: 0, via_link: null, at: 1, dn: 0 } as const
    const lanes = { d0: 0, d1: 0, d2: 0, d3: 0, e0: 0, e1: 0, e2: 0, e3: 0 }
    await old.transact((trx) =>
      trx
        .insertInto('change_log')
        .values(Array(5).fill({ ...row, ...lanes, seq: null }))
        .execute(),
    )
  }
  await blank.migrate()
  await append(blank, 1)
  const rows = await blank.read.selectFrom('change_log').select(['id', 'seq']).orderBy('id').execute()
  assert.deepEqual(
    rows.map(({ id, seq }) => [id, seq]),
    [1, 2, 3, 4, 5, 6].map((number) => [number, number]),
  )
})
