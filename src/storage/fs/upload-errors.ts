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
