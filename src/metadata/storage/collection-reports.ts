import type { Reader, Transaction } from '../database.ts'

/** What one garbage collection did. Times are UTC epoch milliseconds. */
export interface CollectionReport {
  readonly startedAt: number
  readonly endedAt: number
  /** Deleted nodes that were past their time. */
  readonly purgedNodes: number
  /** Blobs whose references were looked for. */
  readonly examined: number
  readonly deletedBlobs: number
  readonly freedBytes: number
  /** Files that no row knew. */
  readonly orphans: number
}

const KEPT = 200

export async function saveCollectionReport(trx: Transaction, report: CollectionReport): Promise<void> {
  const { id } = await trx
    .insertInto('collection_report')
    .values({
      started_at: report.startedAt,
      ended_at: report.endedAt,
      purged_nodes: report.purgedNodes,
      examined: report.examined,
      deleted_blobs: report.deletedBlobs,
      freed_bytes: report.freedBytes,
      orphans: report.orphans,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  await trx
    .deleteFrom('collection_report')
    .where('id', '<=', id - KEPT)
    .execute()
}

/** Newest first. */
export async function listCollectionReports(reader: Reader): Promise<CollectionReport[]> {
  const rows = await reader.selectFrom('collection_report').selectAll().orderBy('id', 'desc').execute()
  return rows.map((row) => ({
    startedAt: row.started_at,
    endedAt: row.ended_at,
    purgedNodes: row.purged_nodes,
    examined: row.examined,
    deletedBlobs: row.deleted_blobs,
    freedBytes: row.freed_bytes,
    orphans: row.orphans,
  }))
}
