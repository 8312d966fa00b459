import type { Reader, Transaction } from '../database.ts'
import { startsWith } from '../sql/text-prefix.ts'
import { lockTask, type TaskRow } from './tasks.ts'

/** The distribution of that task name; undefined: there is none, or it is a task of another API. */
export async function findDistributionRow(reader: Reader, taskName: string): Promise<TaskRow | undefined> {
  return reader
    .selectFrom('replication_task')
    .selectAll()
    .where('name', '=', taskName)
    .where('distribution', 'is not', null)
    .executeTakeFirst()
}

/** As `findDistributionRow`; nobody else changes it before the transaction ends. */
export async function lockDistribution(trx: Transaction, taskName: string): Promise<TaskRow | undefined> {
  const found = await findDistributionRow(trx, taskName)
  return found && lockTask(trx, found.key)
}

/** Of one repository, by name. @param prefix `project/repo/`. */
export async function listDistributionRows(reader: Reader, project: string, prefix: string): Promise<TaskRow[]> {
  return reader
    .selectFrom('replication_task')
    .selectAll()
    .where('project', '=', project)
    .where('distribution', 'is not', null)
    .where((eb) => startsWith(eb, eb.ref('name'), prefix))
    .orderBy('name')
    .execute()
}
