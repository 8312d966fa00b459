import type { Reader, Transaction } from '../database.ts'

export interface EdgeReport {
  readonly clusterId: string
  /** The identity that the edge gave itself on its first start. */
  readonly identity: string
  /** What the edge calls itself. */
  readonly name: string
  /** UTC epoch milliseconds. */
  readonly at: number
}

export async function saveEdgeReport(trx: Transaction, { clusterId, identity, name, at }: EdgeReport): Promise<void> {
  await trx
    .insertInto('edge_report')
    .values({ cluster_id: clusterId, identity, name, at })
    .onConflict((conflict) => conflict.column('cluster_id').doUpdateSet({ identity, name, at }))
    .execute()
}

export async function findEdgeReport(reader: Reader, clusterId: string): Promise<EdgeReport | undefined> {
  const row = await reader.selectFrom('edge_report').selectAll().where('cluster_id', '=', clusterId).executeTakeFirst()
  return row && { clusterId: row.cluster_id, identity: row.identity, name: row.name, at: row.at }
}

/** When each of the clusters reported last. */
export async function listReportTimes(reader: Reader, clusterIds: readonly string[]): Promise<Map<string, number>> {
  if (clusterIds.length === 0) return new Map()
  const rows = await reader
    .selectFrom('edge_report')
    .select(['cluster_id', 'at'])
    .where('cluster_id', 'in', clusterIds)
    .execute()
  return new Map(rows.map(({ cluster_id, at }) => [cluster_id, at]))
}

/** Clusters that report and were not heard of since `olderThan` become UNHEALTHY. @returns how many. */
export async function markSilentEdges(
  trx: Transaction,
  { olderThan, now, reason }: { readonly olderThan: number; readonly now: number; readonly reason: string },
): Promise<number> {
  const result = await trx
    .updateTable('cluster')
    .set({ status: 'UNHEALTHY', error_reason: reason, checked_at: now })
    .where('detect_type', '=', 'REPORT')
    .where('status', '=', 'HEALTHY')
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('edge_report')
            .select('edge_report.at')
            .whereRef('edge_report.cluster_id', '=', 'cluster.id')
            .where('edge_report.at', '>=', olderThan),
        ),
      ),
    )
    .executeTakeFirst()
  return Number(result.numUpdatedRows)
}

export async function deleteEdgeRows(trx: Transaction, clusterId: string): Promise<void> {
  await trx.deleteFrom('edge_report').where('cluster_id', '=', clusterId).execute()
  await trx.deleteFrom('edge_tunnel').where('cluster_id', '=', clusterId).execute()
  await trx.deleteFrom('edge_pull').where('cluster_id', '=', clusterId).execute()
}

/** This process holds connections of these edges, and of no others. */
export async function saveTunnels(
  trx: Transaction,
  owner: string,
  clusterIds: readonly string[],
  at: number,
): Promise<void> {
  const mine = trx.deleteFrom('edge_tunnel').where('owner', '=', owner)
  await (clusterIds.length === 0 ? mine : mine.where('cluster_id', 'not in', clusterIds)).execute()
  if (clusterIds.length === 0) return
  await trx
    .insertInto('edge_tunnel')
    .values(clusterIds.map((cluster_id) => ({ cluster_id, owner, at })))
    .onConflict((conflict) => conflict.columns(['cluster_id', 'owner']).doUpdateSet({ at }))
    .execute()
}

/** Rows of processes that died. */
export async function deleteOldTunnels(trx: Transaction, olderThan: number): Promise<void> {
  await trx.deleteFrom('edge_tunnel').where('at', '<', olderThan).execute()
}

/** Another process than `owner` said since `since` that it holds connections of the edge. */
export async function hasTunnelElsewhere(
  reader: Reader,
  clusterId: string,
  { owner, since }: { readonly owner: string; readonly since: number },
): Promise<boolean> {
  const row = await reader
    .selectFrom('edge_tunnel')
    .select('owner')
    .where('cluster_id', '=', clusterId)
    .where('owner', '!=', owner)
    .where('at', '>=', since)
    .executeTakeFirst()
  return row !== undefined
}
