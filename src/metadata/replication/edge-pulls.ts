import type { Reader, Transaction } from '../database.ts'
import type { TaskRow } from './tasks.ts'

/** Enabled EDGE_PULL tasks that an edge has yet to pull, oldest first; those with a run in progress come last. */
export async function listPullsOf(
  reader: Reader,
  clusterId: string,
  { mostFailures, limit }: { readonly mostFailures: number; readonly limit: number },
): Promise<TaskRow[]> {
  return reader
    .selectFrom('replication_task')
    .innerJoin('task_target', 'task_target.task_key', 'replication_task.key')
    .leftJoin('edge_pull', (join) =>
      join
        .onRef('edge_pull.task_key', '=', 'task_target.task_key')
        .onRef('edge_pull.cluster_id', '=', 'task_target.cluster_id'),
    )
    .selectAll('replication_task')
    .where('task_target.cluster_id', '=', clusterId)
    .where('replication_task.replica_type', '=', 'EDGE_PULL')
    .where('replication_task.enabled', '=', 1)
    .where((eb) => eb.or([eb('edge_pull.failures', 'is', null), eb('edge_pull.failures', '<=', mostFailures)]))
    .orderBy((eb) => eb.case().when('replication_task.status', '=', 'REPLICATING').then(1).else(0).end())
    .orderBy('replication_task.created_at')
    .orderBy('replication_task.id')
    .limit(limit)
    .execute()
}

/** How often each edge failed to pull the task. */
export async function listPullFailures(reader: Reader, taskKey: string): Promise<Map<string, number>> {
  const rows = await reader.selectFrom('edge_pull').selectAll().where('task_key', '=', taskKey).execute()
  return new Map(rows.map(({ cluster_id, failures }) => [cluster_id, failures]))
}

export async function countPullFailure(trx: Transaction, taskKey: string, clusterId: string): Promise<void> {
  await trx
    .insertInto('edge_pull')
    .values({ task_key: taskKey, cluster_id: clusterId, failures: 1 })
    .onConflict((conflict) =>
      conflict
        .columns(['task_key', 'cluster_id'])
        .doUpdateSet((eb) => ({ failures: eb('edge_pull.failures', '+', 1) })),
    )
    .execute()
}

/** Forgets failures: of one edge, or of all. */
export async function forgetPullFailures(trx: Transaction, taskKey: string, clusterId?: string): Promise<void> {
  const rows = trx.deleteFrom('edge_pull').where('task_key', '=', taskKey)
  await (clusterId === undefined ? rows : rows.where('cluster_id', '=', clusterId)).execute()
}

/** The edges have what the task has for them. @returns how many targets are left. */
export async function removeTargets(trx: Transaction, taskKey: string, clusterIds: readonly string[]): Promise<number> {
  if (clusterIds.length > 0) {
    await trx.deleteFrom('task_target').where('task_key', '=', taskKey).where('cluster_id', 'in', clusterIds).execute()
  }
  const { left } = await trx
    .selectFrom('task_target')
    .select((eb) => eb.fn.countAll<number>().as('left'))
    .where('task_key', '=', taskKey)
    .executeTakeFirstOrThrow()
  return Number(left)
}

/** Clusters that come to us, by name. */
export async function listEdges(reader: Reader): Promise<{ id: string; name: string; type: string }[]> {
  return reader
    .selectFrom('cluster')
    .select(['id', 'name', 'type'])
    .where('detect_type', '=', 'REPORT')
    .orderBy('name')
    .execute()
}

/** Of the clusters, those that are HEALTHY. */
export async function listHealthy(reader: Reader, clusterIds: readonly string[]): Promise<Set<string>> {
  if (clusterIds.length === 0) return new Set()
  const rows = await reader
    .selectFrom('cluster')
    .select('id')
    .where('id', 'in', clusterIds)
    .where('status', '=', 'HEALTHY')
    .execute()
  return new Set(rows.map(({ id }) => id))
}
