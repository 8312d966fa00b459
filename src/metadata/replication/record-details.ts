import { sql } from 'kysely'
import { type Digest, digestBytes } from '../../core/digest.ts'
import type { Reader, Transaction } from '../database.ts'

/** One artifact on one target in one record, as it is written by the run. */
export interface DetailWrite {
  readonly id: string
  readonly recordId: string
  readonly linkId: number
  readonly path: string
  /** Null: there is no such file at the source. */
  readonly digest: Digest | null
  readonly sizeBytes: number | null
  readonly status: 'RUNNING' | 'SUCCESS' | 'FAILED'
  readonly conflictStrategy: string | null
  readonly errorReason: string | null
  readonly executeType: 'FULL' | 'PARTIAL' | 'DELTA'
  readonly startedAt: number
  readonly endedAt: number | null
  readonly attempts: number
}

/** Rows by their deterministic id: what a resumed run writes again replaces itself. */
export async function putDetails(trx: Transaction, details: readonly DetailWrite[]): Promise<void> {
  if (details.length === 0) return
  await trx
    .insertInto('record_detail')
    .values(
      details.map((detail) => ({
        id: detail.id,
        record_id: detail.recordId,
        link_id: detail.linkId,
        path: detail.path,
        package_key: null,
        version: null,
        sha256: detail.digest === null ? null : digestBytes(detail.digest),
        size: detail.sizeBytes,
        status: detail.status,
        conflict_strategy: detail.conflictStrategy,
        error_reason: detail.errorReason,
        execute_type: detail.executeType,
        started_at: detail.startedAt,
        ended_at: detail.endedAt,
        attempts: detail.attempts,
      })),
    )
    .onConflict((oc) =>
      oc.column('id').doUpdateSet({
        sha256: sql`excluded.sha256`,
        size: sql`excluded.size`,
        status: sql`excluded.status`,
        conflict_strategy: sql`excluded.conflict_strategy`,
        error_reason: sql`excluded.error_reason`,
        ended_at: sql`excluded.ended_at`,
        attempts: sql`excluded.attempts`,
      }),
    )
    .execute()
}

/** Rows of transfers that were under way when the file vanished from the source: they say nothing any more. */
export async function deleteRunningDetails(trx: Transaction, recordId: string): Promise<void> {
  await trx.deleteFrom('record_detail').where('record_id', '=', recordId).where('status', '=', 'RUNNING').execute()
}

export async function countFailedDetails(trx: Transaction, recordId: string): Promise<number> {
  const row = await trx
    .selectFrom('record_detail')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('record_id', '=', recordId)
    .where('status', '=', 'FAILED')
    .executeTakeFirstOrThrow()
  return Number(row.n)
}

export interface LinkFailure {
  readonly reason: string
  readonly count: number
}
/** Of each link of a record with failed artifacts: how many, and why the first one did. */
export async function firstFailure(reader: Reader, recordId: string): Promise<Map<number, LinkFailure>> {
  const counts = await reader
    .selectFrom('record_detail')
    .select((eb) => ['link_id', eb.fn.countAll<number>().as('count')])
    .where('record_id', '=', recordId)
    .where('status', '=', 'FAILED')
    .groupBy('link_id')
    .execute()
  const failures = new Map<number, LinkFailure>()
  for (const { link_id, count } of counts) {
    const first = await reader
      .selectFrom('record_detail')
      .select('error_reason')
      .where('record_id', '=', recordId)
      .where('link_id', '=', link_id)
      .where('status', '=', 'FAILED')
      .orderBy('started_at')
      .orderBy('path')
      .limit(1)
      .executeTakeFirst()
    failures.set(link_id, { reason: first?.error_reason ?? 'failed', count: Number(count) })
  }
  return failures
}
