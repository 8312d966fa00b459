import { isPackagePath } from '../../core/package-key.ts'
import { holderOf } from '../../core/path-range.ts'
import { comparePaths } from '../../core/paths.ts'
import type { MetadataDatabase, Reader } from '../../metadata/database.ts'
import type { PlannedPath } from '../../metadata/replication/exec-paths.ts'
import { filesAt } from '../../metadata/replication/source-files.ts'
import type { LinkScope } from '../planning/difference.ts'
import { mayHaveBeenMeant } from '../planning/package-artifacts.ts'
import { endsAt } from './ends-at.ts'
import { type PackageItems, packageItemsAt } from './package-items.ts'
import { type DeletionItem, type FileItem, fileItem, readPrecondition, type WorkItem } from './work-item.ts'

/**
 * What is to be brought over of these paths, as they are now, ascending by path bytes; paths with nothing to bring, or that are none of the
 * scope any more, are left out. The one
 * place where a changed path becomes an artifact, for runs and for what follows changes as they come. At most 1,000 paths.
 */
export async function itemsAt(
  db: MetadataDatabase,
  scope: Pick<LinkScope, 'repository' | 'ranges' | 'filter' | 'packages'>,
  planned: readonly PlannedPath[],
  now: number,
): Promise<WorkItem[]> {
  const { repository, filter } = scope
  const holds = holderOf(scope.ranges)
  // Of packages their own filter decides: a version goes as a whole when one of its files is selected.
  const named = planned.map(({ path }) => path).filter((path) => isPackagePath(path) || holds(path))
  const filtered = filter === undefined ? named : named.filter(filter)
  const expected = new Map(planned.map(({ path, expect }) => [path, expect]))
  const expectAt = (path: string) => readPrecondition(expected.get(path)!)
  const { items: versions, owned } =
    scope.packages === undefined ? NO_PACKAGES : await packageItemsAt(db.read, scope, filtered, expectAt)
  const paths = owned.size === 0 ? filtered : filtered.filter((path) => !owned.has(path))
  const files = await filesAt(db.read, repository.id, paths, now)
  const items = [...versions, ...files.map((file) => askedIfLarge(fileItem(file, expectAt(file.path))))]
  const ends = await endsOf(
    db.read,
    repository.id,
    planned,
    paths.filter((path) => mayHaveBeenMeant(scope, path)),
    items,
  )
  return ends.length === 0 ? items : [...items, ...ends].sort((a, b) => comparePaths(a.path, b.path))
}

const NO_PACKAGES: PackageItems = { items: [], owned: new Set() }

/** What is smaller goes at once: to ask first would cost more. */
const ASKED_ABOVE_BYTES = 64 * 1024

const askedIfLarge = (item: FileItem): FileItem =>
  item.expect.is === 'unknown' && item.file.sizeBytes > ASKED_ABOVE_BYTES ? { ...item, unsure: true } : item

async function endsOf(
  reader: Reader,
  repoId: number,
  planned: readonly PlannedPath[],
  paths: readonly string[],
  items: readonly WorkItem[],
): Promise<DeletionItem[]> {
  const deletes = new Set(planned.flatMap(({ path, ifGone }) => (ifGone === 'delete' ? [path] : [])))
  for (const { path } of items) deletes.delete(path)
  if (deletes.size === 0) return []
  const ends = await endsAt(
    reader,
    repoId,
    paths.filter((path) => deletes.has(path)),
  )
  return ends.map(({ path, tombstone, last }) => ({ kind: 'deletion', path, tombstone, last }))
}
