import { rowIdOf } from '../../core/fingerprint.ts'
import type { Lanes } from '../../core/lanes.ts'
import type { ItemResult, Precondition, RemoteRow, StreamBegin } from '../../remotes/cluster/frames/frame.ts'
import { deliveryMark } from './delivery-mark.ts'

/** How the stream wants conflicts to be decided, and which link of which run it is. */
export interface Rules
  extends Pick<StreamBegin, 'run' | 'earlierRuns' | 'includeMetadata' | 'conflictStrategy' | 'honourTombstones'> {
  /** `peer_link.id`. */
  readonly via: number
  /**
   * Both clusters overwrite each other's repository: of two states the one with the larger (stamp, cluster id) stays, here as there.
   * Cluster ids by `peer.id`; undefined: the source's state counts.
   */
  readonly laterWins: ((origin: number) => string) | undefined
}

/** What became of an item; without reason or remote row where the result says it all. */
export interface Outcome {
  readonly result: ItemResult
  readonly reason?: string
  readonly remote?: RemoteRow | null
}
/** To be written, or left as it is. */
export type Decision = { readonly write: 'written' | 'replaced' } | Outcome

/** A file, version or package as it stands here, as far as it is compared. */
export interface RowHere {
  readonly contentLanes: Lanes
  readonly metadataLanes: Lanes
  readonly viaLink: number | null
  readonly viaMark: number | null
}

/**
 * The row is as the item says: unchanged, unless this very run made it so before it was interrupted, or an earlier one that never heard of
 * it; then the reason is that run's number.
 */
export function equal(row: Pick<RowHere, 'viaLink' | 'viaMark'>, { via, run, earlierRuns = [] }: Rules): Decision {
  const mark = row.viaLink === via ? row.viaMark : null
  const isBy = (one: number) => deliveryMark.read(mark, one) !== undefined
  const by = isBy(run) ? run : earlierRuns.find(isBy)
  if (by === undefined) return { result: 'unchanged' }
  const result = deliveryMark.read(mark, by) === 'conflict' ? 'delivered-replaced' : 'delivered'
  return by === run ? { result } : { result, reason: String(by) }
}

export const isDelivered = (row: Pick<RowHere, 'viaLink' | 'viaMark'>, { via, run }: Rules): boolean =>
  row.viaLink === via && deliveryMark.read(row.viaMark, run) !== undefined

/** The row is what the sender believes it to be. */
export function holds(
  expect: Precondition,
  row: Pick<RowHere, 'contentLanes' | 'metadataLanes'>,
  { includeMetadata }: Rules,
): boolean {
  if (expect.is !== 'row') return expect.is === 'unknown'
  const lanes = { content: row.contentLanes, metadata: row.metadataLanes }
  return expect.id.equals(rowIdOf(lanes, includeMetadata ? 'content+metadata' : 'content'))
}

/** Not written; the sender hears what stands here. */
export const left = (
  result: ItemResult,
  row: Pick<RowHere, 'contentLanes' | 'metadataLanes'> | undefined,
): Outcome => ({
  result,
  remote: row === undefined ? null : { content: row.contentLanes, metadata: row.metadataLanes },
})

/** A conflict that is to fail. @param what as reasons name it, e.g. `File [/a]`. */
export const conflictOf = (what: string, row: Parameters<typeof left>[1]): Outcome => ({
  ...left('conflict', row),
  reason: `${what} conflict: the target has other content there. ${WAYS_OUT}`,
})
const WAYS_OUT = 'Delete or rename it there, or let the task OVERWRITE it, or SKIP it'
