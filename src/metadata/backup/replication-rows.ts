import type { Reader, Transaction } from '../database.ts'
import type { ClusterRow } from '../replication/clusters.ts'
import type { TaskRow } from '../replication/tasks.ts'
import { anyOf } from '../sql/any-of.ts'

/** After this id, ascending by id. */
export const pageClustersById = (reader: Reader, after: string, limit: number): Promise<ClusterRow[]> =>
  reader.selectFrom('cluster').selectAll().where('id', '>', after).orderBy('id').limit(limit).execute()

/** Those of these names; nobody else changes them before the transaction ends. */
export async function lockClusters(trx: Transaction, names: readonly string[]): Promise<Map<string, ClusterRow>> {
  const rows = await trx
    .updateTable('cluster')
    .set((eb) => ({ modified_at: eb.ref('modified_at') }))
    .where(anyOf(trx, 'name', names))
    .returningAll()
    .execute()
  return new Map(rows.map((row) => [row.name, row]))
}

export async function clustersByName(reader: Reader, names: readonly string[]): Promise<Map<string, ClusterRow>> {
  if (names.length === 0) return new Map()
  const rows = await reader
    .selectFrom('cluster')
    .selectAll()
    .where(anyOf(reader, 'name', names))
    .execute()
  return new Map(rows.map((row) => [row.name, row]))
}

/** After this key, ascending by key. */
export const pageTasksByKey = (reader: Reader, after: string, limit: number): Promise<TaskRow[]> =>
  reader.selectFrom('replication_task').selectAll().where('key', '>', after).orderBy('key').limit(limit).execute()

/** Names of the clusters that tasks send to, but for those that were removed; in their order. */
export const targetNamesOfTasks = (
  reader: Reader,
  keys: readonly string[],
): Promise<{ readonly taskKey: string; readonly name: string }[]> =>
  reader
    .selectFrom('task_target')
    .innerJoin('cluster', 'cluster.id', 'task_target.cluster_id')
    .select(['task_target.task_key as taskKey', 'cluster.name'])
    .where(anyOf(reader, 'task_target.task_key', keys))
    .orderBy('task_target.task_key')
    .orderBy('task_target.ord')
    .execute()

export async function tasksByName(reader: Reader, names: readonly string[]): Promise<Map<string, TaskRow>> {
  const rows = await reader
    .selectFrom('replication_task')
    .selectAll()
    .where(anyOf(reader, 'name', names))
    .execute()
  return new Map(rows.map((row) => [row.name, row]))
}
