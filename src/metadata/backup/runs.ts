import type { Insertable, Selectable } from 'kysely'
import { type Page, type PageRequest, pageOffset } from '../../core/paging.ts'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'

export type BackupRunRow = Selectable<Schema['backup_run']>

export async function insertBackupRun(
  trx: Transaction,
  row: Pick<Insertable<Schema['backup_run']>, 'id' | 'task_id' | 'started_by' | 'progress' | 'started_at'>,
): Promise<void> {
  await trx
    .insertInto('backup_run')
    .values({ ...row, cancelled: 0 })
    .execute()
}

export async function findBackupRun(reader: Reader, id: string): Promise<BackupRunRow | undefined> {
  return reader.selectFrom('backup_run').selectAll().where('id', '=', id).executeTakeFirst()
}

export async function findBackupRuns(reader: Reader, ids: readonly string[]): Promise<BackupRunRow[]> {
  if (ids.length === 0) return []
  return reader.selectFrom('backup_run').selectAll().where('id', 'in', ids).execute()
}

/** The newest first. */
export async function pageBackupRuns(reader: Reader, taskId: string, page: PageRequest): Promise<Page<BackupRunRow>> {
  const matching = reader.selectFrom('backup_run').where('task_id', '=', taskId)
  const { total } = await matching.select((eb) => eb.fn.countAll<number>().as('total')).executeTakeFirstOrThrow()
  const records = await matching
    .selectAll()
    .orderBy('started_at', 'desc')
    .orderBy('id', 'desc')
    .limit(page.pageSize)
    .offset(pageOffset(page))
    .execute()
  return { ...page, totalRecords: total, records }
}

/** A run that goes on becomes `worker`'s: whoever had it before can write nothing for it any more. */
export async function takeBackupRun(trx: Transaction, id: string, worker: string): Promise<void> {
  await trx.updateTable('backup_run').set({ worker }).where('id', '=', id).where('ended_at', 'is', null).execute()
}

/** @returns whether somebody asked for its end; undefined: the run is not this worker's any more. */
export async function saveBackupProgress(
  trx: Transaction,
  { id, worker }: { readonly id: string; readonly worker: string },
  progress: string,
): Promise<{ readonly cancelled: boolean } | undefined> {
  const row = await trx
    .updateTable('backup_run')
    .set({ progress })
    .where('id', '=', id)
    .where('worker', '=', worker)
    .where('ended_at', 'is', null)
    .returning('cancelled')
    .executeTakeFirst()
  return row && { cancelled: row.cancelled === 1 }
}

export type BackupRunEnd = Pick<
  BackupRunRow,
  'result' | 'error_reason' | 'artifact_location' | 'report' | 'ended_at'
> & { readonly progress?: string }

/** @param worker null: of a run that nobody began. False: it has ended, or is somebody else's. */
export async function endBackupRun(
  trx: Transaction,
  { id, worker }: { readonly id: string; readonly worker: string | null },
  end: BackupRunEnd,
): Promise<boolean> {
  const result = await trx
    .updateTable('backup_run')
    .set(end)
    .where('id', '=', id)
    .where('worker', worker === null ? 'is' : '=', worker)
    .where('ended_at', 'is', null)
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

export async function cancelBackupRun(trx: Transaction, id: string): Promise<void> {
  await trx.updateTable('backup_run').set({ cancelled: 1 }).where('id', '=', id).where('ended_at', 'is', null).execute()
}

/** Those that ended before, but for the last run of each task. */
export async function deleteOldBackupRuns(trx: Transaction, endedBefore: number): Promise<void> {
  await trx
    .deleteFrom('backup_run')
    .where('ended_at', '<', endedBefore)
    .where('id', 'not in', (eb) =>
      eb
        .selectFrom('backup_task')
        .select('backup_task.run')
        .where('backup_task.run', 'is not', null)
        .$castTo<{ run: string }>(),
    )
    .execute()
}

/** How tasks of one name and type have fared. Times are UTC epoch milliseconds. */
export interface BackupFare {
  readonly name: string
  readonly type: string
  /** Of the run that ended last. */
  readonly lastResult: string
  readonly lastProgress: string
  readonly lastSuccessAt: number | null
}

/** Of every name and type whose tasks have ended a run. */
export async function listBackupFares(reader: Reader): Promise<BackupFare[]> {
  const tasks = await reader
    .selectFrom('backup_task')
    .select((eb) => [
      'name',
      'type',
      'succeeded_at',
      eb
        .selectFrom('backup_run')
        .select('backup_run.id')
        .whereRef('backup_run.task_id', '=', 'backup_task.id')
        .where('backup_run.ended_at', 'is not', null)
        .orderBy('backup_run.started_at', 'desc')
        .orderBy('backup_run.id', 'desc')
        .limit(1)
        .as('last'),
    ])
    .orderBy('created_at')
    .execute()
  const ofOneKind = Map.groupBy(
    tasks.filter(({ last }) => last !== null),
    ({ name, type }) => `${type} ${name}`,
  )
  const kinds = [...ofOneKind.values()].map((same) => ({
    ...same[0]!,
    lastSuccessAt: same.reduce<number | null>(
      (latest, { succeeded_at: at }) => (at !== null && at > (latest ?? 0) ? at : latest),
      null,
    ),
    last: same.reduce((latest, { last }) => (last! > latest ? last! : latest), ''),
  }))
  const runs = await findBackupRuns(
    reader,
    kinds.map(({ last }) => last),
  )
  const byId = new Map(runs.map((run) => [run.id, run]))
  return kinds.map(({ name, type, last, lastSuccessAt }) => {
    const run = byId.get(last)
    return { name, type, lastResult: run?.result ?? 'FAILED', lastProgress: run?.progress ?? '{}', lastSuccessAt }
  })
}
