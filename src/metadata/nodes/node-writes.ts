import type { Selectable } from 'kysely'
import type { Hlc } from '../../core/hlc.ts'
import type { Lanes } from '../../core/lanes.ts'
import type { NodePath } from '../../core/paths.ts'
import type { Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import { dialectOf } from '../sql/dialect-of.ts'
import { insertingRows, type RowInsert, updatingRows } from '../sql/insert-rows.ts'
import { nextId } from '../sql/next-id.ts'
import { live, lockedRowsAt, type NodeRecord, nodesByPath } from './nodes.ts'

export type NewNode = Omit<Selectable<Schema['node']>, 'id'>

/** Who deletes, when (UTC epoch ms), and with which stamp. */
export interface Deletion {
  readonly by: string
  readonly at: number
  readonly hlc: Hlc
  /** `peer.id` and `peer_link.id` when another cluster deletes; 0 and null for local users. */
  readonly origin: number
  readonly viaLink: number | null
  /** As in `node`, when a run of another cluster deletes. */
  readonly viaMark?: number | null
}

/**
 * Live rows at these paths, which nobody else changes before the transaction ends: files are locked for change, folders only
 * against being deleted, so that writers below one folder do not wait for each other. SQLite has one writer anyway.
 */
export async function lockLiveRows(
  trx: Transaction,
  repoId: number,
  paths: readonly NodePath[],
): Promise<Map<NodePath, NodeRecord>> {
  return nodesByPath(await lockedRowsAt(trx, repoId, paths, 'share'))
}

type NumberedNode = NewNode & { readonly id: number }

const NODE_COLUMNS: RowInsert<'node', NewNode>['columns'] = {
  repo_id: ['bigint', (row) => row.repo_id],
  path: ['text', (row) => row.path],
  parent: ['text', (row) => row.parent],
  folder: ['bigint', (row) => row.folder],
  sha256: ['bytea', (row) => row.sha256],
  md5: ['text', (row) => row.md5],
  crc64: ['text', (row) => row.crc64],
  size: ['bigint', (row) => row.size],
  metadata: ['text', (row) => row.metadata],
  origin: ['bigint', (row) => row.origin],
  hlc: ['text', (row) => row.hlc],
  via_link: ['bigint', (row) => row.via_link],
  via_mark: ['bigint', (row) => row.via_mark],
  c0: ['integer', (row) => row.c0],
  c1: ['integer', (row) => row.c1],
  c2: ['integer', (row) => row.c2],
  c3: ['integer', (row) => row.c3],
  m0: ['integer', (row) => row.m0],
  m1: ['integer', (row) => row.m1],
  m2: ['integer', (row) => row.m2],
  m3: ['integer', (row) => row.m3],
  expires_at: ['bigint', (row) => row.expires_at],
  created_by: ['text', (row) => row.created_by],
  created_at: ['bigint', (row) => row.created_at],
  modified_by: ['text', (row) => row.modified_by],
  modified_at: ['bigint', (row) => row.modified_at],
  accessed_at: ['bigint', (row) => row.accessed_at],
  deleted_by: ['text', (row) => row.deleted_by],
  deleted_at: ['bigint', (row) => row.deleted_at],
}
const UNLESS_LIVE = 'on conflict (repo_id, path) where deleted_at is null do nothing'
const insertNumbered = insertingRows<'node', NumberedNode>({
  into: 'node',
  columns: { id: ['bigint', (row) => row.id], ...NODE_COLUMNS },
  onConflict: UNLESS_LIVE,
})
const insertReturning = insertingRows<'node', NewNode, { id: number; path: NodePath }>({
  into: 'node',
  columns: NODE_COLUMNS,
  onConflict: UNLESS_LIVE,
  returning: 'id, path',
})

/** Inserts what is not there. @returns id by path of the rows that went in; for the others a live row stands at their path. */
export async function insertNodes(trx: Transaction, rows: readonly NewNode[]): Promise<Map<NodePath, number>> {
  if (rows.length === 0) return new Map()
  if (dialectOf(trx) === 'postgres') {
    const { returned } = await insertReturning(trx, rows)
    return new Map(returned.map(({ id, path }) => [path, id]))
  }
  const firstId = await nextId(trx, 'node')
  const numbered = rows.map((row, index): NumberedNode => ({ ...row, id: firstId + index }))
  const { affected } = await insertNumbered(trx, numbered)
  const inserted =
    affected === rows.length ? numbered : await thoseInserted(trx, numbered, firstId, firstId + rows.length)
  return new Map(inserted.map(({ id, path }) => [path as NodePath, id]))
}

async function thoseInserted(
  trx: Transaction,
  rows: readonly NumberedNode[],
  fromId: number,
  toId: number,
): Promise<NumberedNode[]> {
  const there = await trx.selectFrom('node').select('id').where('id', '>=', fromId).where('id', '<', toId).execute()
  const ids = new Set(there.map(({ id }) => id))
  return rows.filter(({ id }) => ids.has(id))
}

interface Retirement {
  readonly id: number
  readonly by: string
  readonly at: number
}
const retire = updatingRows<Retirement>({
  columns: { id: ['bigint', ({ id }) => id], deleter: ['text', ({ by }) => by], moment: ['bigint', ({ at }) => at] },
  statement: `update node set deleted_at = v.moment, modified_at = v.moment, deleted_by = v.deleter, modified_by = v.deleter
    from v where node.id = v.id and node.deleted_at is null`,
})

/** Soft-deletes rows by id, each in its own name. @returns how many were still live. */
export async function retireNodes(
  trx: Transaction,
  nodes: readonly { readonly id: number; readonly by: string }[],
  at: number,
): Promise<number> {
  const { affected } = await retire(
    trx,
    nodes.map(({ id, by }) => ({ id, by, at })),
  )
  return affected
}

export interface MetadataWrite {
  readonly id: number
  readonly metadata: string
  readonly lanes: Lanes
  readonly modifiedBy: string
  readonly modifiedAt: number
  readonly origin: number
  readonly hlc: Hlc
  readonly viaLink: number | null
  readonly viaMark: number | null
}
const updateMetadata = updatingRows<MetadataWrite>({
  columns: {
    id: ['bigint', (write) => write.id],
    metadata: ['text', (write) => write.metadata],
    m0: ['integer', ({ lanes }) => lanes[0]],
    m1: ['integer', ({ lanes }) => lanes[1]],
    m2: ['integer', ({ lanes }) => lanes[2]],
    m3: ['integer', ({ lanes }) => lanes[3]],
    modified_by: ['text', (write) => write.modifiedBy],
    modified_at: ['bigint', (write) => write.modifiedAt],
    origin: ['bigint', (write) => write.origin],
    hlc: ['text', (write) => write.hlc],
    via_link: ['bigint', (write) => write.viaLink],
    via_mark: ['bigint', (write) => write.viaMark],
  },
  statement: `update node set metadata = v.metadata, m0 = v.m0, m1 = v.m1, m2 = v.m2, m3 = v.m3,
    modified_by = v.modified_by, modified_at = v.modified_at, origin = v.origin, hlc = v.hlc,
    via_link = v.via_link, via_mark = v.via_mark from v where node.id = v.id and node.deleted_at is null`,
})

/** Changes live rows in place. @returns how many were still live. */
export async function updateNodeMetadata(trx: Transaction, writes: readonly MetadataWrite[]): Promise<number> {
  const { affected } = await updateMetadata(trx, writes)
  return affected
}

/** Remembers that these files were deleted, in place of earlier tombstones of the same paths. */
export async function saveTombstones(
  trx: Transaction,
  repoId: number,
  paths: readonly NodePath[],
  { at, ...deletion }: Deletion,
): Promise<void> {
  const tombstones = paths.map((path) => ({ path, ...deletion }))
  await saveEachTombstone(trx, repoId, tombstones, at)
}

export interface TombstoneWrite extends Omit<Deletion, 'at'> {
  readonly path: NodePath
}
interface TombstoneRow extends TombstoneWrite {
  readonly repoId: number
  readonly at: number
}
const insertTombstones = insertingRows<'tombstone', TombstoneRow>({
  into: 'tombstone',
  columns: {
    repo_id: ['bigint', ({ repoId }) => repoId],
    path: ['text', ({ path }) => path],
    hlc: ['text', ({ hlc }) => hlc],
    origin: ['bigint', ({ origin }) => origin],
    deleted_at: ['bigint', ({ at }) => at],
    deleted_by: ['text', ({ by }) => by],
    via_link: ['bigint', ({ viaLink }) => viaLink],
    via_mark: ['bigint', ({ viaMark }) => viaMark ?? null],
  },
  onConflict: `on conflict (repo_id, path) do update set hlc = excluded.hlc, origin = excluded.origin,
    deleted_at = excluded.deleted_at, deleted_by = excluded.deleted_by, via_link = excluded.via_link,
    via_mark = excluded.via_mark`,
})

/** `saveTombstones` where each has a stamp of its own. */
export async function saveEachTombstone(
  trx: Transaction,
  repoId: number,
  tombstones: readonly TombstoneWrite[],
  at: number,
): Promise<void> {
  await insertTombstones(
    trx,
    tombstones.map((tombstone) => ({ ...tombstone, repoId, at })),
  )
}

export interface Deleted {
  readonly files: number
  readonly folders: number
  readonly bytes: number
}
/** Soft-deletes up to `limit` rows of a repository that is deleted itself: nobody follows its change log any more. */
export async function retireSliceOfRepository(
  trx: Transaction,
  repoId: number,
  by: string,
  at: number,
  limit: number,
): Promise<number> {
  const some = live(trx, repoId).select('id').limit(limit)
  const { numUpdatedRows } = await trx
    .updateTable('node')
    .set({ deleted_at: at, deleted_by: by, modified_at: at, modified_by: by })
    .where('id', 'in', some)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  return Number(numUpdatedRows)
}
