import type { Clock } from '../../core/clock.ts'
import { invalid } from '../../core/errors.ts'
import type { HlcClock } from '../../core/hlc.ts'
import type { NodePath } from '../../core/paths.ts'
import { appendChanges } from '../../metadata/changes/change-log.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { updateExpiry } from '../../metadata/nodes/node-expiry.ts'
import { isExpired } from '../../metadata/nodes/nodes.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { changedMeanwhile, lockLive } from './node-writer.ts'
import { nodeNotFound } from './nodes.ts'
import { settle, stampAbove } from './settle.ts'

const DAY_MS = 86_400_000
/** A thousand years: later dates have no place on the wire. */
const MAX_DAYS = 365_000

/** When a file's time is over (core.md 7.3, 7.4). */
export interface NodeExpiry {
  /**
   * Counted from now; 0: never. The file counts as modified, and runs of replication take the new date along.
   * @throws AppError PARAMETER_INVALID for other numbers and for folders, NODE_NOT_FOUND.
   */
  setDays(repository: Pick<Repository, 'id'>, path: NodePath, days: number, by: string): Promise<void>
}

interface ExpiryDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly hlc: HlcClock
}

export function createNodeExpiry({ db, clock, hlc }: ExpiryDeps): NodeExpiry {
  return {
    async setDays({ id: repoId }, path, days, by) {
      if (!Number.isSafeInteger(days) || days < 0 || days > MAX_DAYS) {
        throw invalid('expires', `it must be a whole number of days, 0 to ${MAX_DAYS}`)
      }
      await settle(() =>
        db.transact(async (trx) => {
          const at = clock.now()
          const node = (await lockLive(trx, repoId, [path])).get(path)
          if (node === undefined || isExpired(node, at)) throw nodeNotFound(path)
          if (node.folder) throw invalid('fullPath', 'a folder does not expire')
          const expiresAt = days === 0 ? null : at + days * DAY_MS
          const write = { id: node.id, expiresAt, modifiedBy: by, modifiedAt: at, hlc: stampAbove(hlc, node.hlc) }
          if (!(await updateExpiry(trx, write))) throw changedMeanwhile('the node')
          // Neither content nor metadata is another: the row says only that the path is to be looked at.
          const lanes = { content: node.contentLanes, metadata: node.metadataLanes }
          await appendChanges(trx, [{ repoId, path, op: 3, origin: 0, viaLink: null, at, before: lanes, after: lanes }])
        }),
      )
    },
  }
}
