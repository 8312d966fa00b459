import { type Expression, type ExpressionBuilder, type RawBuilder, type Selectable, type SqlBool, sql } from 'kysely'
import { type Digest, digestFromBytes } from '../../core/digest.ts'
import type { Hlc } from '../../core/hlc.ts'
import type { Lanes } from '../../core/lanes.ts'
import type { Metadata } from '../../core/metadata.ts'
import { type Page, type PageRequest, pageOffset } from '../../core/paging.ts'
import type { PathScope } from '../../core/path-scope.ts'
import { comparePaths, type NodePath, ROOT } from '../../core/paths.ts'
import type { Reader, Transaction } from '../database.ts'
import type { RepositoryCategory } from '../repositories/repositories.ts'
import type { Schema } from '../schema.ts'
import { arrayLiteral } from '../sql/array-literal.ts'
import { dialectOf } from '../sql/dialect-of.ts'
import { inScopes } from '../sql/in-scopes.ts'
import { preparedQuery } from '../sql/prepared-query.ts'

/** A live file or folder. Times are UTC epoch milliseconds. */
export interface NodeRecord {
  /** Another for every content: an overwrite makes a new row. */
  readonly id: number
  readonly repoId: number
  readonly path: NodePath
  readonly folder: boolean
  /** Undefined for folders. */
  readonly digest: Digest | undefined
  readonly md5: string | null
  /** Unsigned decimal (`core/crc64.ts`). */
  readonly crc64: string | null
  readonly sizeBytes: number
  readonly metadata: Metadata
  /** `peer.id` of the last writer's cluster; 0: this one. */
  readonly origin: number
  readonly hlc: Hlc
  /** `peer_link.id` of the link that wrote it; null: a local user did. */
  readonly viaLink: number | null
  readonly viaMark: number | null
  readonly contentLanes: Lanes
  readonly metadataLanes: Lanes
  readonly expiresAt: number | null
  readonly createdBy: string
  readonly createdAt: number
  readonly modifiedBy: string
  readonly modifiedAt: number
  readonly accessedAt: number | null
}

/** An expired node is hidden at once; its row goes when it is swept or overwritten. */
export const isExpired = (node: Pick<NodeRecord, 'expiresAt'>, now: number): boolean =>
  node.expiresAt !== null && node.expiresAt <= now

const visibleAt = preparedQuery<{ repoId: number; path: string; now: number }, NodeRow>(
  (reader, { repoId, path, now }) => live(reader, repoId).where('path', '=', path).where(visible(now)).selectAll(),
)

/** The node that users see at a path. */
export async function findNode(
  reader: Reader,
  repoId: number,
  path: NodePath,
  now: number,
): Promise<NodeRecord | undefined> {
  const [row] = await visibleAt(reader, { repoId, path, now })
  return row && toNode(row)
}

/** Live rows at these paths in one statement, expired ones included (`isExpired`). */
export async function liveAt(
  reader: Reader,
  repoId: number,
  paths: readonly NodePath[],
): Promise<Map<NodePath, NodeRecord>> {
  return nodesByPath(await rowsAt(reader, repoId, paths))
}

/**
 * One lookup in the unique index per path, in one statement. PostgreSQL is told so by a lateral join: a list of values it would
 * compare with every row of the repository, as long as it has no statistics of a table that just grew.
 */
export async function rowsAt(reader: Reader, repoId: number, paths: readonly NodePath[]): Promise<readonly NodeRow[]> {
  if (paths.length === 0) return []
  if (dialectOf(reader) === 'sqlite') return sqliteRows(reader, { repoId, paths: JSON.stringify(paths) })
  return postgresRows(reader, { repoId, paths: arrayLiteral(paths, (path) => path) })
}

/**
 * The same rows, locked in one round trip: files for change, folders as told. SQLite has one writer, and locks nothing. Locks are
 * taken in order of path, files first, so that two batches over the same paths wait for each other.
 */
export async function lockedRowsAt(
  trx: Transaction,
  repoId: number,
  paths: readonly NodePath[],
  folders: FolderLock,
): Promise<readonly NodeRow[]> {
  if (paths.length === 0 || dialectOf(trx) === 'sqlite') return rowsAt(trx, repoId, paths)
  const sorted = arrayLiteral([...paths].sort(comparePaths), (path) => path)
  return LOCKED_ROWS[folders](trx, { repoId, paths: sorted })
}
/** `share`: writers below one folder do not wait for each other. */
export type FolderLock = 'share' | 'update'

interface PathsWanted {
  readonly repoId: number
  /** A JSON array; PostgreSQL: an array. */
  readonly paths: string
}
const sqliteRows = preparedQuery<PathsWanted, NodeRow>((reader, { repoId, paths }) =>
  live(reader, repoId).where('path', 'in', sql<string>`(select value from json_each(${paths}))`).selectAll(),
)
const postgresRows = preparedQuery<PathsWanted, NodeRow>((reader, wanted) => ({
  compile: () => lateralRows(wanted, sql``).compile(reader),
}))
const LOCKED_ROWS = { share: lockedRows('share'), update: lockedRows('update') } as const

/** Materialized: each part by itself, one after the other. */
function lockedRows(folders: FolderLock) {
  return preparedQuery<PathsWanted, NodeRow>((reader, wanted) => ({
    compile: () =>
      sql<NodeRow>`with files as materialized (${lateralRows(wanted, sql`and folder = 0`, sql`for update`)}),
        folders as materialized (${lateralRows(wanted, sql`and folder = 1`, sql`for ${sql.raw(folders)}`)})
        select * from files union all select * from folders`.compile(reader),
  }))
}

const lateralRows = ({ repoId, paths }: PathsWanted, kind: RawBuilder<unknown>, lock = sql``) =>
  sql<NodeRow>`select found.* from unnest(${paths}::text[]) as wanted (path) cross join lateral (
    select * from node where repo_id = ${repoId} and path = wanted.path and deleted_at is null ${kind} limit 1 ${lock}
  ) as found`

interface ServedValues {
  readonly project: string
  readonly repo: string
  readonly path: string
  readonly now: number
}
interface FoundRepository {
  readonly found_repo: number
  readonly found_category: string
}
const servedAt = preparedQuery<ServedValues, NodeRow & FoundRepository>((reader, { project, repo, path, now }) =>
  reader
    .selectFrom('repository')
    .leftJoin('node', (join) =>
      join
        .onRef('node.repo_id', '=', 'repository.id')
        .on('node.path', '=', path)
        .on('node.deleted_at', 'is', null)
        .on((eb) => eb.or([eb('node.expires_at', 'is', null), eb('node.expires_at', '>', now)])),
    )
    .where('repository.project', '=', project)
    .where('repository.name', '=', repo)
    .where('repository.deleted_at', 'is', null)
    .selectAll('node')
    .select(['repository.id as found_repo', 'repository.category as found_category'])
    .$castTo<NodeRow & FoundRepository>(),
)

/** What a download needs, by the names of the URL, in one statement. `repository` undefined: there is none of that name. */
export async function findServed(
  reader: Reader,
  project: string,
  repo: string,
  path: NodePath,
  now: number,
): Promise<{
  readonly repoId: number | undefined
  readonly category: RepositoryCategory | undefined
  readonly node: NodeRecord | undefined
}> {
  const [row] = await servedAt(reader, { project, repo, path, now })
  const node = row === undefined || row.id === null ? undefined : toNode(row)
  return { repoId: row?.found_repo, category: row?.found_category as RepositoryCategory | undefined, node }
}

export type NodeSortKey =
  | 'name'
  | 'fullPath'
  | 'folder'
  | 'size'
  | 'createdBy'
  | 'createdAt'
  | 'modifiedBy'
  | 'modifiedAt'
export interface NodeOrder {
  readonly key: NodeSortKey
  readonly direction: 'asc' | 'desc'
}
export interface NodeListing {
  /** `tree`: all below the folder, at any depth. */
  readonly depth: 'children' | 'tree'
  readonly kinds: 'all' | 'files'
  /** Paths decide between equals. */
  readonly order: readonly NodeOrder[]
  /** Only what these hold, and the folders on the way; undefined: all. */
  readonly scopes?: readonly PathScope[] | undefined
}

const BELOW_PARENT = sql<string>`substr(path, length(parent) + 1)`
export const SORT_EXPRESSION = {
  name: sql`ltrim(substr(path, length(parent) + 1), '/')`,
  fullPath: sql.ref('path'),
  folder: sql.ref('folder'),
  size: sql.ref('size'),
  createdBy: sql.ref('created_by'),
  createdAt: sql.ref('created_at'),
  modifiedBy: sql.ref('modified_by'),
  modifiedAt: sql.ref('modified_at'),
} as const satisfies Record<NodeSortKey, Expression<unknown>>

/** What lies in a folder; an empty page when nothing does or there is no such folder. */
export async function pageNodes(
  reader: Reader,
  repoId: number,
  folder: NodePath,
  { depth, kinds, order, scopes }: NodeListing,
  page: PageRequest,
  now: number,
): Promise<Page<NodeRecord>> {
  let query = live(reader, repoId).where(visible(now))
  query = depth === 'tree' ? query.where(below(folder)) : query.where('parent', '=', folder)
  if (kinds === 'files') query = query.where('folder', '=', 0)
  if (scopes !== undefined) query = query.where(inScopes(scopes))
  const counted = await query.select((eb) => eb.fn.countAll<number>().as('total')).executeTakeFirstOrThrow()
  let sorted = query.selectAll()
  for (const { key, direction } of order) sorted = sorted.orderBy(SORT_EXPRESSION[key], direction)
  sorted = depth === 'tree' ? sorted.orderBy('path') : sorted.orderBy(BELOW_PARENT)
  const rows = await sorted.limit(page.pageSize).offset(pageOffset(page)).execute()
  return { ...page, totalRecords: counted.total, records: rows.map(toNode) }
}

/** How many nodes lie below a folder, at any depth, and the bytes of the files among them. */
export async function sizeBelow(
  reader: Reader,
  repoId: number,
  folder: NodePath,
  now: number,
): Promise<{ readonly nodes: number; readonly bytes: number }> {
  const row = await live(reader, repoId)
    .where(below(folder))
    .where(visible(now))
    .select((eb) => [eb.fn.countAll<number>().as('nodes'), eb.fn.sum<number | null>('size').as('bytes')])
    .executeTakeFirstOrThrow()
  return { nodes: row.nodes, bytes: row.bytes ?? 0 }
}

export async function hasFiles(reader: Reader, repoId: number, now: number): Promise<boolean> {
  const row = await live(reader, repoId)
    .where('folder', '=', 0)
    .where(visible(now))
    .select('id')
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

/** Some of the live files whose time is over, the longest expired first; those of a deleted repository go with it. */
export async function listExpired(
  reader: Reader,
  now: number,
  limit: number,
): Promise<{ readonly repoId: number; readonly path: NodePath }[]> {
  const rows = await reader
    .selectFrom('node')
    .where('deleted_at', 'is', null)
    .where('expires_at', 'is not', null)
    .where('expires_at', '<=', now)
    .where((eb) => eb.exists(liveRepositoryOf(eb)))
    .select(['repo_id', 'path'])
    .orderBy('expires_at')
    .limit(limit)
    .execute()
  return rows.map(({ repo_id, path }) => ({ repoId: repo_id, path: path as NodePath }))
}

const liveRepositoryOf = (eb: ExpressionBuilder<Schema, 'node'>) =>
  eb
    .selectFrom('repository')
    .select('repository.id')
    .whereRef('repository.id', '=', 'node.repo_id')
    .where('repository.deleted_at', 'is', null)

/** Live rows of a repository. */
export function live(reader: Reader, repoId: number) {
  return reader.selectFrom('node').where('repo_id', '=', repoId).where('deleted_at', 'is', null)
}
/** All paths below a folder, not the folder itself; `0` is the byte after `/`. */
export function below(folder: NodePath) {
  return (eb: ExpressionBuilder<Schema, 'node'>): Expression<SqlBool> =>
    folder === ROOT ? eb('path', '>', '/') : eb.and([eb('path', '>=', `${folder}/`), eb('path', '<', `${folder}0`)])
}
/** Not expired. */
export function visible(now: number) {
  return (eb: ExpressionBuilder<Schema, 'node'>): Expression<SqlBool> =>
    eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', now)])
}

export type NodeRow = Selectable<Schema['node']>

export const nodesByPath = (rows: readonly NodeRow[]): Map<NodePath, NodeRecord> =>
  new Map(rows.map((row) => [row.path as NodePath, toNode(row)]))

export function toNode(row: NodeRow): NodeRecord {
  return {
    id: row.id,
    repoId: row.repo_id,
    path: row.path as NodePath,
    folder: row.folder === 1,
    digest: row.sha256 === null ? undefined : digestFromBytes(row.sha256),
    md5: row.md5,
    crc64: row.crc64,
    sizeBytes: row.size,
    metadata: row.metadata === '[]' ? [] : (JSON.parse(row.metadata) as Metadata),
    origin: row.origin,
    hlc: row.hlc as Hlc,
    viaLink: row.via_link,
    viaMark: row.via_mark,
    contentLanes: [row.c0, row.c1, row.c2, row.c3],
    metadataLanes: [row.m0, row.m1, row.m2, row.m3],
    expiresAt: row.expires_at,
    createdBy: row.created_by,
    createdAt: row.created_at,
    modifiedBy: row.modified_by,
    modifiedAt: row.modified_at,
    accessedAt: row.accessed_at,
  }
}
