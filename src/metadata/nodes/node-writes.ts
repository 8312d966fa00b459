import { type Insertable, sql } from 'kysely'
import type { Hlc } from '../../core/hlc.ts'
import type { NodePath } from '../../core/paths.ts'
import type { Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'
import { dialectOf } from '../sql/dialect-of.ts'
import { live, type NodeRecord, nodesByPath, rowsAt } from './nodes.ts'

/** 28 columns a row: below the 32,766 parameters of a SQLite statement, and few texts of statements to prepare. */
const ROWS_PER_STATEMENT = 250

export type NewNode = Insertable<Schema['node']>

/** Who deletes, when (UTC epoch ms), and with which stamp. */
export interface Deletion {
  readonly by: string
  readonly at: number
  readonly hlc: Hlc
  /** `peer.id` and `peer_link.id` when another cluster deletes; 0 and null for local users. */
  readonly origin: number
  readonly viaLink: number | null
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
  if (dialectOf(trx) === 'sqlite') return nodesByPath(await rowsAt(trx, repoId, paths))
  const files = await rowsAt(trx, repoId, paths, { folder: 0, strength: 'update' })
  const folders = await rowsAt(trx, repoId, paths, { folder: 1, strength: 'share' })
  return nodesByPath([...files, ...folders])
}

/** Inserts what is not there. @returns id by path of the rows that went in; for the others a live row stands at their path. */
export async function insertNodes(trx: Transaction, rows: readonly NewNode[]): Promise<Map<NodePath, number>> {
  const inserted = new Map<NodePath, number>()
  for (const slice of slices(rows)) {
    const made = await trx
      .insertInto('node')
      .values(slice)
      .onConflict((oc) => oc.columns(['repo_id', 'path']).where('deleted_at', 'is', null).doNothing())
      .returning(['id', 'path'])
      .execute()
    for (const { id, path } of made) inserted.set(path as NodePath, id)
  }
  return inserted
}

/** Soft-deletes rows by id, each in its own name. @returns how many were still live. */
export async function retireNodes(
  trx: Transaction,
  nodes: readonly { readonly id: number; readonly by: string }[],
  at: number,
): Promise<number> {
  let retired = 0
  for (const slice of slices(nodes)) {
    const values = slice.map(({ id, by }) => sql`(cast(${id} as bigint), cast(${by} as text))`)
    const { numAffectedRows } = await sql`
      update node set deleted_at = ${at}, modified_at = ${at}, deleted_by = gone.column2, modified_by = gone.column2
      from (values ${sql.join(values)}) as gone where node.id = gone.column1 and node.deleted_at is null`.execute(trx)
    retired += Number(numAffectedRows)
  }
  return retired
}

export interface MetadataWrite {
  readonly id: number
  readonly metadata: string
  readonly lanes: readonly number[]
  readonly modifiedBy: string
  readonly modifiedAt: number
  readonly origin: number
  readonly hlc: Hlc
  readonly viaLink: number | null
  readonly viaMark: number | null
}
/** Changes live rows in place. @returns how many were still live. */
export async function updateNodeMetadata(trx: Transaction, writes: readonly MetadataWrite[]): Promise<number> {
  let updated = 0
  for (const slice of slices(writes)) {
    const values = slice.map(
      (write) => sql`(cast(${write.id} as bigint), cast(${write.metadata} as text),
        ${sql.join(write.lanes.map((lane) => sql`cast(${lane} as integer)`))},
        cast(${write.modifiedBy} as text), cast(${write.modifiedAt} as bigint), cast(${write.origin} as bigint),
        cast(${write.hlc} as text), cast(${write.viaLink} as bigint), cast(${write.viaMark} as bigint))`,
    )
    const { numAffectedRows } = await sql`
      update node set metadata = v.column2, m0 = v.column3, m1 = v.column4, m2 = v.column5, m3 = v.column6,
        modified_by = v.column7, modified_at = v.column8, origin = v.column9, hlc = v.column10,
        via_link = v.column11, via_mark = v.column12
      from (values ${sql.join(values)}) as v where node.id = v.column1 and node.deleted_at is null`.execute(trx)
    updated += Number(numAffectedRows)
  }
  return updated
}

/** Remembers that these files were deleted, in place of earlier tombstones of the same paths. */
export async function saveTombstones(
  trx: Transaction,
  repoId: number,
  paths: readonly NodePath[],
  { at, hlc, origin }: Deletion,
): Promise<void> {
  for (const slice of slices(paths)) {
    await trx
      .insertInto('tombstone')
      .values(slice.map((path) => ({ repo_id: repoId, path, hlc, origin, deleted_at: at })))
      .onConflict((oc) =>
        oc.columns(['repo_id', 'path']).doUpdateSet((eb) => ({
          hlc: eb.ref('excluded.hlc'),
          origin: eb.ref('excluded.origin'),
          deleted_at: eb.ref('excluded.deleted_at'),
        })),
      )
      .execute()
  }
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

function* slices<T>(rows: readonly T[]): Generator<T[]> {
  for (let at = 0; at < rows.length; at += ROWS_PER_STATEMENT) yield rows.slice(at, at + ROWS_PER_STATEMENT)
}
