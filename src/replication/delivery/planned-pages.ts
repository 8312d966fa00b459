import type { Clock } from '../../core/clock.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import type { PlannedShard } from '../planning/plan-shards.ts'
import { itemsAt } from './items-at.ts'
import { type FileScope, rangeFiles } from './shard-files.ts'
import type { WorkItem } from './work-item.ts'

const PATHS_PER_QUERY = 500

/** Pages of the artifacts of a piece of work that is not persisted, as `shardFiles` has them. */
export async function* plannedPages(
  db: MetadataDatabase,
  scope: FileScope,
  shard: PlannedShard,
  clock: Pick<Clock, 'now'>,
): AsyncIterable<WorkItem[]> {
  if (shard.kind === 'range') {
    yield* rangeFiles(db, scope, { ...shard, pos: null }, clock)
    return
  }
  for (let at = 0; at < shard.paths.length; at += PATHS_PER_QUERY) {
    yield await itemsAt(db, scope, shard.paths.slice(at, at + PATHS_PER_QUERY), clock.now())
  }
}
