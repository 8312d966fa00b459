import type { Clock } from '../../core/clock.ts'
import { isPackagePath } from '../../core/package-key.ts'
import type { PathRange } from '../../core/path-range.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { holdsNodes } from '../../metadata/fingerprints/live-rows.ts'
import { longReads } from '../../metadata/long-reads.ts'
import { ownersAt } from '../../metadata/replication/source-versions.ts'
import type { LinkScope } from '../planning/difference.ts'
import { versionsIn } from '../planning/package-artifacts.ts'
import { scanFiles } from '../planning/scan-files.ts'
import { itemsAt } from './items-at.ts'
import { slicesByFiles } from './package-items.ts'
import type { WorkItem } from './work-item.ts'

const VERSIONS_PER_QUERY = 500
const FILES_PER_QUERY = 500

/**
 * All that the ranges have in a repository with packages, above `after`: the versions, then the files that belong to none. Files of
 * versions go with these; what is said of a package goes with its versions.
 */
export async function* packageRangeItems(
  db: MetadataDatabase,
  scope: Pick<LinkScope, 'repository' | 'ranges' | 'filter' | 'packages'>,
  ranges: readonly PathRange[],
  after: string | undefined,
  clock: Pick<Clock, 'now'>,
): AsyncGenerator<WorkItem[]> {
  const at = (paths: readonly string[]) =>
    itemsAt(
      db,
      scope,
      paths.map((path) => ({ path, expect: null })),
      clock.now(),
    )
  const reader = longReads(db)
  if (after === undefined || isPackagePath(after)) {
    for await (const page of versionsIn(reader, scope, ranges, after)) {
      for (let from = 0; from < page.length; from += VERSIONS_PER_QUERY) {
        const some = page.slice(from, from + VERSIONS_PER_QUERY).map((path) => ({ path }))
        for (const slice of await slicesByFiles(reader, scope.repository.id, some)) {
          yield await at(slice.map(({ path }) => path))
        }
      }
    }
  }
  const nodes = ranges.filter((range) => holdsNodes(range))
  if (nodes.length === 0) return
  const place = { reader, repoId: scope.repository.id, now: clock.now() }
  for await (const page of scanFiles(place, nodes, after)) {
    for (let from = 0; from < page.length; from += FILES_PER_QUERY) {
      const paths = page.slice(from, from + FILES_PER_QUERY).map(({ path }) => path)
      const owned = new Set((await ownersAt(reader, scope.repository.id, paths)).map(({ path }) => path))
      const unowned = await at(paths.filter((path) => !owned.has(path)))
      yield unowned.filter(({ kind }) => kind === 'file')
    }
  }
}
