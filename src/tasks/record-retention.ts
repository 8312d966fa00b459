import type { Clock } from '../core/clock.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import { deleteOldLiveDetails } from '../metadata/replication/old-details.ts'
import { deleteRecord, deleteSomeDetails, findExpiredRecords } from '../metadata/replication/records.ts'

/** Short transactions, so that writers wait a moment and not for a million rows. */
const DETAILS_PER_SLICE = 5_000
const RECORDS_PER_ROUND = 100

export interface RecordRetention {
  /**
   * Deletes records that ended longer ago than their task's `recordReserveDays`, with all that belongs to them; never RUNNING
   * ones, of which those of REAL_TIME tasks lose the details that are as old. An interrupted sweep is continued by the next.
   * @returns how many records went.
   */
  sweep(signal: AbortSignal): Promise<number>
}

export interface RecordRetentionDependencies {
  readonly db: MetadataDatabase
  readonly clock: Clock
}

export function createRecordRetention({ db, clock }: RecordRetentionDependencies): RecordRetention {
  async function remove(recordId: string, signal: AbortSignal): Promise<void> {
    let deleted: number
    do {
      signal.throwIfAborted()
      deleted = await db.transact((trx) => deleteSomeDetails(trx, recordId, DETAILS_PER_SLICE))
    } while (deleted === DETAILS_PER_SLICE)
    await db.transact((trx) => deleteRecord(trx, recordId))
  }
  async function removeFromOpen(signal: AbortSignal): Promise<void> {
    let deleted: number
    do {
      signal.throwIfAborted()
      deleted = await db.transact((trx) => deleteOldLiveDetails(trx, clock.now(), DETAILS_PER_SLICE))
    } while (deleted === DETAILS_PER_SLICE)
  }
  return {
    async sweep(signal) {
      await removeFromOpen(signal)
      let swept = 0
      for (;;) {
        const expired = await findExpiredRecords(db.read, clock.now(), RECORDS_PER_ROUND)
        for (const recordId of expired) await remove(recordId, signal)
        swept += expired.length
        if (expired.length < RECORDS_PER_ROUND) return swept
      }
    },
  }
}
