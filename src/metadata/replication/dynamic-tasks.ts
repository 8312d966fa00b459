import type { Reader, Transaction } from '../database.ts'

/** Keys of the tasks that follow changes now and whose repositories are looked up. */
export async function listFollowingSets(reader: Reader): Promise<string[]> {
  const rows = await reader
    .selectFrom('replication_task')
    .select('key')
    .where('dynamic', 'is not', null)
    .where('replica_type', '=', 'REAL_TIME')
    .where('enabled', '=', 1)
    .execute()
  return rows.map(({ key }) => key)
}

/** Grows with every repository that is made. */
export async function newestRepository(reader: Reader): Promise<number> {
  const row = await reader.selectFrom('repository').select('id').orderBy('id', 'desc').limit(1).executeTakeFirst()
  return row?.id ?? 0
}

/** Of a record that is open. @param snapshot JSON. */
export async function saveSnapshot(trx: Transaction, recordId: string, snapshot: string): Promise<void> {
  await trx
    .updateTable('execution_record')
    .set({ snapshot })
    .where('id', '=', recordId)
    .where('status', '=', 'RUNNING')
    .execute()
}

export interface PermissionLink {
  readonly linkId: number
  readonly recordId: string
}
/** Links that follow changes, whose repository is over there, and with which permissions go. */
export async function listPermissionLinks(reader: Reader): Promise<PermissionLink[]> {
  const rows = await reader
    .selectFrom('replication_task as task')
    .innerJoin('live_link as link', 'link.task_key', 'task.key')
    .select(['link.link_id as linkId', 'link.record_id as recordId'])
    .where('task.include_permission', '=', 1)
    .where('link.state', 'in', ['CATCHUP', 'LIVE'])
    .orderBy('link.link_id')
    .execute()
  return rows
}
