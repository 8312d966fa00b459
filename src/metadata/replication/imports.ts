import type { Reader, Transaction } from '../database.ts'
import { lockTask, type TaskRow } from './tasks.ts'

/** The import of that task name; undefined: there is none, or it is a task of another API. */
export async function findImportRow(reader: Reader, taskName: string): Promise<TaskRow | undefined> {
  return reader
    .selectFrom('replication_task')
    .selectAll()
    .where('name', '=', taskName)
    .where('imports', 'is not', null)
    .executeTakeFirst()
}

/** As `findImportRow`; nobody else changes it before the transaction ends. */
export async function lockImport(trx: Transaction, taskName: string): Promise<TaskRow | undefined> {
  const found = await findImportRow(trx, taskName)
  return found && lockTask(trx, found.key)
}
