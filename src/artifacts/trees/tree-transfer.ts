import { AppError } from '../../core/errors.ts'
import type { HlcClock } from '../../core/hlc.ts'
import type { NodePath } from '../../core/paths.ts'
import type { Transaction } from '../../metadata/database.ts'
import { isExpired, liveAt, type NodeRecord } from '../../metadata/nodes/nodes.ts'
import type { TransferRequest } from '../../metadata/nodes/tree-operations.ts'
import { lockTreeRows } from '../../metadata/nodes/tree-rows.ts'
import { holdRepository } from '../../metadata/repositories/repositories.ts'
import { touchBlobs } from '../../metadata/storage/blobs.ts'
import { deleteFiles, folderInTheWay, putFiles } from '../nodes/node-writer.ts'
import { stampOver } from '../nodes/settle.ts'
import { repositoryGone } from '../repositories/repositories.ts'
import { makeFolders } from './tree-folders.ts'
import { pathInTarget } from './tree-plan.ts'
import { known, removeEmptyFolders } from './tree-removal.ts'
import { keepContent } from './tree-restore.ts'
import { contentOf, type SliceResult, sumOfSizes, type TreeWork } from './tree-work.ts'

/**
 * Writes the nodes of a slice at their new places, by reference to the same blobs. A move deletes them at the old ones in the same
 * transaction, so that a file is at one place at every moment.
 * @throws AppError NODE_CONFLICT, QUOTA_EXCEEDED, REPOSITORY_NOT_FOUND, PATH_INVALID, CONTENT_MISSING of a copy; retryable ones as
 * `putFiles` does.
 */
export async function transferSlice(
  trx: Transaction,
  hlc: HlcClock,
  work: TreeWork<TransferRequest>,
  paths: readonly NodePath[],
  now: number,
): Promise<SliceResult> {
  const { by, request } = work
  const { kind, source, path: top, target, targetPath, overwrite } = request
  const targetOf = (path: NodePath) => pathInTarget(path, top, targetPath)
  // Its nodes go when it is deleted: without it, there is nothing that a copy or move could be complete about.
  if ((await holdRepository(trx, source.id)) === undefined) throw repositoryGone(source.id)
  const { there, current } = await lockBothEnds(trx, work, paths, paths.map(targetOf))

  const files = there.filter(({ folder }) => !folder)
  const folders = there.filter(({ folder }) => folder)
  const wanted = files.filter((file) => !isExpired(file, now))
  const filePaths = wanted.map(({ path }) => targetOf(path))
  for (const path of filePaths) checkPlace(current.get(path), overwrite, now)

  const stamp = stampOver(hlc, [...files, ...current.values()])
  const written = { by, now, stamp }
  const madeFolders = folders.map(({ path, metadata }) => ({ path: targetOf(path), metadata }))
  await makeFolders(trx, target, madeFolders, filePaths, written)
  // Bytes that are lost are lost at one place, and not multiplied. A move does not make it worse.
  if (kind === 'copy') await keepContent(trx, wanted, now)
  else
    await touchBlobs(
      trx,
      wanted.map(({ digest }) => digest!),
      now,
    )
  // A moved file keeps its author; a copy is its maker's. Both were changed by whoever asked for it, just now.
  const author = kind === 'copy' ? { createdBy: by, createdAt: now } : {}
  const writes = wanted.map((file) => ({ ...contentOf(file, written), ...author, path: targetOf(file.path) }))
  await putFiles(trx, target, writes, current, now)
  if (kind === 'move') {
    const at = work.startedAt
    await deleteFiles(trx, source, files, { by, at, hlc: stamp, origin: 0, viaLink: null })
    await removeEmptyFolders(trx, source.id, there, by, at)
  }
  return { files: wanted.length, folders: folders.length, bytes: sumOfSizes(wanted) }
}

/**
 * Opposite moves between two repositories lock the rows of both in one order. A copy leaves its source alone and locks nothing there.
 * Folders at the target are locked for change at once, as they get metadata: two that share a lock first block each other.
 */
async function lockBothEnds(
  trx: Transaction,
  { request: { kind, source, target }, upToId }: TreeWork<TransferRequest>,
  paths: readonly NodePath[],
  targetPaths: readonly NodePath[],
): Promise<{ readonly there: NodeRecord[]; readonly current: Map<NodePath, NodeRecord> }> {
  const rowsOfSource = async () => known(await (kind === 'move' ? lockTreeRows : liveAt)(trx, source.id, paths), upToId)
  if (source.id <= target.id) {
    const there = await rowsOfSource()
    return { there, current: await lockTreeRows(trx, target.id, targetPaths) }
  }
  const current = await lockTreeRows(trx, target.id, targetPaths)
  return { there: await rowsOfSource(), current }
}

/** @throws AppError NODE_CONFLICT when something stands at a file's new place that may not be replaced. */
function checkPlace(row: NodeRecord | undefined, overwrite: TransferRequest['overwrite'], now: number): void {
  if (row === undefined || isExpired(row, now)) return
  const { path } = row
  if (row.folder) throw folderInTheWay(path)
  if (overwrite === 'replace') return
  throw new AppError('NODE_CONFLICT', `Node [${path}] conflict: a file is there; say overwrite to replace it`, { path })
}
