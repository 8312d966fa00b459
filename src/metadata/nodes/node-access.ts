import { sql } from 'kysely'
import type { Transaction } from '../database.ts'

/** A file that was read, and when: UTC epoch milliseconds. */
export interface NodeAccess {
  readonly nodeId: number
  readonly at: number
}

/** Notes reads; a later note outweighs an earlier one, rows that are gone are passed over. At most 5,000 a call. */
export async function saveNodeAccesses(trx: Transaction, accesses: readonly NodeAccess[]): Promise<void> {
  if (accesses.length === 0) return
  const values = accesses.map(({ nodeId, at }) => sql`(cast(${nodeId} as bigint), cast(${at} as bigint))`)
  await sql`update node set accessed_at = seen.column2 from (values ${sql.join(values)}) as seen
    where node.id = seen.column1 and (node.accessed_at is null or node.accessed_at < seen.column2)`.execute(trx)
}
