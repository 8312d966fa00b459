import { headSeq } from '../../metadata/changes/change-numbers.ts'
import { numberChanges } from '../../metadata/changes/sequencer.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import type { OpenAnswer } from '../../remotes/cluster/messages.ts'
import { itemsAt } from '../delivery/items-at.ts'
import { sizeOf, UNKNOWN } from '../delivery/work-item.ts'
import type { RunSpec } from '../runs/run-spec.ts'
import type { Difference, LinkScope, PlannedFile } from './difference.ts'

const PATHS_PER_QUERY = 500

/** What a run looks at that only tries again what failed: these paths, and what is at them by now. Nothing else is counted. */
export async function retryDifference(
  db: MetadataDatabase,
  scope: LinkScope,
  { propagateDelete }: Pick<RunSpec, 'propagateDelete'>,
  { head }: OpenAnswer,
  paths: readonly string[],
  now: number,
): Promise<Difference> {
  await numberChanges(db)
  const toSeq = await headSeq(db.read, scope.repository.id)
  const found: PlannedFile[] = []
  for (let at = 0; at < paths.length; at += PATHS_PER_QUERY) {
    const ifGone = propagateDelete ? 'delete' : undefined
    const planned = paths.slice(at, at + PATHS_PER_QUERY).map((path) => ({ path, expect: null, ifGone }) as const)
    for (const item of await itemsAt(db, scope, planned, now)) {
      found.push({ path: item.path, sizeBytes: sizeOf(item), expect: UNKNOWN, ifGone })
    }
  }
  const there = new Set(found.map(({ path }) => path))
  return {
    plan: { mode: 'cursor', toSeq, remote: head },
    ranges: [],
    paths: found,
    // Those among the paths were let through by the guard before they failed.
    deletions: [],
    deletes: { deletions: 0, targetFiles: 0 },
    kept: [],
    files: found.length,
    unchanged: 0,
    silent: [],
    // Of the others there is nothing left to bring over.
    ledger: { looked: paths.filter((path) => !there.has(path)), found: [] },
  }
}
