import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sql } from 'kysely'
import { makePostgres, skipReason, type TestDatabase } from '../../../test/helpers/databases.ts'
import { insertSegment } from '../storage/segments.ts'

/** Another connection ends this one, which is in the middle of something. */
async function cutOff(db: TestDatabase, from: TestDatabase['read']): Promise<void> {
  const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(from)
  await sql`select pg_terminate_backend(${rows[0]!.pid}, 5000)`.execute(db.slow)
}

// A lost connection that nobody listens to would end this process, and with it all of these.
describe('lost connections [postgres]', { skip: skipReason() }, () => {
  it('given a transaction between two statements, when its connection is cut, then it fails as a whole, and the next one succeeds', async () => {
    await using db = await makePostgres()
    const cut = db.transact(async (trx) => {
      await insertSegment(trx, 'one', 1)
      await cutOff(db, trx)
      // The news has to arrive while nothing is asked.
      await sql`select 1`.execute(db.read)
      await insertSegment(trx, 'one', 2)
    })
    await assert.rejects(cut)
    await db.transact((trx) => insertSegment(trx, 'one', 3))
    const rows = await db.read.selectFrom('segment').select('begun_at').execute()
    assert.deepEqual(rows, [{ begun_at: 3 }])
  })

  it('given a statement that runs, when its connection is cut, then its caller hears it, and the next one succeeds', async () => {
    await using db = await makePostgres()
    const cutAll = () =>
      sql<{ cut: number }>`select count(pg_terminate_backend(pid)) as cut from pg_stat_activity
        where datname = current_database() and query like '%pg_sleep%' and pid <> pg_backend_pid()`.execute(db.slow)
    for (const run of [
      () => sql`select pg_sleep(60)`.execute(db.read),
      () => db.transact((trx) => sql`select pg_sleep(60)`.execute(trx)),
    ]) {
      const running = assert.rejects(run())
      while ((await cutAll()).rows[0]!.cut === 0);
      await running
    }
    await sql`select 1`.execute(db.read)
    await db.transact((trx) => insertSegment(trx, 'one', 1))
  })

  it('given a transaction that was chosen to end a deadlock, when it fails, then it runs again', async () => {
    await using db = await makePostgres()
    let runs = 0
    await db.transact(async (trx) => {
      await insertSegment(trx, 'one', ++runs)
      if (runs === 1) await sql`do $$ begin raise exception 'chosen' using errcode = '40P01'; end $$`.execute(trx)
    })
    assert.deepEqual(await db.read.selectFrom('segment').select('begun_at').execute(), [{ begun_at: 2 }])
  })

  it('given connections that are idle, when all are cut, then the next calls get others', async () => {
    await using db = await makePostgres()
    await sql`select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()`.execute(db.slow)
    await sql`select 1`.execute(db.slow)
    await db.transact((trx) => insertSegment(trx, 'one', 1))
    assert.equal((await db.read.selectFrom('segment').select('id').execute()).length, 1)
  })
})
