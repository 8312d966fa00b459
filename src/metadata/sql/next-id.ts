import type { Transaction } from '../database.ts'
import { preparedQuery } from './prepared-query.ts'

const lastGiven = preparedQuery<{ table: string }, { seq: number }>((trx, { table }) =>
  trx
    .withTables<{ sqlite_sequence: { name: string; seq: number } }>()
    .selectFrom('sqlite_sequence')
    .select('seq')
    .where('name', '=', table),
)

/**
 * SQLite: the number that the table would give to the next row. It stays free until the transaction ends, with all above it, because
 * one transaction writes at a time; and it was never given before, whatever was deleted since (AUTOINCREMENT: a row inserted with a
 * number of its own raises the last number as well). Numbering rows here costs less than asking for the numbers they got.
 */
export async function nextId(trx: Transaction, table: 'node' | 'change_log'): Promise<number> {
  const [last] = await lastGiven(trx, { table })
  return (last?.seq ?? 0) + 1
}
