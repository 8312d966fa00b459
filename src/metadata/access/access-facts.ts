import { type CompiledQuery, sql } from 'kysely'
import type { Reader, Transaction } from '../database.ts'
import { preparedQuery } from '../sql/prepared-query.ts'

/** What a decision about a repository starts from, as it is committed now. */
export interface AccessState {
  /** Grants that were read under another stamp are void. */
  readonly stamp: number
  /** Undefined: there is none of that name. */
  readonly repository: { readonly id: number; readonly public: boolean } | undefined
}

type StateRow = { stamp: number | null; repo_id: number | null; public: number | null }
const stateByName = preparedQuery<{ project: string; name: string }, StateRow>((reader, { project, name }) => ({
  compile: (): CompiledQuery<StateRow> =>
    sql<StateRow>`select (select value from access_stamp where id = 1) as stamp, r.id as repo_id, r.public
      from (select 1 as one) as always
      left join repository as r on r.project = ${project} and r.name = ${name} and r.deleted_at is null`.compile(
      reader,
    ),
}))

/** One statement, by two unique indexes: part of every request about a repository by a caller who is no administrator. */
export async function findAccessState(reader: Reader, project: string, name: string): Promise<AccessState> {
  const row = (await stateByName(reader, { project, name }))[0]!
  const repository = row.repo_id === null ? undefined : { id: row.repo_id, public: row.public === 1 }
  return { stamp: row.stamp ?? 0, repository }
}

export async function findAccessStamp(reader: Reader): Promise<number> {
  const row = await reader.selectFrom('access_stamp').select('value').where('id', '=', 1).executeTakeFirst()
  return row?.value ?? 0
}

/**
 * To be called in a transaction that changes who may do what, before it looks at rights: voids all grants that any node remembers, and lets such
 * transactions follow each other, so that what one checks still holds when it commits.
 */
export async function raiseAccessStamp(trx: Transaction): Promise<void> {
  await trx
    .insertInto('access_stamp')
    .values({ id: 1, value: 1 })
    .onConflict((oc) => oc.column('id').doUpdateSet((eb) => ({ value: eb('access_stamp.value', '+', 1) })))
    .execute()
}
