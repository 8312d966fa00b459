import type { Selectable } from 'kysely'
import { type Page, type PageRequest, pageOffset } from '../../core/paging.ts'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'

export type RecordRow = Selectable<Schema['execution_record']>

export interface NewRecord {
  readonly id: string
  readonly task: Pick<Selectable<Schema['replication_task']>, 'key' | 'object_type' | 'replica_type' | 'planned_bytes'>
  /** JSON of what the run uses. */
  readonly snapshot: string
  /** UTC epoch ms. */
  readonly now: number
}

/** Opens a record. False: a run of this task is in progress (unique index `record_running`). */
export async function insertRecord(trx: Transaction, { id, task, snapshot, now }: NewRecord): Promise<boolean> {
  const result = await trx
    .insertInto('execution_record')
    .values({
      id,
      task_key: task.key,
      status: 'RUNNING',
      started_at: now,
      ended_at: null,
      error_reason: null,
      object_type: task.object_type,
      replica_type: task.replica_type,
      snapshot,
      overview: null,
      replicated_bytes: 0,
      // Until it is known what there is to do.
      total_bytes: task.planned_bytes ?? 0,
    })
    .onConflict((oc) => oc.doNothing())
    .executeTakeFirst()
  return Number(result.numInsertedOrUpdatedRows) > 0
}

export async function findRecord(reader: Reader, id: string): Promise<RecordRow | undefined> {
  return reader.selectFrom('execution_record').selectAll().where('id', '=', id).executeTakeFirst()
}

export async function hasRunningRecord(reader: Reader, taskKey: string): Promise<boolean> {
  return (await findRunningRecord(reader, taskKey)) !== undefined
}

/** Id of the record of a run in progress, or of a REAL_TIME task that is on. */
export async function findRunningRecord(reader: Reader, taskKey: string): Promise<string | undefined> {
  const row = await reader
    .selectFrom('execution_record')
    .select('id')
    .where('task_key', '=', taskKey)
    .where('status', '=', 'RUNNING')
    .executeTakeFirst()
  return row?.id
}

export interface RecordEnd {
  readonly status: string
  readonly errorReason: string | null
  /** JSON. */
  readonly overview: string
  readonly replicatedBytes: number
  readonly totalBytes: number
  readonly endedAt: number
}

/** False: it is not RUNNING. */
export async function endRecord(trx: Transaction, id: string, end: RecordEnd): Promise<boolean> {
  const result = await trx
    .updateTable('execution_record')
    .set({
      status: end.status,
      error_reason: end.errorReason,
      overview: end.overview,
      replicated_bytes: end.replicatedBytes,
      total_bytes: end.totalBytes,
      ended_at: end.endedAt,
    })
    .where('id', '=', id)
    .where('status', '=', 'RUNNING')
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

/** Records without their snapshots, which listings do not show. */
export type ListedRecord = Omit<RecordRow, 'snapshot'>
const LISTED = [
  'id',
  'task_key',
  'status',
  'started_at',
  'ended_at',
  'error_reason',
  'object_type',
  'replica_type',
  'overview',
  'replicated_bytes',
  'total_bytes',
] as const

/** Newest start first. */
export async function listRecords(reader: Reader, taskKey: string, limit: number): Promise<ListedRecord[]> {
  return newestFirst(reader, taskKey, undefined).limit(limit).execute()
}

export async function pageRecords(
  reader: Reader,
  taskKey: string,
  status: string | undefined,
  page: PageRequest,
): Promise<Page<ListedRecord>> {
  const { total } = await ofTask(reader, taskKey, status)
    .select((eb) => eb.fn.countAll<number>().as('total'))
    .executeTakeFirstOrThrow()
  const records = await newestFirst(reader, taskKey, status).limit(page.pageSize).offset(pageOffset(page)).execute()
  return { ...page, totalRecords: total, records }
}

const ofTask = (reader: Reader, taskKey: string, status: string | undefined) =>
  reader
    .selectFrom('execution_record')
    .where('task_key', '=', taskKey)
    .$if(status !== undefined, (query) => query.where('status', '=', status!))
const newestFirst = (reader: Reader, taskKey: string, status: string | undefined) =>
  ofTask(reader, taskKey, status).select(LISTED).orderBy('started_at', 'desc').orderBy('id', 'desc')

/** The run that each task started last, by task key. */
export async function newestRecords(
  reader: Reader,
  taskKeys: readonly string[],
): Promise<ReadonlyMap<string, Pick<RecordRow, 'id' | 'status' | 'replicated_bytes' | 'total_bytes'>>> {
  if (taskKeys.length === 0) return new Map()
  const rows = await reader
    .selectFrom('execution_record as record')
    .innerJoin('replication_task as task', (join) =>
      join.onRef('task.key', '=', 'record.task_key').onRef('task.last_execution_at', '=', 'record.started_at'),
    )
    .select(['record.id', 'record.task_key', 'record.status', 'record.replicated_bytes', 'record.total_bytes'])
    .where('record.task_key', 'in', taskKeys)
    .orderBy('record.id')
    .execute()
  return new Map(rows.map(({ task_key, ...row }) => [task_key, row]))
}

/** Where a run stands, summed over its shards. */
export interface LiveTotals {
  readonly success: number
  readonly skip: number
  readonly failed: number
  readonly conflict: number
  readonly fileSuccess: number
  readonly fileFailed: number
  /** With what is under way. */
  readonly bytes: number
  readonly estimatedBytes: number
}

/** By record id; a record whose shards are not planned yet is missing. */
export async function sumLiveTotals(
  reader: Reader,
  recordIds: readonly string[],
): Promise<ReadonlyMap<string, LiveTotals>> {
  if (recordIds.length === 0) return new Map()
  const rows = await reader
    .selectFrom('exec_shard')
    .select(({ fn }) => [
      'record_id',
      fn.sum<number>('ok').as('success'),
      fn.sum<number>('skipped').as('skip'),
      fn.sum<number>('failed').as('failed'),
      fn.sum<number>('conflict').as('conflict'),
      fn.sum<number>('file_ok').as('fileSuccess'),
      fn.sum<number>('file_failed').as('fileFailed'),
      fn.sum<number>('bytes').as('done'),
      fn.sum<number>('in_flight_bytes').as('inFlight'),
      fn.sum<number>('est_bytes').as('estimatedBytes'),
    ])
    .where('record_id', 'in', recordIds)
    .groupBy('record_id')
    .execute()
  return new Map(rows.map(({ record_id, done, inFlight, ...sums }) => [record_id, { ...sums, bytes: done + inFlight }]))
}

/** All records of a task with what belongs to them. Order: the docs of `deleteTask`. */
export async function deleteRecordsOfTask(trx: Transaction, taskKey: string): Promise<void> {
  await trx.deleteFrom('live_link').where('task_key', '=', taskKey).execute()
  const rows = await trx.deleteFrom('execution_record').where('task_key', '=', taskKey).returning('id').execute()
  await deleteRunRows(
    trx,
    rows.map(({ id }) => id),
  )
}

const IDS_PER_DELETE = 500

/** Links before shards before details: a checkpoint that got in first is waited for, and what it wrote goes too. */
async function deleteRunRows(trx: Transaction, recordIds: readonly string[]): Promise<void> {
  for (let at = 0; at < recordIds.length; at += IDS_PER_DELETE) {
    const ids = recordIds.slice(at, at + IDS_PER_DELETE)
    await trx.deleteFrom('exec_link').where('record_id', 'in', ids).execute()
    await trx.deleteFrom('exec_path').where('record_id', 'in', ids).execute()
    await trx.deleteFrom('exec_shard').where('record_id', 'in', ids).execute()
    await trx.deleteFrom('record_detail').where('record_id', 'in', ids).execute()
  }
}

/** Closed records that their task keeps no longer, oldest first. @param now UTC epoch milliseconds. */
export async function findExpiredRecords(reader: Reader, now: number, limit: number): Promise<string[]> {
  const rows = await reader
    .selectFrom('execution_record as record')
    .innerJoin('replication_task as task', 'task.key', 'record.task_key')
    .select('record.id')
    .where('record.status', '!=', 'RUNNING')
    .where((eb) =>
      eb('record.ended_at', '<', eb(eb.val(now), '-', eb('task.record_reserve_days', '*', eb.lit(DAY_MS)))),
    )
    .orderBy('record.ended_at')
    .limit(limit)
    .execute()
  return rows.map(({ id }) => id)
}
const DAY_MS = 86_400_000

/** At most `limit` details of a record. @returns how many went. */
export async function deleteSomeDetails(trx: Transaction, recordId: string, limit: number): Promise<number> {
  const result = await trx
    .deleteFrom('record_detail')
    .where('id', 'in', (eb) =>
      eb.selectFrom('record_detail').select('id').where('record_id', '=', recordId).limit(limit),
    )
    .executeTakeFirst()
  return Number(result.numDeletedRows)
}

export async function deleteRecord(trx: Transaction, id: string): Promise<void> {
  await trx.deleteFrom('execution_record').where('id', '=', id).execute()
  await deleteRunRows(trx, [id])
}
