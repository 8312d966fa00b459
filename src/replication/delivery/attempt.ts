import { addSums, EMPTY_SUM, negated, type RangeSum, rowIdOf, sumOfRow } from '../../core/fingerprint.ts'
import { contentLanes, NO_LANES } from '../../core/lanes.ts'
import type { ItemOutcome } from '../../remotes/cluster/frame-stream.ts'
import type { RemoteRow } from '../../remotes/cluster/frames/frame.ts'
import type { Supply } from './contents.ts'
import type { DeliveryContext } from './deliver-batch.ts'
import type { Outcome } from './outcome.ts'
import type { BlobFailure } from './send-blobs.ts'
import { ABSENT, comparedLanes, type DeletionItem, filesOf, nameOf, type WorkItem } from './work-item.ts'

/** What came of one attempt on one artifact. */
export type Attempt = Omit<Outcome, 'attempts' | 'startedAt' | 'endedAt'> & { readonly again?: Again }
/** To be tried again: after a pause, or at once, because more is known. */
export type Again = {
  readonly after: 'pause' | 'nothing'
  readonly item: WorkItem
  readonly retryAfterMs?: number | undefined
}
/** The attempt that this run made before has counted them. */
const NOT_SENT = { blob: 'not-sent', blobs: undefined } as const

/** Nothing when the target left it alone because an earlier one failed. */
export function attemptOf(
  item: WorkItem,
  { result, reason, remote }: ItemOutcome,
  blobsSent: number,
  { includeMetadata }: Pick<DeliveryContext, 'includeMetadata'>,
): Attempt[] {
  const blob = blobsSent > 0 ? 'sent' : 'not-sent'
  const base = { item, blob, blobs: { sent: blobsSent, failed: 0 }, conflict: false } as const
  const failed = (why: string, again?: Again): Attempt => ({
    ...base,
    result: 'failed',
    reason: `${nameOf(item)} ${why}`,
    ...(again && { again }),
  })
  switch (result) {
    case 'written':
      return [{ ...base, result: 'written' }]
    case 'replaced':
      return [{ ...base, result: 'written', conflict: true }]
    case 'delivered':
    case 'delivered-replaced': {
      const arrivedBy = reason === '' ? 'this run' : Number(reason)
      return [{ ...base, ...NOT_SENT, result: 'written', conflict: result === 'delivered-replaced', arrivedBy }]
    }
    case 'unchanged':
      return [{ ...base, result: 'unchanged' }]
    case 'superseded':
      return [{ ...base, result: 'unchanged', ...leftAs('superseded', item, remote) }]
    case 'kept':
      if (item.kind === 'deletion') return [{ ...base, result: 'unchanged', ...leftAs('foreign', item, remote) }]
      // Whatever is kept has a row: without it there is no telling by how much it differs.
      return [{ ...base, result: 'kept', conflict: true, delta: remote === null ? undefined : deltaOf(item, remote) }]
    case 'conflict':
      return [{ ...failed(''), reason, conflict: true }]
    case 'changed': {
      if (item.kind === 'deletion') return [failed('could not be deleted: the target is of another release')]
      const compared = comparedLanes(includeMetadata)
      const expect = remote === null ? ABSENT : ({ is: 'row', id: rowIdOf(remote, compared) } as const)
      return [
        failed('could not be written: it kept changing at the target', { after: 'nothing', item: { ...item, expect } }),
      ]
    }
    case 'no-blob':
      return [
        failed('could not be written: its content did not stay at the target', {
          after: 'nothing',
          item: item.kind === 'file' || item.kind === 'version' ? { ...item, wanted: true } : item,
        }),
      ]
    case 'retry':
      return [failed(`could not be written: ${reason}`, { after: 'pause', item })]
    case 'refused':
      return [failed(`was refused: ${reason}`)]
    case 'not-tried':
      return []
  }
}

/** Once what it waits for has come. */
export const attemptAgain = (item: WorkItem): Attempt => ({
  item,
  result: 'failed',
  conflict: false,
  blob: 'not-sent',
  reason: `${nameOf(item)} could not be sent: another transfer of the same content kept failing`,
  again: { after: 'nothing', item },
})

export function contentFailed(item: WorkItem, failure: BlobFailure, { failed, ours, inline }: Supply): Attempt {
  const digests = [...new Set(filesOf(item).map(({ digest }) => digest))]
  const blobs = {
    sent: digests.filter((digest) => ours.has(digest) && !failed.has(digest) && !inline.has(digest)).length,
    failed: digests.filter((digest) => failed.has(digest)).length,
  }
  const reason = `${nameOf(item)} could not be sent: ${failure.reason}`
  const outcome = { item, result: 'failed', reason, conflict: false, blob: 'failed', blobs } as const
  const { retryable, retryAfterMs } = failure
  return retryable ? { ...outcome, again: { after: 'pause', item, retryAfterMs } } : outcome
}

/** The target stays otherwise, and the record says nothing of it: what it has alone is foreign. */
const leftAs = (left: 'foreign' | 'superseded', item: WorkItem, remote: RemoteRow | null) =>
  item.kind === 'deletion' && remote === null
    ? {}
    : ({ left: item.kind === 'deletion' ? 'foreign' : left, delta: deltaOf(item, remote) } as const)

function lanesOf(item: Exclude<WorkItem, DeletionItem>): RemoteRow {
  switch (item.kind) {
    case 'file': {
      const { path, digest, sizeBytes, metadataLanes } = item.file
      return { content: contentLanes(path, digest, sizeBytes), metadata: metadataLanes }
    }
    case 'version':
      return { content: item.source.version.contentLanes, metadata: item.source.version.metadataLanes }
    case 'package':
      return { content: NO_LANES, metadata: item.owner.metadataLanes }
  }
}

/** The target's row minus ours. */
function deltaOf(item: WorkItem, remote: RemoteRow | null): RangeSum {
  const theirs = remote === null ? EMPTY_SUM : sumOfRow(remote)
  if (item.kind === 'deletion') return theirs
  return addSums(theirs, negated(sumOfRow(lanesOf(item))))
}
