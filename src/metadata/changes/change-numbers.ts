import type { Reader } from '../database.ts'
import { preparedQuery } from '../sql/prepared-query.ts'

/**
 * Number of the repository's last change; its trimmed floor when the log holds none. PostgreSQL: call `numberChanges` first to see
 * all that was committed before the call.
 */
export async function headSeq(reader: Reader, repoId: number): Promise<number> {
  const row = await reader
    .selectNoFrom((eb) => [
      eb.selectFrom('repository').where('id', '=', repoId).select('floor_seq').as('floor'),
      eb
        .selectFrom('change_log')
        .where('repo_id', '=', repoId)
        .where('seq', 'is not', null)
        .select((log) => log.fn.max('seq').as('last'))
        .as('last'),
    ])
    .executeTakeFirstOrThrow()
  return Math.max(row.last ?? 0, row.floor ?? 0)
}

/** Number of the last change of all repositories; 0: none yet. Rows of PostgreSQL that have no number yet come after it. */
export async function lastChange(reader: Reader): Promise<number> {
  const row = await reader
    .selectFrom('change_log')
    .where('seq', 'is not', null)
    .select('seq')
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row?.seq ?? 0
}

const headsAfter = preparedQuery<{ after: number }, { repoId: number; head: number }>((reader, { after }) =>
  reader
    .selectFrom('change_log')
    .where('seq', '>', after)
    .groupBy('repo_id')
    .select((eb) => ['repo_id as repoId', eb.fn.max<number>('seq').as('head')]),
)
/** The repositories with changes numbered above `after`, and the last of each. */
export async function changedRepositories(reader: Reader, after: number): Promise<ReadonlyMap<number, number>> {
  const rows = await headsAfter(reader, { after })
  return new Map(rows.map(({ repoId, head }) => [repoId, head]))
}

/**
 * Tells the row with that number from one that a log which was put back to an earlier state has there later. Empty: there is no
 * such row, or it was trimmed.
 */
export async function changeMark(reader: Reader, repoId: number, seq: number): Promise<string> {
  const row = await reader
    .selectFrom('change_log')
    .select(['id', 'at'])
    .where('repo_id', '=', repoId)
    .where('seq', '=', seq)
    .executeTakeFirst()
  return row === undefined ? '' : `${row.id}.${row.at}`
}

/**
 * Number before which all changes are older than the one after `seq` by `ms` or more. Undefined: nothing comes after `seq`.
 * Cost follows the changes in that time.
 */
export async function horizonBefore(
  reader: Reader,
  repoId: number,
  seq: number,
  ms: number,
): Promise<number | undefined> {
  const log = () => reader.selectFrom('change_log').where('repo_id', '=', repoId)
  const next = await log().where('seq', '>', seq).select('at').orderBy('seq').limit(1).executeTakeFirst()
  if (next === undefined) return undefined
  const old = log()
    .where('seq', '<=', seq)
    .where('at', '<=', next.at - ms)
  const row = await old.select('seq').orderBy('seq', 'desc').limit(1).executeTakeFirst()
  return row?.seq ?? 0
}
