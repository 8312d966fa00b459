import { AppError, invalid } from '../../core/errors.ts'
import { hlcMs, parseHlc } from '../../core/hlc.ts'
import { checkMetadata } from '../../core/metadata.ts'
import { checkedPath } from './checked.ts'
import type { ItemFrame } from './incoming-batch.ts'

/** A source whose clock runs further ahead than this would win every later conflict (sync.md B.6). */
const MAX_SKEW_MS = 5 * 60_000
const MAX_CLUSTER_ID_LENGTH = 64

/** An item judged by itself: what is wrong with one of them is no reason to refuse the others. @returns why it is never taken. */
export function refusalOf(frame: ItemFrame, now: number): string | undefined {
  if (frame.type === 'version') return 'packages are not replicated by this version'
  try {
    checkStamp(frame, now)
    checkedPath(frame.path)
    if (frame.type !== 'delete' && frame.metadata !== null && frame.metadata.length > 0) checkMetadata(frame.metadata)
    return undefined
  } catch (error) {
    if (error instanceof AppError) return error.message
    throw error
  }
}

function checkStamp({ hlc, origin }: Pick<ItemFrame, 'hlc' | 'origin'>, now: number): void {
  if (origin.length === 0 || origin.length > MAX_CLUSTER_ID_LENGTH) throw invalid('origin')
  if (parseHlc(hlc) === undefined) throw invalid('hlc')
  const aheadMs = hlcMs(hlc) - now
  if (aheadMs <= MAX_SKEW_MS) return
  const seconds = Math.round(aheadMs / 1000)
  throw new AppError('TASK_FAILED', `it is dated ${seconds} s in the future: set the clocks of both clusters`, {})
}
