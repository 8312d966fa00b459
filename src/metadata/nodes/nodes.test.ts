import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { sql } from 'kysely'
import { makePostgres, skipReason } from '../../../test/helpers/databases.ts'
import type { NodePath } from '../../core/paths.ts'
import type { MetadataDatabase, Transaction } from '../database.ts'
import { filesAt, listFiles } from '../replication/source-files.ts'
import { findNode, lockedRowsAt, rowsAt } from './nodes.ts'

const PATHS = Array.from({ length: 20 }, (_, at) => `/org/g${at}/f${at}` as NodePath)

/** As a first replication would, faster than statistics are made. */
const fill = (db: MetadataDatabase, from: number, to: number) =>
  db.transact((trx) =>
    sql`insert into node (repo_id, path, parent, folder, sha256, size, metadata, origin, hlc, c0, c1, c2, c3, m0, m1, m2, m3,
        created_by, created_at, modified_by, modified_at)
      select 1, '/org/g' || i % 100 || '/f' || i, '/org/g' || i % 100, 0, sha256(i::text::bytea), i, '[]', 0, 'h',
        1, 1, 1, 1, 1, 1, 1, 1, 'a', 1, 'a', i from generate_series(${from}::int, ${to}::int) as i`.execute(trx),
  )

const scannedIndexes = async (trx: Transaction): Promise<string[]> => {
  const { rows } = await sql<{ name: string }>`select relname as name from pg_index join pg_class on oid = indexrelid
    where indrelid = 'node'::regclass and pg_stat_get_xact_numscans(indexrelid) > 0 order by 1`.execute(trx)
  return rows.map(({ name }) => name)
}

describe('lookups by path on PostgreSQL', { skip: skipReason() }, () => {
  it('given a table that just grew, when nodes are looked up by path, then only the index of paths is read, whatever the size', async () => {
    await using db = await makePostgres()
    await sql`alter table node set (autovacuum_enabled = off)`.execute(db.read)
    let from = 1
    for (const size of [300, 2_000, 6_000, 6_800, 12_000]) {
      await fill(db, from, size)
      from = size + 1
      const indexes = await db.transact(async (trx) => {
        assert.equal((await lockedRowsAt(trx, 1, PATHS, 'share')).length, 19)
        assert.equal((await rowsAt(trx, 1, PATHS)).length, 19)
        assert.equal((await filesAt(trx, 1, PATHS, 5)).length, 19)
        assert.notEqual(await findNode(trx, 1, '/org/g7/f7' as NodePath, 5), undefined)
        const ranges = [{ lo: '/', hi: null }]
        assert.equal((await listFiles(trx, 1, { ranges, after: '/org/g7', limit: 10 }, 5)).length, 10)
        return scannedIndexes(trx)
      })
      assert.deepEqual(indexes, ['node_live'], `${size} rows`)
    }
    await sql`alter table node reset (autovacuum_enabled)`.execute(db.read)
  })
})
