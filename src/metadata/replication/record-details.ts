import { type Digest, digestBytes } from '../../core/digest.ts'
import type { Reader, Transaction } from '../database.ts'
import { anyOf } from '../sql/any-of.ts'
import { insertingRows } from '../sql/insert-rows.ts'

/** One artifact on one target in one record, as it is written by the run. */
export interface DetailWrite {
  readonly id: string
  readonly recordId: string
  readonly linkId: number
  readonly path: string
  /** Of a version, whose `path` is its place among paths; null: of a file. */
  readonly packageKey?: string | null
  readonly version?: string | null
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

const insertDetails = insertingRows<'record_detail', DetailWrite>({
  into: 'record_detail',
  columns: {
    id: ['text', (detail) => detail.id],
    record_id: ['text', (detail) => detail.recordId],
    link_id: ['bigint', (detail) => detail.linkId],
    path: ['text', (detail) => detail.path],
    package_key: ['text', (detail) => detail.packageKey ?? null],
    version: ['text', (detail) => detail.version ?? null],
    sha256: ['bytea', ({ digest }) => (digest === null ? null : digestBytes(digest))],
    size: ['bigint', (detail) => detail.sizeBytes],
    status: ['text', (detail) => detail.status],
    conflict_strategy: ['text', (detail) => detail.conflictStrategy],
    error_reason: ['text', (detail) => detail.errorReason],
    execute_type: ['text', (detail) => detail.executeType],
    started_at: ['bigint', (detail) => detail.startedAt],
    ended_at: ['bigint', (detail) => detail.endedAt],
    attempts: ['bigint', (detail) => detail.attempts],
  },
  onConflict: `on conflict (id) do update set sha256 = excluded.sha256, size = excluded.size, status = excluded.status,
    conflict_strategy = excluded.conflict_strategy, error_reason = excluded.error_reason,
    ended_at = excluded.ended_at, attempts = excluded.attempts`,
})

/** Rows by their deterministic id: what a resumed run writes again replaces itself. */
export async function putDetails(trx: Transaction, details: readonly DetailWrite[]): Promise<void> {
  await insertDetails(trx, details)
}

/** What a detail says so far. */
export interface DetailState {
  readonly status: string
  readonly conflictStrategy: string | null
  readonly attempts: number
}
/** By id; those that exist. */
export async function findDetailStates(
  reader: Reader,
  ids: readonly string[],
): Promise<ReadonlyMap<string, DetailState>> {
  if (ids.length === 0) return new Map()
  const rows = await reader
    .selectFrom('record_detail')
    .select(['id', 'status', 'conflict_strategy as conflictStrategy', 'attempts'])
    .where(anyOf(reader, 'id', ids))
    .execute()
  return new Map(rows.map(({ id, ...state }) => [id, state]))
}

export async function deleteDetails(trx: Transaction, ids: readonly string[]): Promise<void> {
  if (ids.length > 0)
    await trx
      .deleteFrom('record_detail')
      .where(anyOf(trx, 'id', ids))
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
