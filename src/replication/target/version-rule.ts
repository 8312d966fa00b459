import type { Hlc } from '../../core/hlc.ts'
import { type Lanes, sameLanes } from '../../core/lanes.ts'
import type { NodePath } from '../../core/paths.ts'
import type { Tombstone } from '../../metadata/nodes/tombstones.ts'
import type { Precondition } from '../../remotes/cluster/frames/frame.ts'
import { conflictOf, type Decision, equal, holds, isDelivered, left, type Rules } from './decision.ts'

/** A version or a package as it stands here. */
export interface PackageRow {
  readonly contentLanes: Lanes
  readonly metadataLanes: Lanes
  readonly hlc: Hlc
  readonly origin: number
  readonly viaLink: number | null
  readonly viaMark: number | null
}

/** What comes. */
export interface Arriving {
  /** As refusals call it. */
  readonly name: string
  readonly contentLanes: Lanes
  /** As it will be said here. */
  readonly metadataLanes: Lanes
  readonly hlc: Hlc
  /** Cluster id of its last writer. */
  readonly origin: string
  readonly expect: Precondition
}

/** What stands at the name of a version, and at the paths of its files. */
export interface VersionStanding {
  readonly row: PackageRow | undefined
  /** The last deletion of the name, where no version is. */
  readonly tombstone: Tombstone | undefined
  /** Why its files cannot be there: a folder, a file above, or a file that another version needs. */
  readonly blocked: string | undefined
  /** A path where somebody else has other bytes, which no version claims. */
  readonly occupied: NodePath | undefined
  /** User metadata of its files is as it comes. */
  readonly sameFileMetadata: boolean
}

/** Which rule a version falls under (replication.md 3.5). Pure. */
export function decideVersion(item: Arriving, standing: VersionStanding, rules: Rules): Decision {
  const { row, tombstone, blocked, occupied } = standing
  if (row === undefined) {
    if (rules.honourTombstones && tombstone !== undefined && tombstone.hlc > item.hlc) return left('superseded', row)
    if (item.expect.is === 'row') return left('changed', row)
  } else {
    const isSame = sameLanes(row.contentLanes, item.contentLanes) && sameWords(item, row, rules)
    if (isSame && (standing.sameFileMetadata || !rules.includeMetadata)) return equal(row, rules)
    if (!isDelivered(row, rules) && !holds(item.expect, row, rules)) return left('changed', row)
  }
  const isForeign = row !== undefined && row.viaLink !== rules.via
  const decision: Decision = isForeign
    ? byStrategy(item.name, item, row, rules)
    : occupied === undefined
      ? { write: 'written' }
      : byStrategy(`file [${occupied}] of ${item.name}`, item, row, rules)
  return 'write' in decision && blocked !== undefined ? { result: 'refused', reason: blocked } : decision
}

/** What is said about a package that is here. */
export function decidePackage(item: Arriving, row: PackageRow, rules: Rules): Decision {
  if (sameLanes(row.metadataLanes, item.metadataLanes)) return { result: 'unchanged' }
  if (row.viaLink === rules.via) return { write: 'written' }
  if (!holds(item.expect, row, rules)) return left('changed', row)
  return byStrategy(item.name, item, row, rules)
}

/** A version that was deleted there: as of a file (`apply-rule.ts`), it takes what is older and ours, or known, or OVERWRITE. */
export function decideRemoval(
  { hlc, expect }: Pick<Arriving, 'hlc' | 'expect'>,
  { row, tombstone }: Pick<VersionStanding, 'row' | 'tombstone'>,
  rules: Rules,
): Decision {
  if (row === undefined) return tombstone === undefined ? { result: 'unchanged' } : equal(tombstone, rules)
  if (row.hlc > hlc) return left('superseded', row)
  if (row.viaLink === rules.via) return { write: 'written' }
  const isKnown = expect.is === 'row' && holds(expect, row, rules)
  return isKnown || rules.conflictStrategy === 'OVERWRITE' ? { write: 'written' } : left('kept', row)
}

function byStrategy(what: string, item: Arriving, row: PackageRow | undefined, rules: Rules): Decision {
  switch (rules.conflictStrategy) {
    case 'SKIP':
      return left('kept', row)
    case 'OVERWRITE':
      return row === undefined || isLater(item, row, rules) ? { write: 'replaced' } : left('superseded', row)
    case 'FAST_FAIL':
      return conflictOf(capitalised(what), row)
  }
}
function isLater({ hlc, origin }: Arriving, row: PackageRow, { laterWins }: Rules): boolean {
  if (laterWins === undefined) return true
  return hlc === row.hlc ? origin > laterWins(row.origin) : hlc > row.hlc
}
const capitalised = (text: string) => text.slice(0, 1).toUpperCase() + text.slice(1)

const sameWords = (item: Arriving, row: PackageRow, { includeMetadata }: Rules): boolean =>
  !includeMetadata || sameLanes(row.metadataLanes, item.metadataLanes)
