import type { Hlc } from '../../core/hlc.ts'
import type { Metadata } from '../../core/metadata.ts'
import { type NodePath, parentOf, ROOT } from '../../core/paths.ts'
import type { Transaction } from '../../metadata/database.ts'
import { insertNodes, type NewNode } from '../../metadata/nodes/node-writes.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { folderRow } from './node-rows.ts'
import { putFolders } from './node-writer.ts'

/** A folder as it was elsewhere. Times are UTC epoch milliseconds. */
export interface FolderWrite {
  readonly path: NodePath
  readonly metadata: Metadata
  readonly createdBy: string
  readonly createdAt: number
  readonly modifiedBy: string
  readonly modifiedAt: number
}

/**
 * Makes folders with their own dates, parents that are missing with those of now; what stands at a path stays. The transaction has
 * locked them (`lockLive`). @throws AppError NODE_CONFLICT for a file above one, REPOSITORY_NOT_FOUND.
 */
export async function putFolderCopies(
  trx: Transaction,
  repository: Pick<Repository, 'id' | 'project' | 'name'>,
  folders: readonly FolderWrite[],
  by: string,
  at: number,
  hlc: Hlc,
): Promise<void> {
  if (folders.length === 0) return
  await insertNodes(
    trx,
    folders.map((folder) => rowOf(repository.id, folder)),
  )
  const paths = folders.flatMap(({ path }) => [path, parentOf(path)])
  const needed = [...new Set(paths)].filter((path) => path !== ROOT)
  // Those that did not go in, for an expired file that lies there, as well.
  await putFolders(trx, repository, needed, by, at, hlc)
}

function rowOf(repoId: number, { path, metadata, createdBy, createdAt, modifiedBy, modifiedAt }: FolderWrite): NewNode {
  return {
    ...folderRow(repoId, path, createdBy, createdAt),
    metadata: metadata.length === 0 ? '[]' : JSON.stringify(metadata),
    modified_by: modifiedBy,
    modified_at: modifiedAt,
  }
}
