import type { Clock } from '../../core/clock.ts'
import { clipRanges } from '../../core/path-range.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { pagePlannedPaths } from '../../metadata/replication/exec-paths.ts'
import type { ShardClaim } from '../../metadata/replication/exec-shards.ts'
import { listFiles } from '../../metadata/replication/source-files.ts'
import type { LinkScope } from '../planning/find-difference.ts'
import { itemsAt } from './items-at.ts'
import { fileItem, UNKNOWN, type WorkItem } from './work-item.ts'

const FILES_PER_QUERY = 500

/** Pages of the files of one shard in path order, as they are when they are read, from after its last checkpoint on. */
export async function* shardFiles(
  db: MetadataDatabase,
  scope: Pick<LinkScope, 'repository' | 'ranges'>,
  shard: ShardClaim,
  clock: Pick<Clock, 'now'>,
): AsyncIterable<WorkItem[]> {
  const repoId = scope.repository.id
  const ranges = clipRanges(scope.ranges, { lo: shard.lo, hi: shard.hi })
  let after = shard.pos ?? undefined
  for (;;) {
    if (shard.kind === 'range') {
      const page = await listFiles(db.read, repoId, { ranges, after, limit: FILES_PER_QUERY }, clock.now())
      yield page.map((file) => fileItem(file, UNKNOWN))
      if (page.length < FILES_PER_QUERY) return
      after = page.at(-1)!.path
    } else {
      const planned = await pagePlannedPaths(db.read, shard, after, FILES_PER_QUERY)
      yield await itemsAt(db, scope, planned, clock.now())
      if (planned.length < FILES_PER_QUERY) return
      after = planned.at(-1)!.path
    }
  }
}
