import { type ExpressionBuilder, type Selectable, type SelectQueryBuilder, sql } from 'kysely'
import type { Reader, Transaction } from './database.ts'
import type { Schema } from './schema.ts'

/** A project as users see it. Times are UTC epoch milliseconds. */
export interface Project {
  readonly name: string
  readonly displayName: string
  readonly description: string
  readonly metadata: readonly unknown[]
  readonly createdBy: string
  readonly createdAt: number
  readonly modifiedBy: string
  readonly modifiedAt: number
}

export interface ProjectFilter {
  /** Exact names; undefined: any. */
  readonly names?: readonly string[] | undefined
  readonly displayNames?: readonly string[] | undefined
  /** Only projects that hold a public repository. */
  readonly visibility?: 'public' | undefined
}
export type ProjectSortKey = 'name' | 'displayName' | 'createdAt' | 'modifiedAt'
export interface ProjectOrder {
  readonly key: ProjectSortKey
  readonly direction: 'asc' | 'desc'
}
const SORT_COLUMN = {
  name: 'name',
  displayName: 'display_name',
  createdAt: 'created_at',
  modifiedAt: 'modified_at',
} as const satisfies Record<ProjectSortKey, keyof Schema['project']>

/** @returns false when the name is taken. */
export async function insertProject(trx: Transaction, project: Project): Promise<boolean> {
  const rows = await trx
    .insertInto('project')
    .values({
      name: project.name,
      display_name: project.displayName,
      description: project.description,
      metadata: JSON.stringify(project.metadata),
      created_by: project.createdBy,
      created_at: project.createdAt,
      modified_by: project.modifiedBy,
      modified_at: project.modifiedAt,
    })
    .onConflict((oc) => oc.column('name').doNothing())
    .returning('name')
    .execute()
  return rows.length === 1
}

/** Undefined fields stay as they are. @returns false when there is no such project. */
export async function updateProject(
  trx: Transaction,
  name: string,
  change: { readonly displayName: string | undefined; readonly description: string | undefined },
  by: string,
  at: number,
): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('project')
    .set({ modified_by: by, modified_at: at })
    .$if(change.displayName !== undefined, (query) => query.set({ display_name: change.displayName! }))
    .$if(change.description !== undefined, (query) => query.set({ description: change.description! }))
    .where('name', '=', name)
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

export async function findProject(reader: Reader, name: string): Promise<Project | undefined> {
  const row = await reader.selectFrom('project').selectAll().where('name', '=', name).executeTakeFirst()
  return row && toProject(row)
}

/** All that match, in the order given, names deciding between equals. */
export async function listProjects(
  reader: Reader,
  filter: ProjectFilter,
  order: readonly ProjectOrder[] = [],
): Promise<Project[]> {
  const rows = await ordered(matching(reader, filter), order).selectAll().execute()
  return rows.map(toProject)
}

function matching(reader: Reader, { names, displayNames, visibility }: ProjectFilter) {
  let query = reader.selectFrom('project')
  if (visibility === 'public') {
    const holders = reader
      .selectFrom('repository')
      .select('project')
      .where('public', '=', 1)
      .where('deleted_at', 'is', null)
    query = query.where('name', 'in', holders)
  }
  if (names !== undefined) query = query.where((eb) => within(eb, 'name', names))
  if (displayNames !== undefined) query = query.where((eb) => within(eb, 'display_name', displayNames))
  return query
}
type Column = 'name' | 'display_name'
const within = (eb: ExpressionBuilder<Schema, 'project'>, column: Column, values: readonly string[]) =>
  values.length === 0 ? sql<boolean>`1 = 0` : eb(column, 'in', values)

function ordered<O>(query: SelectQueryBuilder<Schema, 'project', O>, order: readonly ProjectOrder[]) {
  return order.reduce((so, { key, direction }) => so.orderBy(SORT_COLUMN[key], direction), query).orderBy('name')
}

function toProject(row: Selectable<Schema['project']>): Project {
  return {
    name: row.name,
    displayName: row.display_name,
    description: row.description,
    metadata: JSON.parse(row.metadata) as unknown[],
    createdBy: row.created_by,
    createdAt: row.created_at,
    modifiedBy: row.modified_by,
    modifiedAt: row.modified_at,
  }
}
