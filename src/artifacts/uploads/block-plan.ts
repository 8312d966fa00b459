import { AppError } from '../../core/errors.ts'
import type { BlockPart, BlockStyle } from '../../metadata/storage/block-uploads.ts'

/** Far above what anybody sends; keeps the list of an upload's blocks a list. */
export const MAX_SEQUENCE = 100_000

/**
 * Whether blocks, ascending by position, are a whole file. @returns its size. @throws AppError UPLOAD_WITHOUT_BLOCKS;
 * UPLOAD_INCONSISTENT when they do not add up to the announced size; UPLOAD_INCOMPLETE naming the first gap or overlap.
 */
export function checkBlocks(
  uploadId: string,
  style: BlockStyle,
  parts: readonly Pick<BlockPart, 'position' | 'sizeBytes'>[],
  announcedBytes: number | undefined,
): number {
  if (parts.length === 0) {
    throw new AppError('UPLOAD_WITHOUT_BLOCKS', `Upload [${uploadId}] has no blocks`, { uploadId })
  }
  const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0)
  if (announcedBytes !== undefined && announcedBytes !== sizeBytes) {
    const message = `The blocks of upload [${uploadId}] have ${sizeBytes} bytes, not the ${announcedBytes} that were announced`
    throw new AppError('UPLOAD_INCONSISTENT', message, { uploadId, sizeBytes, announcedBytes })
  }
  let expected = style === 'NUMBERED' ? 1 : 0
  for (const part of parts) {
    if (part.position !== expected) throw notWhole(uploadId, style, expected, part.position)
    expected += style === 'NUMBERED' ? 1 : part.sizeBytes
  }
  return sizeBytes
}

function notWhole(uploadId: string, style: BlockStyle, expected: number, found: number): AppError {
  const name = style === 'NUMBERED' ? 'sequence' : 'offset'
  const what = found < expected ? `has overlapping blocks: one begins at ${name}` : `lacks the block with ${name}`
  const at = found < expected ? found : expected
  return new AppError('UPLOAD_INCOMPLETE', `Upload [${uploadId}] ${what} [${at}]`, { uploadId, [name]: at })
}
