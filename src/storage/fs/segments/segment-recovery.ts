import { stat, unlink } from 'node:fs/promises'
import type { SegmentIndex } from '../../segments/segment-index.ts'
import { hasErrno } from '../directories.ts'
import { openRawFile } from '../raw-file.ts'
import { segmentPath } from './segment-directory.ts'

/**
 * Ends what this owner had open in its last life. Bytes behind the last blob that a row names were never acknowledged: they are
 * cut, and no transaction that comes late can name them, since the index has sealed the segment before them.
 * @returns segments that rows name and that are gone, or shorter than those say.
 */
export async function recoverSegments(
  root: string,
  owner: string,
  index: Pick<SegmentIndex, 'sealLeftOpen'>,
): Promise<number[]> {
  const broken: number[] = []
  for (const { segment, bytes } of await index.sealLeftOpen(owner)) {
    const path = segmentPath(root, { owner, segment })
    try {
      const { size } = await stat(path)
      if (size < bytes) broken.push(segment)
      else if (bytes === 0) await unlink(path)
      else if (size > bytes) await cut(path, bytes)
    } catch (error) {
      if (!hasErrno(error, 'ENOENT')) throw error
      if (bytes > 0) broken.push(segment)
    }
  }
  return broken
}

async function cut(path: string, bytes: number): Promise<void> {
  const file = await openRawFile(path, 'r+')
  try {
    await file.truncate(bytes)
  } finally {
    await file.close()
  }
}
