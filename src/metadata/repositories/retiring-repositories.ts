import { sql } from 'kysely'
import type { Reader, Transaction } from '../database.ts'

/**
 * A deleted repository that still has rows to be retired is one that still has a row of usage: `beginRetirement` makes sure of one,
 * `endRetirement` takes it away last.
 */
export async function beginRetirement(trx: Transaction, repoId: number): Promise<void> {
  await trx
    .insertInto('repository_usage')
    .values({ repo_id: repoId, slot: 0, bytes: 0 })
    .onConflict((oc) => oc.columns(['repo_id', 'slot']).doNothing())
    .execute()
}

export interface RetiringRepository {
  readonly id: number
  readonly deletedBy: string
  /** UTC epoch milliseconds. */
  readonly deletedAt: number
}

/** The longest deleted first. */
export async function listRetiring(reader: Reader, limit: number): Promise<RetiringRepository[]> {
  const rows = await reader
    .selectFrom('repository')
    .where('deleted_at', 'is not', null)
    .where((eb) =>
      eb.exists(
        eb
          .selectFrom('repository_usage')
          .select(sql`1`.as('one'))
          .whereRef('repository_usage.repo_id', '=', 'repository.id'),
      ),
    )
    .select(['id', 'modified_by', 'deleted_at'])
    .orderBy('deleted_at')
    .orderBy('id')
    .limit(limit)
    .execute()
  return rows.map(({ id, modified_by, deleted_at }) => ({ id, deletedBy: modified_by, deletedAt: deleted_at! }))
}

export async function endRetirement(trx: Transaction, repoId: number): Promise<void> {
  await trx.deleteFrom('repository_usage').where('repo_id', '=', repoId).execute()
}

/** Up to `limit` of the tombstones, which nobody asks for any more. @returns how many went. */
export async function deleteTombstones(trx: Transaction, repoId: number, limit: number): Promise<number> {
  const some = trx.selectFrom('tombstone').select('path').where('repo_id', '=', repoId).limit(limit)
  const { numDeletedRows } = await trx
    .deleteFrom('tombstone')
    .where('repo_id', '=', repoId)
    .where('path', 'in', some)
    .executeTakeFirst()
  return Number(numDeletedRows)
}
