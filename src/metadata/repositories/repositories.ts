import { type Selectable, sql } from 'kysely'
import { type Page, type PageRequest, pageOffset } from '../../core/paging.ts'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import { anyOf } from '../sql/any-of.ts'
import { dialectOf } from '../sql/dialect-of.ts'
import { preparedQuery } from '../sql/prepared-query.ts'
import { startsWith } from '../sql/text-prefix.ts'

/** A live repository. Times are UTC epoch milliseconds. */
export interface Repository {
  /** Never given to another one, also when a repository of the same name is made later. */
  readonly id: number
  readonly project: string
  readonly name: string
  readonly type: string
  readonly category: RepositoryCategory
  readonly public: boolean
  readonly description: string | null
  readonly displayName: string | null
  /** For people only: nothing is decided by these three. */
  readonly display: boolean
  readonly owner: string | null
  readonly visibility: string | null
  /** As the contract has it: `{type, settings, …}`. */
  readonly configuration: Readonly<Record<string, unknown>>
  /** Bytes that its live nodes may have; null: any number. */
  readonly quota: number | null
  /** New when the repository is, and when the database is put back to an earlier state: cursors of another epoch are void. */
  readonly epoch: string
  /** Cursors of the change log below it are void. */
  readonly floorSeq: number
  readonly createdBy: string
  readonly createdAt: number
  readonly modifiedBy: string
  readonly modifiedAt: number
}
/**
 * LOCAL: files that users bring · REMOTE: what was fetched from one upstream · VIRTUAL: no files, shows those of its members ·
 * COMPOSITE: LOCAL, and what is missing is fetched from its channels.
 */
export type RepositoryCategory = 'LOCAL' | 'REMOTE' | 'VIRTUAL' | 'COMPOSITE'

export type NewRepository = Omit<Repository, 'id' | 'floorSeq'>
export interface RepositoryChange {
  readonly public?: boolean | undefined
  readonly description?: string | null | undefined
  readonly displayName?: string | null | undefined
  readonly display?: boolean | undefined
  readonly owner?: string | null | undefined
  readonly visibility?: string | null | undefined
  readonly configuration?: Readonly<Record<string, unknown>> | undefined
}
export interface RepositoryFilter {
  readonly project: string
  readonly namePrefix?: string | undefined
  readonly type?: string | undefined
  /** Only these, and the public ones if it says so; undefined: all. */
  readonly visibility?: { readonly repoIds: readonly number[]; readonly andPublic: boolean } | undefined
}

/** @returns undefined when a live repository of that name is there. */
export async function insertRepository(trx: Transaction, made: NewRepository): Promise<Repository | undefined> {
  const row = await trx
    .insertInto('repository')
    .values({
      project: made.project,
      name: made.name,
      type: made.type,
      category: made.category,
      public: Number(made.public),
      description: made.description,
      display_name: made.displayName,
      display: Number(made.display),
      owner: made.owner,
      visibility: made.visibility,
      configuration: JSON.stringify(made.configuration),
      quota: made.quota,
      epoch: made.epoch,
      floor_seq: 0,
      created_by: made.createdBy,
      created_at: made.createdAt,
      modified_by: made.modifiedBy,
      modified_at: made.modifiedAt,
      deleted_at: null,
    })
    .onConflict((oc) => oc.columns(['project', 'name']).where('deleted_at', 'is', null).doNothing())
    .returningAll()
    .executeTakeFirst()
  return row && toRepository(row)
}

const repositoryByName = preparedQuery<{ project: string; name: string }, Selectable<Schema['repository']>>(
  (reader, { project, name }) =>
    reader
      .selectFrom('repository')
      .selectAll()
      .where('project', '=', project)
      .where('name', '=', name)
      .where('deleted_at', 'is', null),
)

export async function findRepository(reader: Reader, project: string, name: string): Promise<Repository | undefined> {
  const [row] = await repositoryByName(reader, { project, name })
  return row && toRepository(row)
}

export async function findRepositoryById(reader: Reader, id: number): Promise<Repository | undefined> {
  const query = reader.selectFrom('repository').selectAll().where('id', '=', id).where('deleted_at', 'is', null)
  const row = await query.executeTakeFirst()
  return row && toRepository(row)
}

/** Undefined fields stay as they are. @returns the repository afterwards; undefined when it is gone. */
export async function updateRepository(
  trx: Transaction,
  id: number,
  change: RepositoryChange,
  by: string,
  at: number,
): Promise<Repository | undefined> {
  const set: Partial<Selectable<Schema['repository']>> = { modified_by: by, modified_at: at }
  if (change.public !== undefined) set.public = Number(change.public)
  if (change.description !== undefined) set.description = change.description
  if (change.displayName !== undefined) set.display_name = change.displayName
  if (change.display !== undefined) set.display = Number(change.display)
  if (change.owner !== undefined) set.owner = change.owner
  if (change.visibility !== undefined) set.visibility = change.visibility
  if (change.configuration !== undefined) set.configuration = JSON.stringify(change.configuration)
  const row = await trx
    .updateTable('repository')
    .set(set)
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .returningAll()
    .executeTakeFirst()
  return row && toRepository(row)
}

/** Bytes; null: no limit. The caller has locked it (`lockRepository`). @returns false when it is gone. */
export async function setRepositoryQuota(
  trx: Transaction,
  id: number,
  quota: number | null,
  by: string,
  at: number,
): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('repository')
    .set({ quota, modified_by: by, modified_at: at })
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/** Marks it deleted; its name is free at once. @returns false when it was gone already. */
export async function markRepositoryDeleted(trx: Transaction, id: number, by: string, at: number): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('repository')
    .set({ deleted_at: at, modified_by: by, modified_at: at })
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/** A repository that neither goes away nor gets another quota before the transaction ends. */
export type HeldRepository = Pick<Repository, 'id' | 'name' | 'quota'>

const holdById = preparedQuery<{ id: number }, HeldRepository>((trx, { id }) => {
  const query = trx
    .selectFrom('repository')
    .select(['id', 'name', 'quota'])
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
  return dialectOf(trx) === 'postgres' ? query.forKeyShare() : query
})

/**
 * Keeps the repository as it is until the transaction ends: who deletes one, or sets its quota, waits for those who write in it.
 * Writers do not wait for each other (PostgreSQL: the lock that a foreign key takes; SQLite has one writer anyway).
 * @returns undefined when it is gone.
 */
export async function holdRepository(trx: Transaction, id: number): Promise<HeldRepository | undefined> {
  const [held] = await holdById(trx, { id })
  return held
}
/** Waits for all who write in it, and keeps others from beginning until the transaction ends. */
export async function lockRepository(trx: Transaction, id: number): Promise<void> {
  const query = trx.selectFrom('repository').select('id').where('id', '=', id)
  await (dialectOf(trx) === 'postgres' ? query.forUpdate() : query).execute()
}

/** Ascending by name. */
export async function listRepositories(reader: Reader, filter: RepositoryFilter): Promise<Repository[]> {
  return (await matching(reader, filter).selectAll().orderBy('name').execute()).map(toRepository)
}

/** Those whose configuration has a cleanup strategy, switched on or not. */
export async function listWithCleanup(reader: Reader): Promise<Repository[]> {
  const rows = await reader
    .selectFrom('repository')
    .selectAll()
    .where('deleted_at', 'is', null)
    .where('configuration', 'like', '%"cleanupStrategy"%')
    .orderBy('id')
    .execute()
  return rows.map(toRepository)
}

/** One page, ascending by name. */
export async function pageRepositories(
  reader: Reader,
  filter: RepositoryFilter,
  page: PageRequest,
): Promise<Page<Repository>> {
  const counted = await matching(reader, filter)
    .select((eb) => eb.fn.countAll<number>().as('total'))
    .executeTakeFirstOrThrow()
  const rows = await matching(reader, filter)
    .selectAll()
    .orderBy('name')
    .limit(page.pageSize)
    .offset(pageOffset(page))
    .execute()
  return { ...page, totalRecords: counted.total, records: rows.map(toRepository) }
}

function matching(reader: Reader, { project, namePrefix, type, visibility }: RepositoryFilter) {
  let query = reader.selectFrom('repository').where('project', '=', project).where('deleted_at', 'is', null)
  if (namePrefix) query = query.where((eb) => startsWith(eb, eb.ref('name'), namePrefix))
  if (type !== undefined) query = query.where('type', '=', type)
  if (visibility !== undefined) {
    const { repoIds, andPublic } = visibility
    const among = repoIds.length === 0 ? sql<boolean>`1 = 0` : anyOf(reader, 'id', repoIds)
    query = query.where((eb) => (andPublic ? eb.or([eb('public', '=', 1), among]) : among))
  }
  return query
}

export function toRepository(row: Selectable<Schema['repository']>): Repository {
  return {
    id: row.id,
    project: row.project,
    name: row.name,
    type: row.type,
    category: row.category as RepositoryCategory,
    public: row.public === 1,
    description: row.description,
    displayName: row.display_name,
    display: row.display === 1,
    owner: row.owner,
    visibility: row.visibility,
    configuration: JSON.parse(row.configuration) as Record<string, unknown>,
    quota: row.quota,
    epoch: row.epoch,
    floorSeq: row.floor_seq,
    createdBy: row.created_by,
    createdAt: row.created_at,
    modifiedBy: row.modified_by,
    modifiedAt: row.modified_at,
  }
}
