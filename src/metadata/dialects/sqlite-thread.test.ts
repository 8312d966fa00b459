import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sql } from 'kysely'
import { makeSqlite } from '../../../test/helpers/databases.ts'
import type { Reader } from '../database.ts'

describe('reading in a thread', () => {
  it('given a commit, when read at once, then the thread sees it, bytes and numbers as they are', async () => {
    await using db = await makeSqlite()
    const bytes = Buffer.from('ff00', 'hex')
    const blob = { size: 2 ** 40, created_at: 1, touched_at: 1, unneeded_since: null }
    await db.transact((trx) =>
      trx
        .insertInto('blob')
        .values({ sha256: bytes, ...blob })
        .execute(),
    )
    const row = await db.slow
      .selectFrom('blob')
      .select(['sha256', 'size', 'created_at', 'touched_at', 'unneeded_since'])
      .where('sha256', '=', bytes)
      .executeTakeFirstOrThrow()
    assert.deepEqual({ ...row, sha256: Buffer.from(row.sha256) }, { sha256: bytes, ...blob })
  })

  it('given a slow statement, when it runs, then this thread goes on', async () => {
    await using db = await makeSqlite()
    let ticks = 0
    const slow = sql<{ n: number }>`with recursive n (n) as (values (1) union all select n + 1 from n where n < 300000)
      select max(n) as n from n`.execute(db.slow)
    const ended = slow.then(() => 'ended')
    while ((await Promise.race([ended, new Promise((next) => setImmediate(next, 'tick'))])) === 'tick') ticks++
    assert.equal((await slow).rows[0]!.n, 300_000)
    assert.ok(ticks > 10, `${ticks} turns of the event loop`)
  })

  it('given a faulty statement and a write, when asked, then both are refused and the thread goes on', async () => {
    await using db = await makeSqlite()
    await assert.rejects(sql`select 1 from nowhere`.execute(db.slow), /no such table/)
    await assert.rejects(db.slow.deleteFrom('blob').execute(), /readonly/)
    await assert.rejects(
      db.slow.transaction().execute((snapshot) => snapshot.deleteFrom('blob').execute()),
      /readonly/,
    )
    assert.deepEqual((await sql<{ one: number }>`select 1 as one`.execute(db.slow)).rows[0]!.one, 1)
  })

  it('given a snapshot, when others commit and read meanwhile, then it sees the moment of its first read, and they see theirs', async () => {
    await using db = await makeSqlite()
    const settings = (reader: Reader) =>
      reader.selectFrom('setting').select('value').where('key', 'like', 'of test%').orderBy('key').execute()
    const write = (key: string) => db.transact((trx) => trx.insertInto('setting').values({ key, value: key }).execute())
    await write('of test 1')
    const order: string[] = []
    const first = db.slow.transaction().execute(async (snapshot) => {
      assert.equal((await settings(snapshot)).length, 1)
      await write('of test 2')
      assert.equal((await settings(snapshot)).length, 1)
      assert.equal((await settings(db.slow)).length, 2)
      order.push('first')
    })
    const second = db.slow.transaction().execute(async (snapshot) => {
      order.push('second')
      return (await settings(snapshot)).length
    })
    await first
    assert.equal(await second, 2)
    assert.deepEqual(order, ['first', 'second'])
  })

  it('given more questions than may wait, when asked, then the rest is refused and the others are answered', async () => {
    await using db = await makeSqlite()
    const asked = await Promise.allSettled(Array.from({ length: 250 }, () => sql`select 1`.execute(db.slow)))
    const refused = asked.filter(({ status }) => status === 'rejected')
    assert.equal(refused.length, 50)
    assert.equal((refused[0] as PromiseRejectedResult).reason.code, 'TOO_MANY_REQUESTS')
  })
})
