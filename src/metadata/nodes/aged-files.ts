import { sql } from 'kysely'
import type { NodePath } from '../../core/paths.ts'
import type { Reader } from '../database.ts'
import { dialectOf } from '../sql/dialect-of.ts'
import { below, live } from './nodes.ts'
import { searchIndexed } from './search-indexed.ts'

/** A live file, expired ones included, and when it was last modified (UTC epoch ms). */
export interface AgedFile {
  readonly id: number
  readonly path: NodePath
  readonly modifiedAt: number
}

/** Files of a repository that were last modified before a time, the longest ago first; after `after`. The index `node_modified` serves it. */
export async function listModifiedBefore(
  reader: Reader,
  repoId: number,
  before: number,
  after: AgedFile | undefined,
  limit: number,
): Promise<AgedFile[]> {
  let query = live(reader, repoId).where('folder', '=', 0).where('modified_at', '<', before)
  for (const condition of searchIndexed(dialectOf(reader))) query = query.where(condition)
  if (after !== undefined) {
    const { modifiedAt, id } = after
    query = query
      .where('modified_at', '>=', modifiedAt)
      .where((eb) => eb.or([eb('modified_at', '>', modifiedAt), eb('id', '>', id)]))
  }
  const rows = await query
    .select(['id', 'path', 'modified_at'])
    .orderBy('modified_at')
    .orderBy('id')
    .limit(limit)
    .execute()
  return rows.map(toAged)
}

/** Nodes below a folder in order of path, after `after`: a bounded look, whatever is among them. */
export async function walkBelow(
  reader: Reader,
  repoId: number,
  folder: NodePath,
  after: NodePath | undefined,
  limit: number,
): Promise<(AgedFile & { readonly folder: boolean })[]> {
  let query = live(reader, repoId).where(below(folder))
  if (after !== undefined) query = query.where('path', '>', after)
  const rows = await query.select(['id', 'path', 'modified_at', 'folder']).orderBy('path').limit(limit).execute()
  return rows.map((row) => ({ ...toAged(row), folder: row.folder === 1 }))
}

const REST = sql<string>`substr(path, length(parent) + 1)`

/** Files right in a folder, in order of name, after `after`. The index `node_children` serves it. */
export async function walkFilesIn(
  reader: Reader,
  repoId: number,
  folder: NodePath,
  after: NodePath | undefined,
  limit: number,
): Promise<AgedFile[]> {
  let query = live(reader, repoId).where('parent', '=', folder).where('folder', '=', 0)
  if (after !== undefined) query = query.where(REST, '>', after.slice(folder.length))
  const rows = await query.select(['id', 'path', 'modified_at']).orderBy(REST).limit(limit).execute()
  return rows.map(toAged)
}

const toAged = (row: { id: number; path: string; modified_at: number }): AgedFile => ({
  id: row.id,
  path: row.path as NodePath,
  modifiedAt: row.modified_at,
})
