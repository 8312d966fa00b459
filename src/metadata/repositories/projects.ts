import { type ExpressionBuilder, type Selectable, type SelectQueryBuilder, sql } from 'kysely'
import { type Page, type PageRequest, pageOffset } from '../../core/paging.ts'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'

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
  /** Parts of the name and of the display name, in any case. */
  readonly namePart?: string | undefined
  readonly displayNamePart?: string | undefined
  /** Only these, and those that hold a public repository if it says so; undefined: all. */
  readonly visibility?: { readonly names: readonly string[]; readonly andPublic: boolean } | undefined
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
  change: {
    readonly displayName: string | undefined
    readonly description: string | undefined
    readonly metadata: readonly unknown[] | undefined
  },
  by: string,
  at: number,
): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('project')
    .set({ modified_by: by, modified_at: at })
    .$if(change.displayName !== undefined, (query) => query.set({ display_name: change.displayName! }))
    .$if(change.description !== undefined, (query) => query.set({ description: change.description! }))
    .$if(change.metadata !== undefined, (query) => query.set({ metadata: JSON.stringify(change.metadata) }))
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

/** One page, in the order given, names deciding between equals. */
export async function pageProjects(
  reader: Reader,
  filter: ProjectFilter,
  order: readonly ProjectOrder[],
  page: PageRequest,
): Promise<Page<Project>> {
  const counted = await matching(reader, filter)
    .select((eb) => eb.fn.countAll<number>().as('total'))
    .executeTakeFirstOrThrow()
  const sorted = ordered(matching(reader, filter), order).selectAll()
  const rows = await sorted.limit(page.pageSize).offset(pageOffset(page)).execute()
  return { ...page, totalRecords: counted.total, records: rows.map(toProject) }
}

function matching(reader: Reader, { names, displayNames, namePart, displayNamePart, visibility }: ProjectFilter) {
  let query = reader.selectFrom('project')
  if (visibility !== undefined) {
    const holders = reader
      .selectFrom('repository')
      .select('project')
      .where('public', '=', 1)
      .where('deleted_at', 'is', null)
    query = query.where((eb) => {
      const among = within(eb, 'name', visibility.names)
      return visibility.andPublic ? eb.or([eb('name', 'in', holders), among]) : among
    })
  }
  if (names !== undefined) query = query.where((eb) => within(eb, 'name', names))
  if (displayNames !== undefined) query = query.where((eb) => within(eb, 'display_name', displayNames))
  if (namePart) query = query.where(holds('name', namePart))
  if (displayNamePart) query = query.where(holds('display_name', displayNamePart))
  return query
}
type Column = 'name' | 'display_name'
/** Letters of ASCII in any case: both databases lower no others. LIKE's own signs are escaped. */
const holds = (column: Column, part: string) => {
  const pattern = `%${part.replace(/[A-Z]/g, (letter) => letter.toLowerCase()).replace(/[\\%_]/g, '\\$&')}%`
  return sql<boolean>`lower(${sql.ref(column)}) like ${pattern} escape '\\'`
}
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
