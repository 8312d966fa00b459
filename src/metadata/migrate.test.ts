import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sql } from 'kysely'
import { makeBlankPostgres, makeBlankSqlite, skipReason, type TestDatabase } from '../../test/helpers/databases.ts'
import { hasCode } from '../core/errors.ts'
import type { MetadataDatabase, Transaction } from './database.ts'
import { MIGRATIONS, type Migration } from './migrations/all.ts'
import { openDatabase } from './open-database.ts'

const put = (trx: Transaction, key: string) => trx.insertInto('setting').values({ key, value: '' }).execute()
const keys = async (db: MetadataDatabase) =>
  (await db.read.selectFrom('setting').select('key').orderBy('key').execute()).map(({ key }) => key)

const suite = (makeBlank: () => Promise<TestDatabase>) => {
  const make = async () => {
    const db = await makeBlank()
    await db.migrate()
    return db
  }

  it('given a migrated database, when migrated again, then nothing happens', async () => {
    await using db = await make()
    await db.transact((trx) => put(trx, 'a'))
    await db.migrate()
    assert.deepEqual(await keys(db), ['a'])
  })

  it('given a database with a step of a newer version, when migrated, then it is refused with the name of the step', async () => {
    await using db = await make()
    const newer = [...MIGRATIONS, { name: '9999-future', apply: async () => {} }]
    {
      await using future = await openDatabase(db.config, { migrations: newer })
      await future.migrate()
    }
    await assert.rejects(db.migrate(), (e) => hasCode(e, 'DATABASE_TOO_NEW') && e.message.includes('9999-future'))
  })

  it('given a step that fails, when migrated, then no step of that start is applied', async () => {
    await using db = await make()
    const fine: Migration = {
      name: '9998-fine',
      apply: async (trx) => {
        await sql`create table fine (a text)`.execute(trx)
      },
    }
    const broken: Migration = { name: '9999-broken', apply: () => Promise.reject(new Error('broken')) }
    const steps = [...MIGRATIONS, fine, broken]
    await using upgraded = await openDatabase(db.config, { migrations: steps })
    await assert.rejects(upgraded.migrate(), /broken/)
    await assert.rejects(sql`select * from fine`.execute(db.read))
    await db.migrate()
  })
}

describe('migrate [sqlite]', () => suite(makeBlankSqlite))
describe('migrate [postgres]', { skip: skipReason() }, () => {
  suite(makeBlankPostgres)

  it('given three processes that start at once on an empty database, when they migrate, then all succeed', async () => {
    await using db = await makeBlankPostgres()
    const handles = await Promise.all([1, 2, 3].map(() => openDatabase(db.config, { poolSize: 1 })))
    await Promise.all(handles.map((handle) => handle.migrate()))
    await Promise.all(handles.map((handle) => handle.close()))
    assert.deepEqual(await keys(db), [])
  })
})
