import type { Hlc } from '../../core/hlc.ts'
import type { Transaction } from '../database.ts'

export interface ExpiryWrite {
  readonly id: number
  /** UTC epoch milliseconds; null: never. */
  readonly expiresAt: number | null
  readonly modifiedBy: string
  readonly modifiedAt: number
  readonly hlc: Hlc
}

/** In place, as a local user. @returns false when the row is not live any more. */
export async function updateExpiry(trx: Transaction, write: ExpiryWrite): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('node')
    .set({
      expires_at: write.expiresAt,
      modified_by: write.modifiedBy,
      modified_at: write.modifiedAt,
      hlc: write.hlc,
      ...{ origin: 0, via_link: null, via_mark: null },
    })
    .where('id', '=', write.id)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  return numUpdatedRows === 1n
}
