import type { Clock } from '../../core/clock.ts'
import { clipRanges } from '../../core/path-range.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { longReads } from '../../metadata/long-reads.ts'
import { pagePlannedPaths } from '../../metadata/replication/exec-paths.ts'
import type { ShardClaim } from '../../metadata/replication/exec-shards.ts'
import { listFiles } from '../../metadata/replication/source-files.ts'
import type { PathFilter } from '../../tasks/constraints/path-selection.ts'
import type { LinkScope } from '../planning/difference.ts'
import { scanFiles } from '../planning/scan-files.ts'
import { itemsAt } from './items-at.ts'
import { slicesByFiles } from './package-items.ts'
import { packageRangeItems } from './package-ranges.ts'
import { fileItem, UNKNOWN, type WorkItem } from './work-item.ts'

const FILES_PER_QUERY = 500

/** What it takes to find the artifacts of a scope. */
export type FileScope = Parameters<typeof itemsAt>[1]

/** Pages of the files of one shard in path order, as they are when they are read, from after its last checkpoint on. */
export async function* shardFiles(
  db: MetadataDatabase,
  scope: Pick<LinkScope, 'repository' | 'ranges' | 'filter' | 'packages'>,
  shard: ShardClaim,
  clock: Pick<Clock, 'now'>,
): AsyncIterable<WorkItem[]> {
  if (shard.kind === 'range') {
    yield* rangeFiles(db, scope, shard, clock)
    return
  }
  let after = shard.pos ?? undefined
  for (;;) {
    const planned = await pagePlannedPaths(db.read, shard, after, FILES_PER_QUERY)
    const slices = scope.packages === undefined ? [planned] : await slicesByFiles(db.read, scope.repository.id, planned)
    for (const slice of slices) {
      // A version that took a planned file since is for the next run.
      yield (await itemsAt(db, scope, slice, clock.now())).filter((item) => item.kind !== 'version' || !item.derived)
    }
    if (planned.length < FILES_PER_QUERY) return
    after = planned.at(-1)!.path
  }
}

/** All that the scope has in [lo, hi) above `pos`. */
export async function* rangeFiles(
  db: MetadataDatabase,
  scope: Pick<LinkScope, 'repository' | 'ranges' | 'filter' | 'packages'>,
  { lo, hi, pos }: Pick<ShardClaim, 'lo' | 'hi' | 'pos'>,
  clock: Pick<Clock, 'now'>,
): AsyncIterable<WorkItem[]> {
  const { repository, filter } = scope
  const ranges = clipRanges(scope.ranges, { lo, hi })
  let after = pos ?? undefined
  if (scope.packages !== undefined) {
    yield* packageRangeItems(db, scope, ranges, after, clock)
    return
  }
  if (filter !== undefined) {
    yield* filteredFiles(db, { ...scope, filter, ranges }, after, clock)
    return
  }
  for (;;) {
    const page = await listFiles(db.read, repository.id, { ranges, after, limit: FILES_PER_QUERY }, clock.now())
    yield page.map((file) => fileItem(file, UNKNOWN))
    if (page.length < FILES_PER_QUERY) return
    after = page.at(-1)!.path
  }
}

/** What the filter leaves out is not read in this thread, and of what it lets through only now how it is. */
async function* filteredFiles(
  db: MetadataDatabase,
  scope: FileScope & { readonly filter: PathFilter },
  after: string | undefined,
  clock: Pick<Clock, 'now'>,
): AsyncIterable<WorkItem[]> {
  const place = { reader: longReads(db), repoId: scope.repository.id, now: clock.now() }
  for await (const page of scanFiles(place, scope.ranges, after)) {
    const paths = page.filter(({ path }) => scope.filter(path))
    for (let at = 0; at < paths.length; at += FILES_PER_QUERY) {
      const planned = paths.slice(at, at + FILES_PER_QUERY).map(({ path }) => ({ path, expect: null }))
      yield await itemsAt(db, scope, planned, clock.now())
    }
  }
}
