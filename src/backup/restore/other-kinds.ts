import type { NodePath } from '../../core/paths.ts'
import { liveAt } from '../../metadata/nodes/nodes.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { repositoryFile } from '../records/record-files.ts'
import { pathsAround, standingAmong } from './node-batch.ts'
import { decodedRecords, inBatches } from './record-lines.ts'
import type { RestoreContext } from './restore-deps.ts'
import { NODE_BATCHES } from './restore-nodes.ts'
import type { RepositoryToRestore } from './restore-plan.ts'

/** Where a file stands here that the backup has as a folder or has something below, and where a folder stands that it has as a file. */
export async function pathsOfOtherKinds(
  context: RestoreContext,
  { project, repo, files }: RepositoryToRestore,
  repository: Repository,
  signal: AbortSignal,
): Promise<Set<NodePath>> {
  const { db, clock } = context.deps
  const found = new Set<NodePath>()
  if (!files.has('node')) return found
  const nodes = decodedRecords(context, repositoryFile(project, repo, 'node'), context.decoder.node, signal)
  for await (const batch of inBatches(nodes, NODE_BATCHES)) {
    const standingAt = standingAmong(await liveAt(db.read, repository.id, pathsAround(batch)), clock.now())
    for (const { path, folder } of batch) {
      const { row, fileAbove } = standingAt(path)
      if (fileAbove !== undefined) found.add(fileAbove)
      if (row !== undefined && row.folder !== folder) found.add(path)
    }
  }
  return found
}
