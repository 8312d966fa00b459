import type { MetadataDatabase } from '../../metadata/database.ts'
import type { PlannedPath } from '../../metadata/replication/exec-paths.ts'
import { filesAt } from '../../metadata/replication/source-files.ts'
import type { LinkScope } from '../planning/find-difference.ts'
import { fileItem, readPrecondition, type WorkItem } from './work-item.ts'

/**
 * What is to be brought over of these paths, as they are now, ascending by path bytes; paths with nothing to bring are left out. The one
 * place where a changed path becomes an artifact, for runs and for what follows changes as they come. At most 1,000 paths.
 */
export async function itemsAt(
  db: MetadataDatabase,
  { repository }: Pick<LinkScope, 'repository'>,
  planned: readonly PlannedPath[],
  now: number,
): Promise<WorkItem[]> {
  const paths = planned.map(({ path }) => path)
  const expected = new Map(planned.map(({ path, expect }) => [path, expect]))
  const files = await filesAt(db.read, repository.id, paths, now)
  return files.map((file) => fileItem(file, readPrecondition(expected.get(file.path)!)))
}
