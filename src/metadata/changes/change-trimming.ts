import type { Transaction } from '../database.ts'
import { readFoldState } from '../fingerprints/fold-state.ts'

/**
 * Deletes up to `limit` of the oldest folded rows made before `olderThan` (UTC epoch ms), and of the same repositories what is numbered
 * below them; raises the floor of those repositories, so that cursors which would miss something know it. Call again until it
 * returns 0. @returns rows deleted.
 */
export async function trimChanges(trx: Transaction, olderThan: number, limit = 5_000): Promise<number> {
  const { foldedSeq } = await readFoldState(trx)
  const oldest = await trx
    .selectFrom((eb) =>
      eb
        .selectFrom('change_log')
        .where('at', '<', olderThan)
        .where('seq', '<=', foldedSeq)
        .select(['repo_id', 'seq'])
        .orderBy('at')
        .limit(limit)
        .as('oldest'),
    )
    .select((eb) => ['repo_id', eb.fn.max<number>('seq').as('floor')])
    .groupBy('repo_id')
    .execute()
  let deleted = 0
  for (const { repo_id, floor } of oldest) {
    await trx.updateTable('repository').set({ floor_seq: floor }).where('id', '=', repo_id).execute()
    const { numDeletedRows } = await trx
      .deleteFrom('change_log')
      .where('repo_id', '=', repo_id)
      .where('seq', '<=', floor)
      .executeTakeFirst()
    deleted += Number(numDeletedRows)
  }
  return deleted
}
