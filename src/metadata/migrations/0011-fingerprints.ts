import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../database.ts'
import { tableWords } from './table-words.ts'

/** Sums over ranges of paths (`metadata/tables/fingerprints.ts`). Those of repositories that are there are built after the start, by the fold. */
export async function createFingerprintsSchema(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  const { int, text, create, columns, key } = tableWords(db, dialect)
  const packed = (table: ReturnType<typeof create>) =>
    dialect === 'sqlite' ? table.modifyEnd(sql`without rowid`) : table.modifyEnd(sql`with (fillfactor = 70)`)

  await key(columns(create('fp_fold'), int, 'id folded_seq version'), 'fp_fold', 'id').execute()
  let table = columns(columns(create('fp_repository'), int, 'repo_id'), text, 'built_to?')
  await key(packed(table), 'fp_repository', 'repo_id').execute()
  await sql`create index fp_repository_unbuilt on fp_repository (repo_id) where built_to is not null`.execute(db)
  table = columns(columns(create('fp_bucket'), int, 'repo_id'), text, 'lo')
  table = columns(table, int, 'landmark n s0 s1 s2 s3 t0 t1 t2 t3')
  await key(packed(table), 'fp_bucket', 'repo_id', 'lo').execute()
  // Hardly any row at any time: what is to be split.
  await sql`create index fp_bucket_full on fp_bucket (repo_id, lo) where n > 512`.execute(db)

  // Rows that are numbered later fold later, so what is there counts as folded; the scan of each repository finds it.
  await sql`insert into fp_fold (id, folded_seq, version) select 1, coalesce(max(seq), 0), 0 from change_log`.execute(
    db,
  )
  await sql`insert into fp_repository (repo_id, built_to) select id, '' from repository where deleted_at is null`.execute(
    db,
  )
  await (dialect === 'sqlite' ? beginEmptySqlite(db) : beginEmptyPostgres(db))
}

/** A repository begins without a row, so its sums are built from its first moment. By a trigger, so that no insert forgets it. */
const BEGIN_EMPTY = `insert into fp_repository (repo_id, built_to) values (new.id, null);
  insert into fp_bucket (repo_id, lo, landmark, n, s0, s1, s2, s3, t0, t1, t2, t3) values (new.id, '', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);`

async function beginEmptySqlite(db: Kysely<unknown>): Promise<void> {
  await sql`create trigger fp_repository_new after insert on repository begin ${sql.raw(BEGIN_EMPTY)} end`.execute(db)
}

async function beginEmptyPostgres(db: Kysely<unknown>): Promise<void> {
  // The fold reads the log of all repositories in one order.
  await sql`create index change_order on change_log (seq) where seq is not null`.execute(db)
  await sql`create function fp_repository_new() returns trigger language plpgsql as ${sql.lit(
    `begin ${BEGIN_EMPTY} return null; end`,
  )}`.execute(db)
  await sql`create trigger fp_repository_new after insert on repository for each row
    execute function fp_repository_new()`.execute(db)
}
