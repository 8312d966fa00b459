import type { Insertable, Selectable, Updateable } from 'kysely'
import { type Page, type PageRequest, pageOffset } from '../../core/paging.ts'
import type { MetadataDatabase, Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import { anyOf } from '../sql/any-of.ts'
import { startsWith } from '../sql/text-prefix.ts'
import { forgetUploadsTo } from './pushed-uploads.ts'

export type ClusterRow = Selectable<Schema['cluster']>

export interface ClusterFilter {
  /** Literal prefix. */
  readonly name?: string | undefined
  readonly type?: string | undefined
}

/** False: the name is taken. */
export async function insertCluster(trx: Transaction, row: Insertable<Schema['cluster']>): Promise<boolean> {
  const result = await trx
    .insertInto('cluster')
    .values(row)
    .onConflict((oc) => oc.doNothing())
    .executeTakeFirst()
  return Number(result.numInsertedOrUpdatedRows) > 0
}

export type ClusterHealth = Pick<Updateable<Schema['cluster']>, 'status' | 'error_reason' | 'peer_id'>

/** Notes which installation answers at a cluster's address. */
export async function notePeerOf(db: MetadataDatabase, id: string, peerId: string): Promise<void> {
  const known = await db.read.selectFrom('cluster').select('peer_id').where('id', '=', id).executeTakeFirst()
  if (known === undefined || known.peer_id === peerId) return
  await db.transact((trx) => updateCluster(trx, id, { peer_id: peerId }))
}

/** False: it is not there. */
export async function updateCluster(
  trx: Transaction,
  id: string,
  row: Updateable<Schema['cluster']>,
): Promise<boolean> {
  const result = await trx.updateTable('cluster').set(row).where('id', '=', id).executeTakeFirst()
  return result.numUpdatedRows > 0n
}

export async function deleteCluster(trx: Transaction, id: string): Promise<boolean> {
  const result = await trx.deleteFrom('cluster').where('id', '=', id).executeTakeFirst()
  return result.numDeletedRows > 0n
}

export async function findClusterById(reader: Reader, id: string): Promise<ClusterRow | undefined> {
  return reader.selectFrom('cluster').selectAll().where('id', '=', id).executeTakeFirst()
}

export async function findClusterByName(reader: Reader, name: string): Promise<ClusterRow | undefined> {
  return reader.selectFrom('cluster').selectAll().where('name', '=', name).executeTakeFirst()
}

export async function findClusterRows(reader: Reader, ids: readonly string[]): Promise<ClusterRow[]> {
  if (ids.length === 0) return []
  return reader
    .selectFrom('cluster')
    .selectAll()
    .where(anyOf(reader, 'id', ids))
    .execute()
}

/** Those whose id or name is among `references`. */
export async function findClusters(
  reader: Reader,
  references: readonly string[],
): Promise<{ id: string; name: string; type: string; detectType: string }[]> {
  if (references.length === 0) return []
  return reader
    .selectFrom('cluster')
    .select(['id', 'name', 'type', 'detect_type as detectType'])
    .where((eb) => eb.or([eb('id', 'in', references), eb('name', 'in', references)]))
    .execute()
}

const matching = (reader: Reader, { name, type }: ClusterFilter) =>
  reader
    .selectFrom('cluster')
    .$if(name !== undefined, (query) => query.where((eb) => startsWith(eb, eb.ref('name'), name!)))
    .$if(type !== undefined, (query) => query.where('type', '=', type!))

const newestFirst = (reader: Reader, filter: ClusterFilter) =>
  matching(reader, filter).selectAll().orderBy('created_at', 'desc').orderBy('id', 'desc')

export async function listClusters(reader: Reader, filter: ClusterFilter): Promise<ClusterRow[]> {
  return newestFirst(reader, filter).execute()
}

export async function pageClusters(
  reader: Reader,
  filter: ClusterFilter,
  page: PageRequest,
): Promise<Page<ClusterRow>> {
  const { total } = await matching(reader, filter)
    .select((eb) => eb.fn.countAll<number>().as('total'))
    .executeTakeFirstOrThrow()
  const records = await newestFirst(reader, filter).limit(page.pageSize).offset(pageOffset(page)).execute()
  return { ...page, totalRecords: total, records }
}

/** The registry of a distribution or an import goes with its task: it has the task's name. */
export async function deleteRegistryOf(trx: Transaction, taskKey: string): Promise<void> {
  const found = await trx
    .selectFrom('cluster')
    .innerJoin('replication_task', 'replication_task.name', 'cluster.name')
    .select('cluster.id')
    .where('replication_task.key', '=', taskKey)
    .where((eb) => eb.or([eb('distribution', 'is not', null), eb('imports', 'is not', null)]))
    .where('cluster.type', '=', 'REMOTE')
    .executeTakeFirst()
  if (found === undefined) return
  await forgetUploadsTo(trx, found.id)
  await deleteCluster(trx, found.id)
}

/** What a run found out about a target. @param now UTC epoch ms. */
export async function noteHealth(
  trx: Transaction,
  id: string,
  { status, error_reason }: Pick<ClusterHealth, 'status' | 'error_reason'>,
  now: number,
): Promise<void> {
  await updateCluster(trx, id, { status, error_reason, checked_at: now })
}

/** Name of the task whose registry it is. */
export async function findDistributionTo(reader: Reader, clusterId: string): Promise<string | undefined> {
  const row = await reader
    .selectFrom('cluster')
    .innerJoin('replication_task', 'replication_task.name', 'cluster.name')
    .select('replication_task.name')
    .where('cluster.id', '=', clusterId)
    .where('replication_task.distribution', 'is not', null)
    .executeTakeFirst()
  return row?.name
}

/** Name of an enabled task that has the cluster as target. */
export async function findEnabledTaskOfCluster(reader: Reader, clusterId: string): Promise<string | undefined> {
  const row = await reader
    .selectFrom('task_target')
    .innerJoin('replication_task', 'replication_task.key', 'task_target.task_key')
    .select('replication_task.name')
    .where('task_target.cluster_id', '=', clusterId)
    .where('replication_task.enabled', '=', 1)
    .limit(1)
    .executeTakeFirst()
  return row?.name
}
