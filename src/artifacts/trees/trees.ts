import { AppError, invalid } from '../../core/errors.ts'
import { type NodePath, ROOT } from '../../core/paths.ts'
import type { MetadataDatabase, Reader } from '../../metadata/database.ts'
import { isExpired, liveAt, type NodeRecord } from '../../metadata/nodes/nodes.ts'
import type { ConflictStrategy, TreeOperation } from '../../metadata/nodes/tree-operations.ts'
import { type DeletedNode, listDeletedAt } from '../../metadata/nodes/tree-rows.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { nodeExisted } from '../nodes/node-writer.ts'
import { nodeNotFound } from '../nodes/nodes.ts'
import { requireOwnFiles, requireUploads } from '../repositories/repository-uploads.ts'
import type { TreeOperations } from './tree-operations.ts'
import { type Destination, planTransfer, type TreeEnd } from './tree-plan.ts'

export { CONFLICT_STRATEGIES, type ConflictStrategy, type TreeOperation } from '../../metadata/nodes/tree-operations.ts'
export type { DeletedNode } from '../../metadata/nodes/tree-rows.ts'

/** What a deletion took away. */
export interface DeletedTree {
  /** Files and folders, the named one included. */
  readonly nodes: number
  readonly bytes: number
  /** UTC epoch milliseconds; names the restore point. */
  readonly at: number
}

export interface TransferOrder {
  readonly kind: 'copy' | 'move'
  readonly from: { readonly repository: Repository; readonly path: NodePath }
  readonly to: { readonly repository: Repository; readonly path: NodePath }
  readonly overwrite: 'replace' | 'refuse'
}
export interface TransferredTree {
  /** Where it is now. */
  readonly path: NodePath
  readonly files: number
  readonly folders: number
  readonly bytes: number
}

/** Both undefined: the latest deletion. */
export interface RestorePoint {
  /** UTC epoch milliseconds. */
  readonly deletedAt: number | undefined
  readonly id: number | undefined
}
export interface RestoredTree {
  readonly restored: number
  readonly skipped: number
  readonly conflicts: number
}

/**
 * Moves, copies, deletions and restorations of files and whole trees (core.md 7.3). What comes to a tree while one of them works
 * on it stays as it is. An operation goes on when the signal aborts; only the waiting ends.
 */
export interface Trees {
  /** A file, or a folder with all below it. @throws AppError NODE_NOT_FOUND, PARAMETER_INVALID for the root. */
  delete(repository: Repository, path: NodePath, by: string, signal: AbortSignal): Promise<DeletedTree>
  /**
   * By the table of core.md 7.3. Fails fast: what was done before the first error stays.
   * @throws AppError NODE_NOT_FOUND, NODE_CONFLICT, METHOD_NOT_ALLOWED for a repository of another category, QUOTA_EXCEEDED.
   */
  transfer(order: TransferOrder, by: string, signal: AbortSignal): Promise<TransferredTree>
  /** @throws AppError NODE_NOT_FOUND, NODE_EXISTED, NODE_CONFLICT. */
  rename(
    repository: Repository,
    path: NodePath,
    newPath: NodePath,
    by: string,
    signal: AbortSignal,
  ): Promise<TransferredTree>
  /** What once stood at this very path and can come back, the latest first; overwritten versions, too. */
  listDeleted(repository: Repository, path: NodePath): Promise<DeletedNode[]>
  /** What one deletion took from the path. @throws AppError NODE_NOT_FOUND when it took nothing, NODE_CONFLICT with FAILED. */
  restore(
    repository: Repository,
    path: NodePath,
    point: RestorePoint,
    onConflict: ConflictStrategy,
    by: string,
    signal: AbortSignal,
  ): Promise<RestoredTree>
  /** Operations on large trees of a repository that run or ended lately, the newest first. */
  listOperations(repository: Repository): Promise<TreeOperation[]>
}

interface TreeDeps {
  readonly db: MetadataDatabase
  readonly operations: TreeOperations
}

const DELETIONS_SHOWN = 1_000

export function createTrees({ db, operations }: TreeDeps): Trees {
  async function move(
    { kind, from, to, overwrite }: TransferOrder,
    how: Destination,
    by: string,
    signal: AbortSignal,
  ): Promise<TransferredTree> {
    requireUploads(from.repository)
    requireUploads(to.repository)
    const done = await operations.run(
      async (trx, now) => {
        const source = await endOf(trx, from, now)
        if (source.is === 'absent') throw nodeNotFound(from.path)
        const destination = await endOf(trx, to, now)
        if (how === 'exactly' && destination.is !== 'absent') throw nodeExisted(to.path)
        const targetPath = planTransfer(kind, source, destination, how)
        if (targetPath === undefined) return undefined
        const [path, target] = [from.path, refOf(to.repository)]
        return { request: { kind, source: refOf(from.repository), path, target, targetPath, overwrite } }
      },
      by,
      signal,
    )
    if (done === undefined) return { path: from.path, files: 0, folders: 0, bytes: 0 }
    const { files, folders, bytes } = done.outcome
    return { path: done.plan.request.targetPath, files, folders, bytes }
  }

  /** @throws AppError NODE_NOT_FOUND when there is no such point. */
  async function timeOf(reader: Reader, repository: Repository, path: NodePath, point: RestorePoint): Promise<number> {
    if (point.deletedAt !== undefined && point.id === undefined) return point.deletedAt
    const known = await listDeletedAt(reader, repository.id, path, DELETIONS_SHOWN)
    const found = point.id === undefined ? known[0] : known.find(({ id }) => id === point.id)
    if (found === undefined) throw nothingDeleted(path)
    return found.deletedAt
  }

  return {
    async delete(repository, path, by, signal) {
      requireOwnFiles(repository)
      // One careless call must not empty a repository; deleting the repository itself can.
      if (path === ROOT) throw invalid('fullPath', 'the root cannot be deleted')
      const done = await operations.run(
        async (trx, now) => {
          const node = (await liveAt(trx, repository.id, [path])).get(path)
          if (node === undefined || isExpired(node, now)) throw nodeNotFound(path)
          return { request: { kind: 'delete', source: refOf(repository), path } }
        },
        by,
        signal,
      )
      const { files, folders, bytes, at } = done!.outcome
      return { nodes: files + folders, bytes, at }
    },
    transfer: (order, by, signal) => move(order, 'into-folders', by, signal),
    async rename(repository, path, newPath, by, signal) {
      if (path === ROOT) throw invalid('fullPath', 'the root cannot be renamed')
      const order = { kind: 'move', from: { repository, path }, to: { repository, path: newPath } } as const
      return move({ ...order, overwrite: 'refuse' }, 'exactly', by, signal)
    },
    listDeleted: (repository, path) => listDeletedAt(db.read, repository.id, path, DELETIONS_SHOWN),
    async restore(repository, path, point, onConflict, by, signal) {
      requireOwnFiles(repository)
      const done = await operations.run(
        async (trx) => {
          const deletedAt = await timeOf(trx, repository, path, point)
          return { request: { kind: 'restore', source: refOf(repository), path, deletedAt, onConflict } }
        },
        by,
        signal,
      )
      const { files, folders, skipped, conflicts } = done!.outcome
      if (files + folders + conflicts === 0 && !(await isThere(db.read, repository, path))) throw nothingDeleted(path)
      return { restored: files + folders, skipped, conflicts }
    },
    listOperations: ({ id }) => operations.list(id),
  }

  async function isThere(reader: Reader, { id }: Repository, path: NodePath): Promise<boolean> {
    return path === ROOT || (await liveAt(reader, id, [path])).has(path)
  }
  async function endOf(reader: Reader, end: TransferOrder['from'], now: number): Promise<TreeEnd> {
    const { repository, path } = end
    const at = { repoId: repository.id, path }
    if (path === ROOT) return { ...at, is: 'folder' }
    const node: NodeRecord | undefined = (await liveAt(reader, repository.id, [path])).get(path)
    if (node === undefined || isExpired(node, now)) return { ...at, is: 'absent' }
    return { ...at, is: node.folder ? 'folder' : 'file' }
  }
}

const refOf = ({ id, project, name }: Repository) => ({ id, project, name })
const nothingDeleted = (path: NodePath): AppError =>
  new AppError('NODE_NOT_FOUND', `Node [${path}] not found among what was deleted there`, { path })
