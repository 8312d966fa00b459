import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sql } from 'kysely'
import { eachDatabase, makePostgres, skipReason } from '../../test/helpers/databases.ts'
import type { MetadataDatabase, Transaction } from './database.ts'
import { openDatabase } from './open-database.ts'

const put = (trx: Transaction, key: string) => trx.insertInto('setting').values({ key, value: '' }).execute()
const keys = async (db: MetadataDatabase) =>
  (await db.read.selectFrom('setting').select('key').orderBy('key').execute()).map(({ key }) => key)

eachDatabase('metadata database', (make) => {
  it('given a transaction that throws, when it ends, then nothing of it is left and the next one works', async () => {
    await using db = await make()
    const failed = db.transact(async (trx) => {
      await put(trx, 'a')
      throw new Error('no')
    })
    await assert.rejects(failed, /no/)
    await db.transact((trx) => put(trx, 'b'))
    assert.deepEqual(await keys(db), ['b'])
  })

  it('given an open transaction, when something is read beside it, then the read does not wait and sees what is committed', async () => {
    await using db = await make()
    await db.transact(async (trx) => {
      await put(trx, 'a')
      assert.deepEqual(await keys(db), [])
    })
    assert.deepEqual(await keys(db), ['a'])
  })

  it('given transactions, when they change something or only look, then the commits that changed something are counted', async () => {
    await using db = await make()
    const before = db.commits()
    await db.transact(async (trx) => {
      await trx.selectFrom('setting').selectAll().execute()
      await trx.updateTable('setting').set({ value: 'x' }).where('key', '=', 'none').execute()
      await trx.deleteFrom('setting').where('key', '=', 'none').returning('key').execute()
    })
    assert.equal(db.commits(), before)
    await Promise.all(['a', 'b', 'c'].map((key) => db.transact((trx) => put(trx, key))))
    if (before === undefined) assert.equal(db.dialect, 'postgres')
    else assert.ok(db.commits()! >= before + 3)
    const then = db.commits()
    await db.transact((trx) => trx.updateTable('setting').set({ value: 'x' }).returning('key').execute())
    assert.ok(before === undefined || db.commits()! > then!)
  })

  it('given 30 transactions that count up one row, when they run at once, then none is lost', async () => {
    await using db = await make()
    await db.transact((trx) => trx.insertInto('setting').values({ key: 'n', value: '0' }).execute())
    const countUp = (trx: Transaction) =>
      trx.updateTable('setting').set({ value: sql`cast(cast(value as integer) + 1 as text)` }).execute()
    await Promise.all(Array.from({ length: 30 }, () => db.transact(countUp)))
    assert.equal((await db.read.selectFrom('setting').select('value').executeTakeFirstOrThrow()).value, '30')
  })

  it('given a transact inside a transact, when called, then it is refused instead of waiting for itself', async () => {
    await using db = await make()
    await assert.rejects(
      db.transact(() => db.transact((trx) => put(trx, 'a'))),
      /inside/,
    )
  })

  it('given bytes, big integers and sums, when read back, then they are bytes and exact numbers', async () => {
    await using db = await make()
    const sha256 = Buffer.alloc(32, 7)
    const size = 2 ** 50
    await db.transact((trx) => trx.insertInto('blob').values({ sha256, size, created_at: 1, touched_at: 1 }).execute())
    const row = await db.read.selectFrom('blob').selectAll().where('sha256', '=', sha256).executeTakeFirstOrThrow()
    assert.deepEqual(Buffer.from(row.sha256), sha256)
    assert.equal(row.size, size)
    const { total, count } = await db.read
      .selectFrom('blob')
      .select((e) => [e.fn.sum<number>('size').as('total'), e.fn.countAll<number>().as('count')])
      .executeTakeFirstOrThrow()
    assert.deepEqual([total, count], [size, 1])
  })

  it('given an integer above 2^53, when read, then it throws instead of losing digits', async () => {
    await using db = await make()
    await assert.rejects(sql`select cast(9007199254740993 as bigint) as n`.execute(db.read), RangeError)
  })

  it('given LIKE, when the case differs, then it does not match', async () => {
    await using db = await make()
    await db.transact((trx) => put(trx, 'Abc'))
    const found = await db.read.selectFrom('setting').select('key').where('key', 'like', 'abc%').execute()
    assert.equal(found.length, 0)
  })

  it('given texts outside the basic plane, when ordered, then the order is that of their UTF-8 bytes', async () => {
    await using db = await make()
    for (const key of ['/b', '/B', '/\u{1f600}', '/\uffee', '/é', '/a-b', '/a/b'])
      await db.transact((trx) => put(trx, key))
    assert.deepEqual(await keys(db), ['/B', '/a-b', '/a/b', '/b', '/é', '/\uffee', '/\u{1f600}'])
  })

  it('given an insert with RETURNING and an update, when run, then the identity and the count of rows come back', async () => {
    await using db = await make()
    await db.transact(async (trx) => {
      const first = await trx.insertInto('peer').values({ cluster_id: 'a' }).returning('id').executeTakeFirstOrThrow()
      const second = await trx.insertInto('peer').values({ cluster_id: 'b' }).returning('id').executeTakeFirstOrThrow()
      assert.ok(second.id > first.id && first.id > 0)
      const { numUpdatedRows } = await trx
        .updateTable('peer')
        .set({ cluster_id: sql`cluster_id || 'x'` })
        .executeTakeFirst()
      assert.equal(numUpdatedRows, 2n)
    })
  })

  it('given a second handle on the same data, when the first has committed, then it sees the rows', async () => {
    await using db = await make()
    await db.transact((trx) => put(trx, 'a'))
    await using other = await openDatabase(db.config)
    assert.deepEqual(await keys(other), ['a'])
  })
})

describe('metadata database on PostgreSQL', { skip: skipReason() }, () => {
  it('given a serialization failure twice, when transacted, then the work runs again and its rows are there once', async () => {
    await using db = await makePostgres()
    let runs = 0
    await db.transact(async (trx) => {
      await put(trx, 'a')
      if (++runs < 3) await sql`do $$ begin raise exception using errcode = '40001'; end $$`.execute(trx)
    })
    assert.deepEqual([runs, await keys(db)], [3, ['a']])
  })

  it('given idle connections cut by the server, when used again, then the process lives and queries work', async () => {
    await using db = await makePostgres()
    const cut = Promise.withResolvers<void>()
    let toCut = 2 // one for transactions, one for reads
    const onError = () => (--toCut === 0 ? cut.resolve() : undefined)
    await using other = await openDatabase(db.config, { onError, poolSize: 1 })
    await sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()`.execute(db.read)
    await cut.promise
    assert.deepEqual(await keys(other), [])
  })
})
