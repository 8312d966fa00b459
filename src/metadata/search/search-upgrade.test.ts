import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { path } from '../../../test/helpers/artifacts.ts'
import { makeBlankPostgres, makeBlankSqlite, skipReason, type TestDatabase } from '../../../test/helpers/databases.ts'
import { folderRow } from '../../artifacts/nodes/node-rows.ts'
import { applyMigrations } from '../migrate.ts'
import { MIGRATIONS } from '../migrations/all.ts'

async function upgraded(db: TestDatabase): Promise<void> {
  const before = MIGRATIONS.filter(({ name }) => name < '0007')
  await db.transact((trx) => applyMigrations(trx, db.dialect, before))
  const { crc64: _, ...row } = folderRow(1, path('/old'), 'ann', 1)
  const metadata = JSON.stringify([
    { key: 'text', value: 'v' },
    { key: 'number', value: 1.5 },
    { key: 'none' },
    { key: 'text', value: 'again' },
  ])
  await db.transact((trx) =>
    trx
      .insertInto('node')
      .values({ ...row, metadata } as never)
      .execute(),
  )
  await db.migrate()
  const rows = await db.read
    .selectFrom('node_metadata')
    .select(['key', 'kind', 'text', 'number'])
    .orderBy('key')
    .execute()
  assert.deepEqual(
    rows.map((found) => ({ ...found })),
    [
      { key: 'number', kind: 'n', text: '1.5', number: 1.5 },
      { key: 'text', kind: 's', text: 'v', number: null },
    ],
  )
}

describe('upgrade to searches', () => {
  const given = 'given nodes with metadata from an earlier release, when upgraded, then their entries are rows'
  it(`${given} [sqlite]`, async () => {
    await using db = await makeBlankSqlite()
    await upgraded(db)
  })
  it(`${given} [postgres]`, { skip: skipReason() }, async () => {
    await using db = await makeBlankPostgres()
    await upgraded(db)
  })
})
