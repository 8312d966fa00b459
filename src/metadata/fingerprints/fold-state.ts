import { sql } from 'kysely'
import type { Reader, Transaction } from '../database.ts'

/** How far the log is folded, and which state of the buckets a reader has seen. */
export interface FoldState {
  readonly foldedSeq: number
  readonly version: number
}

export async function readFoldState(reader: Reader): Promise<FoldState> {
  const row = await reader
    .selectFrom('fp_fold')
    .select(['folded_seq', 'version'])
    .where('id', '=', 1)
    .executeTakeFirst()
  return { foldedSeq: row?.folded_seq ?? 0, version: row?.version ?? 0 }
}

/**
 * First statement of every transaction that writes what was computed before, from what was seen at `seen`: another one that changed
 * buckets since makes it void. On PostgreSQL the row makes them wait for each other.
 * @returns false: nothing may be written.
 */
export async function takeVersion(trx: Transaction, seen: FoldState, foldedSeq = seen.foldedSeq): Promise<boolean> {
  const { numAffectedRows } = await sql`
    insert into fp_fold (id, folded_seq, version) values (1, ${foldedSeq}, ${seen.version + 1})
    on conflict (id) do update set folded_seq = excluded.folded_seq, version = excluded.version
    where fp_fold.version = ${seen.version}`.execute(trx)
  return numAffectedRows === 1n
}

/** First statement of every other transaction that changes buckets. */
async function voidVersion(trx: Transaction): Promise<void> {
  await sql`insert into fp_fold (id, folded_seq, version) values (1, 0, 1)
    on conflict (id) do update set version = fp_fold.version + 1`.execute(trx)
}

/** Paths below it are in buckets; null: all are. The empty text: none, as for repositories that are deleted. */
export type BuiltTo = string | null

export async function readBuiltTo(reader: Reader, repoId: number): Promise<BuiltTo> {
  const query = reader.selectFrom('fp_repository').select('built_to').where('repo_id', '=', repoId)
  const row = await query.executeTakeFirst()
  return row === undefined ? '' : row.built_to
}
export async function saveBuiltTo(trx: Transaction, repoId: number, path: BuiltTo): Promise<void> {
  await trx.updateTable('fp_repository').set({ built_to: path }).where('repo_id', '=', repoId).execute()
}

/** Has the sums of the repository built anew, from its rows; until they are there, readers add up rows. */
export async function forgetSums(trx: Transaction, repoId: number): Promise<void> {
  await voidVersion(trx)
  await trx
    .insertInto('fp_repository')
    .values({ repo_id: repoId, built_to: '' })
    .onConflict((oc) => oc.column('repo_id').doUpdateSet({ built_to: '' }))
    .execute()
}

/** Deletes up to `limit` buckets of a repository that is deleted itself. @returns how many went. */
export async function dropSliceOfSums(trx: Transaction, repoId: number, limit: number): Promise<number> {
  await voidVersion(trx)
  await trx.deleteFrom('fp_repository').where('repo_id', '=', repoId).execute()
  const some = trx.selectFrom('fp_bucket').select('lo').where('repo_id', '=', repoId).limit(limit)
  const { numDeletedRows } = await trx
    .deleteFrom('fp_bucket')
    .where('repo_id', '=', repoId)
    .where('lo', 'in', some)
    .executeTakeFirst()
  return Number(numDeletedRows)
}

/** A repository whose buckets are not all there; undefined: none. */
export async function nextUnbuilt(
  reader: Reader,
): Promise<{ readonly repoId: number; readonly builtTo: string } | undefined> {
  const row = await reader
    .selectFrom('fp_repository')
    .select(['repo_id', 'built_to'])
    .where('built_to', 'is not', null)
    .orderBy('repo_id')
    .limit(1)
    .executeTakeFirst()
  return row && { repoId: row.repo_id, builtTo: row.built_to! }
}
