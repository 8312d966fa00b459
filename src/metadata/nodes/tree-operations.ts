import type { Selectable } from 'kysely'
import type { NodePath } from '../../core/paths.ts'
import type { Reader, Transaction } from '../database.ts'
import type { Schema } from '../schema.ts'

/** A repository as an operation keeps it: by id, with the names that errors tell. */
export interface RepositoryRef {
  readonly id: number
  readonly project: string
  readonly name: string
}

export interface DeleteRequest {
  readonly kind: 'delete'
  readonly source: RepositoryRef
  readonly path: NodePath
}
/** The node at `path` becomes the one at `targetPath`, and what lies below follows. */
export interface TransferRequest {
  readonly kind: 'copy' | 'move'
  readonly source: RepositoryRef
  readonly path: NodePath
  readonly target: RepositoryRef
  readonly targetPath: NodePath
  readonly overwrite: 'replace' | 'refuse'
}
export const CONFLICT_STRATEGIES = ['SKIP', 'OVERWRITE', 'FAILED'] as const
export type ConflictStrategy = (typeof CONFLICT_STRATEGIES)[number]
export interface RestoreRequest {
  readonly kind: 'restore'
  readonly source: RepositoryRef
  readonly path: NodePath
  /** UTC epoch milliseconds of the deletion. */
  readonly deletedAt: number
  readonly onConflict: ConflictStrategy
}
export type TreeRequest = DeleteRequest | TransferRequest | RestoreRequest

/** What was done so far. */
export interface TreeTotals {
  readonly files: number
  readonly folders: number
  readonly bytes: number
  /** Of a restoration: left as they are, and found in the way. */
  readonly skipped: number
  readonly conflicts: number
}
export const NO_TOTALS: TreeTotals = { files: 0, folders: 0, bytes: 0, skipped: 0, conflicts: 0 }

export interface TreeOperation {
  readonly id: string
  readonly request: TreeRequest
  readonly state: 'RUNNING' | 'DONE' | 'FAILED'
  readonly token: number
  readonly upToId: number
  readonly position: NodePath | undefined
  readonly totals: TreeTotals
  readonly by: string
  /** UTC epoch milliseconds. */
  readonly startedAt: number
  readonly endedAt: number | null
  readonly error: { readonly code: string; readonly message: string } | undefined
}

export async function insertTreeOperation(
  trx: Transaction,
  { id, request, upToId, by, startedAt }: Pick<TreeOperation, 'id' | 'request' | 'upToId' | 'by' | 'startedAt'>,
): Promise<void> {
  await trx
    .insertInto('tree_operation')
    .values({
      id,
      repo_id: request.source.id,
      request: JSON.stringify(request),
      state: 'RUNNING',
      token: 0,
      up_to_id: upToId,
      position: null,
      ...NO_TOTALS,
      by,
      started_at: startedAt,
      ended_at: null,
      error: null,
    })
    .execute()
}

/** From here on only the holder of `token` goes on with it. @returns undefined when it has ended, or a later claim has it. */
export async function takeTreeOperation(
  trx: Transaction,
  id: string,
  token: number,
): Promise<TreeOperation | undefined> {
  const row = await trx
    .updateTable('tree_operation')
    .set({ token })
    .where('id', '=', id)
    .where('state', '=', 'RUNNING')
    .where('token', '<', token)
    .returningAll()
    .executeTakeFirst()
  return row && toOperation(row)
}

export interface TreeProgress {
  readonly totals: TreeTotals
  readonly position: NodePath | undefined
  /** UTC epoch milliseconds; undefined: it goes on. */
  readonly doneAt: number | undefined
}

/** In the transaction of the slice itself. @returns false: somebody else has the operation, and the slice must not be. */
export async function saveTreeProgress(
  trx: Transaction,
  { id, token }: Pick<TreeOperation, 'id' | 'token'>,
  { totals, position, doneAt }: TreeProgress,
): Promise<boolean> {
  const end = doneAt === undefined ? {} : { state: 'DONE', ended_at: doneAt }
  const { numUpdatedRows } = await held(trx, id, token)
    .set({ ...totals, position: position ?? null, ...end })
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

export async function failTreeOperation(
  trx: Transaction,
  { id, token }: Pick<TreeOperation, 'id' | 'token'>,
  error: { readonly code: string; readonly message: string },
  at: number,
): Promise<void> {
  await held(trx, id, token)
    .set({ state: 'FAILED', ended_at: at, error: JSON.stringify(error) })
    .execute()
}

export async function findTreeOperation(reader: Reader, id: string): Promise<TreeOperation | undefined> {
  const row = await reader.selectFrom('tree_operation').selectAll().where('id', '=', id).executeTakeFirst()
  return row && toOperation(row)
}

/** Of one repository, the newest first. */
export async function listTreeOperations(reader: Reader, repoId: number, limit: number): Promise<TreeOperation[]> {
  const rows = await reader
    .selectFrom('tree_operation')
    .selectAll()
    .where('repo_id', '=', repoId)
    .orderBy('started_at', 'desc')
    .orderBy('id')
    .limit(limit)
    .execute()
  return rows.map(toOperation)
}

/** Forgets operations that ended before (UTC epoch ms). */
export async function deleteEndedTreeOperations(trx: Transaction, before: number): Promise<void> {
  await trx.deleteFrom('tree_operation').where('ended_at', 'is not', null).where('ended_at', '<', before).execute()
}

function held(trx: Transaction, id: string, token: number) {
  return trx
    .updateTable('tree_operation')
    .where('id', '=', id)
    .where('token', '=', token)
    .where('state', '=', 'RUNNING')
}

function toOperation(row: Selectable<Schema['tree_operation']>): TreeOperation {
  const { files, folders, bytes, skipped, conflicts } = row
  return {
    id: row.id,
    request: JSON.parse(row.request) as TreeRequest,
    state: row.state as TreeOperation['state'],
    token: row.token,
    upToId: row.up_to_id,
    position: (row.position ?? undefined) as NodePath | undefined,
    totals: { files, folders, bytes, skipped, conflicts },
    by: row.by,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    error: row.error === null ? undefined : (JSON.parse(row.error) as TreeOperation['error']),
  }
}
