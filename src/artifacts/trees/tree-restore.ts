import { AppError } from '../../core/errors.ts'
import type { HlcClock } from '../../core/hlc.ts'
import { ancestorsOf, type NodePath } from '../../core/paths.ts'
import type { Transaction } from '../../metadata/database.ts'
import { isExpired, type NodeRecord } from '../../metadata/nodes/nodes.ts'
import type { ConflictStrategy, RestoreRequest } from '../../metadata/nodes/tree-operations.ts'
import type { DeletedNode } from '../../metadata/nodes/tree-rows.ts'
import { touchBlobs } from '../../metadata/storage/blobs.ts'
import { folderInTheWay, lockLive, putFiles } from '../nodes/node-writer.ts'
import { stampOver } from '../nodes/settle.ts'
import { makeFolders } from './tree-folders.ts'
import { contentOf, type SliceResult, sumOfSizes, type TreeWork } from './tree-work.ts'

/**
 * Brings deleted nodes back as new live rows. Folders that are there are fine; a file in the way is what the strategy says.
 * @throws AppError NODE_CONFLICT with the strategy FAILED, CONTENT_MISSING, QUOTA_EXCEEDED; retryable ones as `putFiles` does.
 */
export async function restoreSlice(
  trx: Transaction,
  hlc: HlcClock,
  { request, by }: Pick<TreeWork<RestoreRequest>, 'request' | 'by'>,
  nodes: readonly DeletedNode[],
  now: number,
): Promise<SliceResult> {
  const { source: repository, onConflict } = request
  const around = new Set(nodes.flatMap(({ path }) => [path, ...ancestorsOf(path)]))
  const current = await lockLive(trx, repository.id, [...around])
  const standing = (path: NodePath) => {
    const row = current.get(path)
    return row === undefined || isExpired(row, now) ? undefined : row
  }
  const { back, skipped, conflicts } = planRestore(nodes, standing, onConflict)
  const files = back.filter(({ folder }) => !folder)
  const folders = back.filter(({ folder, path }) => folder && standing(path) === undefined)
  const written = { by, now, stamp: stampOver(hlc, [...back, ...current.values()]) }
  const filePaths = files.map(({ path }) => path)
  await makeFolders(trx, repository, folders, filePaths, written)
  await keepContent(trx, files, now)
  // Whoever brings back what expired wants to see it.
  const writes = files.map((file) => {
    const content = contentOf(file, written)
    return isExpired(file, now) ? { ...content, expiresAt: undefined } : content
  })
  await putFiles(trx, repository, writes, current, now)
  return { files: files.length, folders: folders.length, bytes: sumOfSizes(files), skipped, conflicts }
}

interface RestorePlan {
  readonly back: readonly DeletedNode[]
  readonly skipped: number
  readonly conflicts: number
}

/** Which nodes come back. @param standing what is live at a path. @throws AppError NODE_CONFLICT with the strategy FAILED. */
function planRestore(
  nodes: readonly DeletedNode[],
  standing: (path: NodePath) => NodeRecord | undefined,
  onConflict: ConflictStrategy,
): RestorePlan {
  const obstacleOf = ({ path, folder }: DeletedNode): NodeRecord | undefined => {
    const above = ancestorsOf(path).map(standing)
    const row = standing(path)
    return above.find((one) => one?.folder === false) ?? (folder && row?.folder ? undefined : row)
  }
  // A version takes the place of another one, never that of a folder or of a file above it.
  const replaces = (node: DeletedNode, obstacle: NodeRecord) =>
    onConflict === 'OVERWRITE' && !node.folder && !obstacle.folder && obstacle.path === node.path
  const judged = nodes.map((node) => ({ node, obstacle: obstacleOf(node) }))
  const obstacles = judged.flatMap(({ obstacle }) => obstacle ?? [])
  if (onConflict === 'FAILED' && obstacles[0] !== undefined) throw inTheWay(obstacles[0])
  const back = judged.flatMap(({ node, obstacle }) =>
    obstacle === undefined || replaces(node, obstacle) ? [node] : [],
  )
  return { back, skipped: nodes.length - back.length, conflicts: obstacles.length }
}

/** Keeps what files refer to until the transaction ends. @throws AppError CONTENT_MISSING. */
export async function keepContent(trx: Transaction, files: readonly NodeRecord[], now: number): Promise<void> {
  const digests = files.map(({ digest }) => digest!)
  const here = await touchBlobs(trx, digests, now)
  const lost = files.find(({ digest }) => !here.has(digest!))
  if (lost === undefined) return
  const { path } = lost
  throw new AppError('CONTENT_MISSING', `The content of node [${path}] is not there any more`, { path })
}

function inTheWay({ folder, path }: NodeRecord): AppError {
  if (folder) return folderInTheWay(path)
  return new AppError('NODE_CONFLICT', `Node [${path}] conflict: a file is there, and it may not be replaced`, { path })
}
