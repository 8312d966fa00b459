import type { Metadata } from '../../core/metadata.ts'
import { type NodePath, parentOf } from '../../core/paths.ts'
import type { Transaction } from '../../metadata/database.ts'
import type { RepositoryRef } from '../../metadata/nodes/tree-operations.ts'
import { lockTreeRows } from '../../metadata/nodes/tree-rows.ts'
import { changedMeanwhile, putFolders, putMetadata } from '../nodes/node-writer.ts'
import type { WriteStamp } from './tree-work.ts'

/**
 * Makes folders with their metadata, and those that files at `filePaths` need.
 * @throws AppError NODE_CONFLICT for a file in the way; NODE_EXISTED, retryable, when others made one just now.
 */
export async function makeFolders(
  trx: Transaction,
  repository: RepositoryRef,
  folders: readonly { readonly path: NodePath; readonly metadata: Metadata }[],
  filePaths: readonly NodePath[],
  { by, now, stamp }: WriteStamp,
): Promise<void> {
  const needed = new Set([...folders.map(({ path }) => path), ...filePaths.map(parentOf)])
  const described = folders.filter(({ metadata }) => metadata.length > 0)
  const paths = described.map(({ path }) => path)
  const before = await lockTreeRows(trx, repository.id, paths)
  const made = await putFolders(trx, repository, [...needed], by, now, stamp)
  if (described.length === 0) return
  // Others made it just now, and it is shared with who waited for them, too: to change it now, each would wait for the other.
  if (paths.some((path) => before.get(path)?.folder !== true && !made.has(path))) throw changedMeanwhile('a folder')
  const rows = await lockTreeRows(trx, repository.id, paths)
  const changes = described.map(({ path, metadata }) => ({
    ...{ node: rows.get(path)!, metadata, modifiedBy: by, modifiedAt: now },
    ...{ origin: 0, hlc: stamp, viaLink: undefined, viaMark: undefined },
  }))
  await putMetadata(trx, repository, changes, now)
}
