import type { Reader, Transaction } from '../database.ts'
import type { TaskRow } from './tasks.ts'

/** Tasks of the older API, newest first. */
export async function listV1Tasks(reader: Reader): Promise<TaskRow[]> {
  return reader
    .selectFrom('replication_task')
    .selectAll()
    .where('v1', 'is not', null)
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .execute()
}

/** Undefined: there is none, or it is one of the current API. */
export async function findV1Task(reader: Reader, key: string): Promise<TaskRow | undefined> {
  return reader
    .selectFrom('replication_task')
    .selectAll()
    .where('key', '=', key)
    .where('v1', 'is not', null)
    .executeTakeFirst()
}

/** @param origin JSON. */
export async function saveV1Origin(trx: Transaction, key: string, origin: string): Promise<void> {
  await trx.updateTable('replication_task').set({ v1: origin }).where('key', '=', key).execute()
}
