import { parseCrc64 } from '../../core/crc64.ts'
import { AppError, invalid } from '../../core/errors.ts'
import { hlcMs, parseHlc } from '../../core/hlc.ts'
import { LATEST_TIME_MS } from '../../core/latest-time.ts'
import { checkMetadata } from '../../core/metadata.ts'
import { checkedPath } from './checked.ts'
import type { ItemFrame } from './incoming-batch.ts'

/** A source whose clock runs further ahead than this would win every later conflict (sync.md B.6). */
const MAX_SKEW_MS = 5 * 60_000
const MAX_CLUSTER_ID_LENGTH = 64
const MAX_USER_LENGTH = 256
const CONTROL = /\p{Cc}/u

/** An item judged by itself: what is wrong with one of them is no reason to refuse the others. @returns why it is never taken. */
export function refusalOf(frame: ItemFrame, now: number): string | undefined {
  if (frame.type === 'version') return 'packages are not replicated by this version'
  try {
    checkStamp(frame, now)
    checkedPath(frame.path)
    checkWriter(frame)
    if (frame.type !== 'delete' && frame.metadata !== null && frame.metadata.length > 0) checkMetadata(frame.metadata)
    return undefined
  } catch (error) {
    if (error instanceof AppError) return error.message
    throw error
  }
}

function checkStamp({ hlc, origin }: Pick<ItemFrame, 'hlc' | 'origin'>, now: number): void {
  if (origin === '') throw invalid('origin', 'it is empty')
  checkName('origin', origin, MAX_CLUSTER_ID_LENGTH)
  if (parseHlc(hlc) === undefined) throw invalid('hlc')
  const aheadMs = hlcMs(hlc) - now
  if (aheadMs <= MAX_SKEW_MS) return
  const seconds = Math.round(aheadMs / 1000)
  throw new AppError('TASK_FAILED', `it is dated ${seconds} s in the future: set the clocks of both clusters`, {})
}

function checkWriter(frame: Exclude<ItemFrame, { readonly type: 'version' }>): void {
  if (frame.type === 'delete') {
    checkName('deletedBy', frame.deletedBy, MAX_USER_LENGTH)
    return
  }
  checkName('modifiedBy', frame.modifiedBy, MAX_USER_LENGTH)
  checkTime('modifiedAt', frame.modifiedAt)
  if (frame.type === 'metadata') return
  checkName('createdBy', frame.createdBy, MAX_USER_LENGTH)
  checkTime('createdAt', frame.createdAt)
  if (frame.expiresAt !== null) checkTime('expiresAt', frame.expiresAt)
  if (frame.crc64 !== null && parseCrc64(frame.crc64) !== frame.crc64) {
    throw invalid('crc64', 'it is no unsigned decimal of 64 bits')
  }
}

/** Of a cluster or a user: whatever a database keeps as it is, and pages and headers show. */
function checkName(field: string, name: string, maxLength: number): void {
  if (name.length > maxLength) throw invalid(field, `it has more than ${maxLength} characters`)
  if (!name.isWellFormed()) throw invalid(field, 'it is not well-formed Unicode')
  if (CONTROL.test(name)) throw invalid(field, 'it holds a control character')
}

function checkTime(field: string, ms: number): void {
  if (ms >= LATEST_TIME_MS) throw invalid(field, 'it lies behind the year 9999')
}
