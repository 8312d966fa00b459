import { type Selectable, sql } from 'kysely'
import { type NodePath, ROOT } from '../../core/paths.ts'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import { dialectOf } from '../sql/dialect-of.ts'
import { below, live, lockedRowsAt, type NodeRecord, nodesByPath, toNode } from './nodes.ts'

/** Part of a tree, from its end: descending, so that a folder comes after all that lies in it. */
export interface SliceSpan {
  /** Only paths below this one; undefined: from the end. */
  readonly before: NodePath | undefined
  readonly limit: number
}
export interface TreeSlice {
  /** Descending. */
  readonly paths: readonly NodePath[]
  /** True when nothing of the tree is left after it. */
  readonly isLast: boolean
}

/** What came into being later has a higher id. */
export async function newestNodeId(reader: Reader): Promise<number> {
  const row = await reader
    .selectFrom('node')
    .select((eb) => eb.fn.max<number | null>('id').as('id'))
    .executeTakeFirstOrThrow()
  return row.id ?? 0
}

/** Live rows of the tree at `top`, itself included unless it is the root. */
export async function sliceOfTree(
  reader: Reader,
  repoId: number,
  top: NodePath,
  { before, limit, upToId }: SliceSpan & { readonly upToId: number },
): Promise<TreeSlice> {
  let query = live(reader, repoId).where(below(top)).where('id', '<=', upToId)
  if (before !== undefined) query = query.where('path', '<', before)
  const rows = await query.select('path').orderBy('path', 'desc').limit(limit).execute()
  const paths = rows.map(({ path }) => path as NodePath)
  const isLast = paths.length < limit
  return { paths: isLast && top !== ROOT ? [...paths, top] : paths, isLast }
}

/** Live rows at these paths, which nobody else changes, moves or writes below before the transaction ends. */
export async function lockTreeRows(
  trx: Transaction,
  repoId: number,
  paths: readonly NodePath[],
): Promise<Map<NodePath, NodeRecord>> {
  return nodesByPath(await lockedRowsAt(trx, repoId, paths, 'update'))
}

/** Those of the folders in which a live node lies that is none of `exceptIds`. One lookup in an index for each. */
export async function foldersInUse(
  trx: Transaction,
  repoId: number,
  folders: readonly NodePath[],
  exceptIds: readonly number[],
): Promise<Set<NodePath>> {
  if (folders.length === 0) return new Set()
  const child = sql`from node where parent = wanted.path and repo_id = ${repoId} and deleted_at is null`
  const query =
    dialectOf(trx) === 'sqlite'
      ? sql<{
          path: NodePath
        }>`select path from (select value as path from json_each(${JSON.stringify(folders)})) as wanted
          where exists (select 1 ${child} and id not in (select value from json_each(${JSON.stringify(exceptIds)})))`
      : sql<{ path: NodePath }>`select wanted.path from unnest(${[...folders]}::text[]) as wanted (path)
          cross join lateral (select 1 ${child} and id <> all(${[...exceptIds]}::bigint[]) limit 1) as found`
  const { rows } = await query.execute(trx)
  return new Set(rows.map(({ path }) => path))
}

/** A soft-deleted row: a version of a node that can come back until it is purged. */
export interface DeletedNode extends NodeRecord {
  readonly deletedBy: string
  /** UTC epoch milliseconds. */
  readonly deletedAt: number
}

/** What once stood at this very path, the latest deletion first. */
export async function listDeletedAt(
  reader: Reader,
  repoId: number,
  path: NodePath,
  limit: number,
): Promise<DeletedNode[]> {
  const rows = await deleted(reader, repoId)
    .where('path', '=', path)
    .selectAll()
    .orderBy('deleted_at', 'desc')
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
  return rows.map(toDeleted)
}

export interface DeletedSlice {
  /** Descending by path; each path once. */
  readonly nodes: readonly DeletedNode[]
  readonly position: NodePath | undefined
  readonly isLast: boolean
}

/** What one deletion took from the tree at `top`, itself included. */
export async function sliceOfDeletion(
  reader: Reader,
  repoId: number,
  top: NodePath,
  { before, limit, deletedAt }: SliceSpan & { readonly deletedAt: number },
): Promise<DeletedSlice> {
  const some = deleted(reader, repoId).where('deleted_at', '=', deletedAt)
  let query = some.where(below(top))
  if (before !== undefined) query = query.where('path', '<', before)
  const rows = await query.selectAll().orderBy('path', 'desc').orderBy('id', 'desc').limit(limit).execute()
  const position = rows.at(-1)?.path as NodePath | undefined
  const isLast = rows.length < limit
  if (isLast) rows.push(...(await some.where('path', '=', top).selectAll().orderBy('id', 'desc').limit(1).execute()))
  // Two versions of a file may have been replaced within one millisecond: the later one counts.
  const latest = rows.filter((row, index) => row.path !== rows[index - 1]?.path)
  return { nodes: latest.map(toDeleted), position, isLast }
}

const deleted = (reader: Reader, repoId: number) =>
  reader.selectFrom('node').where('repo_id', '=', repoId).where('deleted_at', 'is not', null)

const toDeleted = (row: Selectable<Schema['node']>): DeletedNode => ({
  ...toNode(row),
  deletedBy: row.deleted_by!,
  deletedAt: row.deleted_at!,
})
