import type { Insertable, Selectable, Updateable } from 'kysely'
import { type Page, type PageRequest, pageOffset } from '../../core/paging.ts'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import { anyOf } from '../sql/any-of.ts'
import { startsWith } from '../sql/text-prefix.ts'
import { deleteRegistryOf } from './clusters.ts'
import { forgetPushed, forgetPushedOfTask } from './pushed-versions.ts'
import { forgetUnsettled, forgetUnsettledOfTask } from './unsettled.ts'

export type TaskRow = Selectable<Schema['replication_task']>
export type TaskObjectRow = Selectable<Schema['task_object']>
export type NewTaskObject = Omit<Insertable<Schema['task_object']>, 'task_key' | 'ord'>

const ROWS_PER_INSERT = 500

/** False: the name is taken. */
export async function insertTask(trx: Transaction, row: Insertable<Schema['replication_task']>): Promise<boolean> {
  const result = await trx
    .insertInto('replication_task')
    .values(row)
    .onConflict((oc) => oc.doNothing())
    .executeTakeFirst()
  return Number(result.numInsertedOrUpdatedRows) > 0
}

/** Objects and targets of a task, in this order, in place of what it had. */
export async function putTaskParts(
  trx: Transaction,
  key: string,
  objects: readonly NewTaskObject[],
  clusterIds: readonly string[],
): Promise<void> {
  await deleteTaskParts(trx, key)
  for (let at = 0; at < objects.length; at += ROWS_PER_INSERT) {
    const rows = objects.slice(at, at + ROWS_PER_INSERT)
    await trx
      .insertInto('task_object')
      .values(rows.map((row, index) => ({ ...row, task_key: key, ord: at + index })))
      .execute()
  }
  if (clusterIds.length > 0) {
    await trx
      .insertInto('task_target')
      .values(clusterIds.map((id, ord) => ({ task_key: key, cluster_id: id, ord })))
      .execute()
  }
}

async function deleteTaskParts(trx: Transaction, key: string): Promise<void> {
  await trx.deleteFrom('task_object').where('task_key', '=', key).execute()
  await trx.deleteFrom('task_target').where('task_key', '=', key).execute()
}

export async function findTask(reader: Reader, key: string): Promise<TaskRow | undefined> {
  return reader.selectFrom('replication_task').selectAll().where('key', '=', key).executeTakeFirst()
}

/**
 * The task, which nobody else changes before this transaction ends: what starts, updates, toggles or deletes a task, and what
 * closes its run, takes this first.
 */
export async function lockTask(trx: Transaction, key: string): Promise<TaskRow | undefined> {
  return trx
    .updateTable('replication_task')
    .set((eb) => ({ execution_times: eb.ref('execution_times') }))
    .where('key', '=', key)
    .returningAll()
    .executeTakeFirst()
}

export async function updateTask(
  trx: Transaction,
  key: string,
  row: Updateable<Schema['replication_task']>,
): Promise<void> {
  await trx.updateTable('replication_task').set(row).where('key', '=', key).execute()
}

/** The task row and what hangs on it, except its records. */
export async function deleteTaskRows(trx: Transaction, key: string): Promise<void> {
  await trx
    .deleteFrom('link_divergence')
    .where('link_id', 'in', (eb) => eb.selectFrom('link').select('id').where('task_key', '=', key))
    .execute()
  await forgetUnsettledOfTask(trx, key)
  await forgetPushedOfTask(trx, key)
  await deleteRegistryOf(trx, key)
  await trx.deleteFrom('link').where('task_key', '=', key).execute()
  await deleteTaskParts(trx, key)
  await trx.deleteFrom('edge_pull').where('task_key', '=', key).execute()
  await trx.deleteFrom('webhook_delivery').where('task_key', '=', key).execute()
  await trx.deleteFrom('replication_task').where('key', '=', key).execute()
}

/** Forgets how far links got that the task no longer has: its objects and targets are those in the tables now. */
export async function deleteStaleLinks(trx: Transaction, key: string): Promise<void> {
  const stale = trx
    .selectFrom('link')
    .innerJoin('repository', 'repository.id', 'link.repo_id')
    .select('link.id')
    .where('link.task_key', '=', key)
    .where((eb) =>
      eb.not(
        eb.and([
          eb.exists(
            eb
              .selectFrom('task_target')
              .select('task_target.ord')
              .where('task_target.task_key', '=', key)
              .whereRef('task_target.cluster_id', '=', 'link.cluster_id'),
          ),
          eb.exists(
            eb
              .selectFrom('task_object')
              .innerJoin('replication_task', 'replication_task.key', 'task_object.task_key')
              .select('task_object.ord')
              .where('task_object.task_key', '=', key)
              .whereRef('replication_task.project', '=', 'repository.project')
              .whereRef('task_object.local_repo', '=', 'repository.name')
              .whereRef('task_object.remote_project', '=', 'link.remote_project')
              .whereRef('task_object.remote_repo', '=', 'link.remote_repo'),
          ),
        ]),
      ),
    )
  const ids = (await stale.execute()).map(({ id }) => id)
  for (let at = 0; at < ids.length; at += ROWS_PER_INSERT) {
    const some = ids.slice(at, at + ROWS_PER_INSERT)
    await trx.deleteFrom('link_divergence').where('link_id', 'in', some).execute()
    await forgetUnsettled(trx, some)
    await forgetPushed(trx, some)
    await trx.deleteFrom('link').where('id', 'in', some).execute()
  }
}

export async function listTaskObjects(reader: Reader, key: string): Promise<TaskObjectRow[]> {
  return reader.selectFrom('task_object').selectAll().where('task_key', '=', key).orderBy('ord').execute()
}

/** Of several tasks, in their order. */
export async function listObjectsOfTasks(reader: Reader, keys: readonly string[]): Promise<TaskObjectRow[]> {
  if (keys.length === 0) return []
  const query = reader
    .selectFrom('task_object')
    .selectAll()
    .where(anyOf(reader, 'task_key', keys))
  return query.orderBy('task_key').orderBy('ord').execute()
}

/** JSON; null: the task names its objects. */
export async function findDynamicSet(reader: Reader, key: string): Promise<string | null> {
  const row = await reader.selectFrom('replication_task').select('dynamic').where('key', '=', key).executeTakeFirst()
  return row?.dynamic ?? null
}

/** Targets of several tasks, in their order. A cluster that was deleted goes by its id. */
export async function listTaskTargets(
  reader: Reader,
  keys: readonly string[],
): Promise<{ taskKey: string; id: string; name: string }[]> {
  if (keys.length === 0) return []
  return reader
    .selectFrom('task_target')
    .leftJoin('cluster', 'cluster.id', 'task_target.cluster_id')
    .select((eb) => [
      'task_target.task_key as taskKey',
      'task_target.cluster_id as id',
      eb.fn.coalesce('cluster.name', 'task_target.cluster_id').as('name'),
    ])
    .where('task_target.task_key', 'in', keys)
    .orderBy('task_target.task_key')
    .orderBy('task_target.ord')
    .execute()
}

export interface TaskFilter {
  readonly project: string
  /** Literal prefix. */
  readonly name?: string | undefined
  readonly lastExecutionStatus?: string | undefined
  readonly enabled?: boolean | undefined
}
export interface TaskOrder {
  readonly by: 'created_at' | 'last_execution_at' | 'next_execution_at'
  readonly direction: 'asc' | 'desc'
}

/** Nulls come last in both directions; ties go by id. */
export async function pageTasks(
  reader: Reader,
  filter: TaskFilter,
  { by, direction }: TaskOrder,
  page: PageRequest,
): Promise<Page<TaskRow>> {
  const { project, name, lastExecutionStatus, enabled } = filter
  const matching = reader
    .selectFrom('replication_task')
    .where('project', '=', project)
    .$if(name !== undefined, (query) => query.where((eb) => startsWith(eb, eb.ref('name'), name!)))
    .$if(lastExecutionStatus !== undefined, (query) => query.where('last_execution_status', '=', lastExecutionStatus!))
    .$if(enabled !== undefined, (query) => query.where('enabled', '=', Number(enabled)))
  const { total } = await matching.select((eb) => eb.fn.countAll<number>().as('total')).executeTakeFirstOrThrow()
  const records = await matching
    .selectAll()
    .orderBy(by, (order) => order[direction]().nullsLast())
    .orderBy('id', direction)
    .limit(page.pageSize)
    .offset(pageOffset(page))
    .execute()
  return { ...page, totalRecords: total, records }
}

/** By another task than `exceptKey`. */
export async function isTaskNameTaken(reader: Reader, name: string, exceptKey: string | undefined): Promise<boolean> {
  const row = await reader
    .selectFrom('replication_task')
    .select('key')
    .where('name', '=', name)
    .$if(exceptKey !== undefined, (query) => query.where('key', '!=', exceptKey!))
    .executeTakeFirst()
  return row !== undefined
}
