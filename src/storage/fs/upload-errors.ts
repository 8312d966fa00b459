import { AppError } from '../../core/errors.ts'

export const uploadUnknown = (uploadId: string): AppError =>
  new AppError(
    'UPLOAD_UNKNOWN',
    `Upload [${uploadId.slice(0, 128)}] is not open: it was never started, or is completed`,
    {},
  )
export const uploadIncomplete = (uploadId: string, part: number): AppError =>
  new AppError('UPLOAD_INCOMPLETE', `Upload [${uploadId}] lacks part [${part}]`, { part })
/** Told to the request that was silent. */
export const partStalled = (uploadId: string, part: number): AppError =>
  new AppError('RECEIVE_FAILED', `Part [${part}] of upload [${uploadId}] is sent again: this request had stalled`, {
    part,
  })
export const pushBusy = (pushId: string): AppError =>
  new AppError(
    'UPLOAD_INCONSISTENT',
    `Upload [${pushId}] is being worked on by another request: ask where it stands, and go on from there`,
    {},
    { retryable: true },
  )
/** Told to the request that was silent. */
export const pushStalled = (pushId: string): AppError =>
  new AppError('RECEIVE_FAILED', `Upload [${pushId}] is continued by another request: this one had stalled`, {})
export const notAtEnd = (pushId: string, start: number, length: number): AppError =>
  new AppError('RANGE_INVALID', `Upload [${pushId}] has ${length} bytes: a chunk at ${start} does not continue it`, {
    length,
  })
