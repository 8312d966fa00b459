import { metadataLanes, sameLanes } from '../../core/lanes.ts'
import type { NodeRecord } from '../../metadata/nodes/nodes.ts'
import type { Tombstone } from '../../metadata/nodes/tombstones.ts'
import type { DeleteFrame, EntryFrame, MetadataFrame } from '../../remotes/cluster/frames/frame.ts'
import { conflictOf, type Decision, equal, holds, isDelivered, left, type Rules } from './decision.ts'
import { isSameFile } from './entry-write.ts'

/** What stands at the path of an item. */
export interface Standing {
  /** As users see it. */
  readonly row: NodeRecord | undefined
  /** The last deletion of the path, where nothing visible is. */
  readonly tombstone: Tombstone | undefined
  /** Why no file can be there: a file stands above it. */
  readonly blocked: string | undefined
}

const WRITE: Decision = { write: 'written' }
const UNCHANGED: Decision = { result: 'unchanged' }

/** Which rule an item falls under. Pure. */
export function decide(frame: EntryFrame | MetadataFrame | DeleteFrame, standing: Standing, rules: Rules): Decision {
  switch (frame.type) {
    case 'entry':
      return decideEntry(frame, standing, rules)
    case 'metadata':
      return decideMetadata(frame, standing, rules)
    case 'delete':
      return decideDelete(frame, standing, rules)
  }
}

/** sync.md B.6 and replication.md 3.5 for a file. */
function decideEntry(entry: EntryFrame, standing: Standing, rules: Rules): Decision {
  const { row, tombstone, blocked } = standing
  if (blocked !== undefined) return { result: 'refused', reason: blocked }
  if (row?.folder) return { result: 'refused', reason: 'the target has a folder there' }
  if (row === undefined) {
    if (rules.honourTombstones && tombstone !== undefined && tombstone.hlc > entry.hlc) return left('superseded', row)
    return entry.expect.is === 'row' ? left('changed', row) : WRITE
  }
  if (isSameFile(entry, row) && sameMetadata(row, entry.metadata, rules)) return equal(row, rules)
  return decideConflict(entry, row, rules)
}

/** New metadata of a file that is there already. */
function decideMetadata(frame: MetadataFrame, { row }: Standing, rules: Rules): Decision {
  if (row === undefined || row.folder) return left('changed', undefined)
  if (sameMetadata(row, frame.metadata, { includeMetadata: true })) return equal(row, rules)
  return decideConflict(frame, row, rules)
}

/**
 * A deletion is no conflict (replication.md 3.5). What is newer than it stays. Of the rest it takes what this link wrote, and what equals the
 * file that ended at the source (the row that is expected); anything else is a file of somebody here, which only OVERWRITE
 * deletes.
 */
function decideDelete(frame: DeleteFrame, { row, tombstone }: Standing, rules: Rules): Decision {
  if (row === undefined || row.folder) return tombstone === undefined ? UNCHANGED : equal(tombstone, rules)
  if (row.hlc > frame.hlc) return left('superseded', row)
  if (row.viaLink === rules.via) return WRITE
  const isKnown = frame.expect.is === 'row' && holds(frame.expect, row, rules)
  return isKnown || rules.conflictStrategy === 'OVERWRITE' ? WRITE : left('kept', row)
}

/** A row that differs: ours is moved forward, of everybody else's the strategy decides. */
function decideConflict(frame: EntryFrame | MetadataFrame, row: NodeRecord, rules: Rules): Decision {
  const { path, expect } = frame
  // What the sender believes is older than what it has written itself in this run.
  if (!isDelivered(row, rules) && !holds(expect, row, rules)) return left('changed', row)
  if (row.viaLink === rules.via) return WRITE
  switch (rules.conflictStrategy) {
    case 'SKIP':
      return left('kept', row)
    case 'OVERWRITE':
      return isLater(frame, row, rules) ? { write: 'replaced' } : left('superseded', row)
    case 'FAST_FAIL':
      return conflictOf(`File [${path}]`, row)
  }
}

/** Two writes at one moment are told apart by their clusters, the same way everywhere. */
function isLater({ hlc, origin }: EntryFrame | MetadataFrame, row: NodeRecord, { laterWins }: Rules): boolean {
  if (laterWins === undefined) return true
  return hlc === row.hlc ? origin > laterWins(row.origin) : hlc > row.hlc
}

/** As it is wanted, by this very run or not. */
function sameMetadata(
  row: NodeRecord,
  incoming: EntryFrame['metadata'],
  { includeMetadata }: Pick<Rules, 'includeMetadata'>,
): boolean {
  if (!includeMetadata || incoming === null) return true
  if (incoming.length === 0 && row.metadata.length === 0) return true
  return sameLanes(row.metadataLanes, metadataLanes(row.path, incoming))
}
