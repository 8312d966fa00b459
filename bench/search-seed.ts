import { sql } from 'kysely'
import { AppError } from '../src/core/errors.ts'
import type { MetadataDatabase, Transaction } from '../src/metadata/database.ts'

/** What the seed makes: `project/repo` with live files `/group-GGG/artifact-AAAA/file-NNNNNNN.EXT`. */
export const SEEDED = { project: 'bench', repo: 'files' } as const

const ROWS_PER_TRANSACTION = 100_000
/** 2026-01-01T00:00:00Z; file n was written n seconds later. */
export const SEED_START_MS = 1_767_225_600_000

/** Knuth's multiplicative hash: digests lie all over their index, as real ones do. */
const SCATTER = 2_654_435_761
const TWO_TO_32 = 4_294_967_296

/** 64 hex digits of file `n`. */
export function seededDigest(n: number): string {
  const scattered = (BigInt(n) * BigInt(SCATTER)) % BigInt(TWO_TO_32)
  return scattered.toString(16).padStart(8, '0') + n.toString(16).padStart(56, '0')
}

/**
 * Puts `files` rows straight into the tables: no blobs, no change log. Every tenth has metadata: `build` (its number) and `channel`.
 * Found there already, they are kept, so that a seeded database serves many runs.
 */
export async function seedNodes(db: MetadataDatabase, files: number, log: (line: string) => void): Promise<void> {
  const there = await seededFiles(db)
  if (there === files) return
  if (there > 0) throw new AppError('RESOURCE_EXISTED', `the database holds ${there} seeded files, not ${files}`)
  const repoId = await db.transact(makeRepository)
  for (let from = 0; from < files; from += ROWS_PER_TRANSACTION) {
    const to = Math.min(from + ROWS_PER_TRANSACTION, files)
    await db.transact((trx) => insertSlice(trx, db.dialect, repoId, from, to))
    log(`${to} of ${files} nodes`)
  }
  // As autovacuum does after a while: only then do its indexes answer alone.
  if (db.dialect === 'postgres') await sql`vacuum analyze`.execute(db.read)
}

async function seededFiles(db: MetadataDatabase): Promise<number> {
  const row = await db.read
    .selectFrom('node')
    .innerJoin('repository', 'repository.id', 'node.repo_id')
    .where('repository.project', '=', SEEDED.project)
    .select((eb) => eb.fn.countAll<number>().as('files'))
    .executeTakeFirstOrThrow()
  return row.files
}

async function makeRepository(trx: Transaction): Promise<number> {
  const who = { created_by: 'bench', created_at: SEED_START_MS, modified_by: 'bench', modified_at: SEED_START_MS }
  const { project, repo } = SEEDED
  await trx
    .insertInto('project')
    .values({ name: project, display_name: project, description: '', metadata: '[]', ...who })
    .execute()
  const { id } = await trx
    .insertInto('repository')
    .values({
      ...{ project, name: repo, type: 'GENERIC', category: 'LOCAL', public: 0, description: null, display_name: null },
      ...{ configuration: '{}', quota: null, epoch: 'bench', floor_seq: 0, deleted_at: null, ...who },
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}

async function insertSlice(trx: Transaction, dialect: 'sqlite' | 'postgres', repoId: number, from: number, to: number) {
  const postgres = dialect === 'postgres'
  const numbers = postgres
    ? sql`select n from generate_series(${sql.lit(from)}::bigint, ${sql.lit(to - 1)}::bigint) as numbers (n)`
    : sql`with recursive numbers (n) as (values (${sql.lit(from)}) union all select n + 1 from numbers where n < ${sql.lit(to - 1)})
        select n from numbers`
  const padded = (value: string, width: number) =>
    postgres
      ? sql`lpad((${sql.raw(value)})::text, ${sql.lit(width)}, '0')`
      : sql`printf(${sql.lit(`%0${width}d`)}, ${sql.raw(value)})`
  const scattered = sql`(n * ${sql.lit(SCATTER)} % ${sql.lit(TWO_TO_32)})`
  const digest = postgres
    ? sql`decode(lpad(to_hex(${scattered}), 8, '0') || lpad(to_hex(n), 56, '0'), 'hex')`
    : sql`unhex(printf('%08x%056x', ${scattered}, n))`
  const parent = sql`'/group-' || ${padded('n % 100', 3)} || '/artifact-' || ${padded('(n / 100) % 1000', 4)}`
  const extension = sql`case n % 5 when 0 then '.pom' when 1 then '.jar' when 2 then '.tgz' when 3 then '.bin' else '.txt' end`
  const metadata = sql`case when n % 10 = 0 then '[{"key":"build","value":' || n || '},{"key":"channel","value":"' ||
    case when n % 1000 = 0 then 'release' else 'nightly' end || '"}]' else '[]' end`
  await sql`insert into node (repo_id, path, parent, folder, sha256, md5, size, metadata, origin, hlc,
      c0, c1, c2, c3, m0, m1, m2, m3, created_by, created_at, modified_by, modified_at)
    select ${sql.lit(repoId)}, ${parent} || '/file-' || ${padded('n', 7)} || ${extension}, ${parent}, 0, ${digest}, null,
      (n * 7919) % 1000003, ${metadata}, 0, '0000000000000000',
      ${scattered} - ${sql.lit(TWO_TO_32 / 2)}, n + 1, 0, 0, 0, 0, 0, 0,
      'user-' || (n % 50), ${sql.lit(SEED_START_MS)} + n * 1000, 'user-' || (n % 50), ${sql.lit(SEED_START_MS)} + n * 1000
    from (${numbers}) as numbered`.execute(trx)
}
