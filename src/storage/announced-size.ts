import { AppError } from '../core/errors.ts'

/** @throws AppError ARTIFACT_BROKEN as soon as more bytes came than were announced. */
export function refuseLonger(sizeBytes: number, announcedBytes: number | undefined): void {
  if (announcedBytes === undefined || sizeBytes <= announcedBytes) return
  throw new AppError('ARTIFACT_BROKEN', `More bytes came than the ${announcedBytes} that were announced`, {
    announcedBytes,
  })
}

/** @throws AppError ARTIFACT_BROKEN when the end came before the announced size was reached. */
export function refuseShorter(sizeBytes: number, announcedBytes: number | undefined): void {
  if (announcedBytes === undefined || sizeBytes >= announcedBytes) return
  throw new AppError('ARTIFACT_BROKEN', `Only ${sizeBytes} of the ${announcedBytes} announced bytes came`, {
    announcedBytes,
    sizeBytes,
  })
}
