import type { Clock } from '../../core/clock.ts'
import type { HlcClock } from '../../core/hlc.ts'
import type { NodePath } from '../../core/paths.ts'
import type { Transaction } from '../../metadata/database.ts'
import type { DeleteRequest, RestoreRequest, TransferRequest } from '../../metadata/nodes/tree-operations.ts'
import { type SliceSpan, sliceOfDeletion, sliceOfTree } from '../../metadata/nodes/tree-rows.ts'
import { deleteSlice } from './tree-removal.ts'
import { restoreSlice } from './tree-restore.ts'
import { transferSlice } from './tree-transfer.ts'
import type { SliceResult, TreeWork } from './tree-work.ts'

/** A slice that was read, and what to do with it. */
export interface TreeStep {
  /** The next slice lies below it. */
  readonly position: NodePath | undefined
  readonly isLast: boolean
  run(): Promise<SliceResult>
}

/** Reads the next slice of an operation; nothing is changed before `run`. */
export async function nextStep(
  trx: Transaction,
  { clock, hlc }: { readonly clock: Clock; readonly hlc: HlcClock },
  work: TreeWork,
  span: SliceSpan,
): Promise<TreeStep> {
  const { request, upToId } = work
  if (isRestore(work)) {
    const { source, path, deletedAt } = work.request
    const { nodes, position, isLast } = await sliceOfDeletion(trx, source.id, path, { ...span, deletedAt })
    return { position, isLast, run: () => restoreSlice(trx, hlc, work, nodes, clock.now()) }
  }
  const { paths, isLast } = await sliceOfTree(trx, request.source.id, request.path, { ...span, upToId })
  const run = isTransfer(work)
    ? () => transferSlice(trx, hlc, work, paths, clock.now())
    : () => deleteSlice(trx, hlc, work as TreeWork<DeleteRequest>, paths)
  return { position: paths.at(-1), isLast, run }
}

const isRestore = (work: TreeWork): work is TreeWork<RestoreRequest> => work.request.kind === 'restore'
const isTransfer = (work: TreeWork): work is TreeWork<TransferRequest> =>
  work.request.kind === 'copy' || work.request.kind === 'move'
