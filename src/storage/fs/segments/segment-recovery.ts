import { stat } from 'node:fs/promises'
import type { SegmentIndex } from '../../segments/segment-index.ts'
import { hasErrno } from '../directories.ts'
import { segmentPath } from './segment-directory.ts'

/**
 * Ends what this owner had open in its last life. Bytes behind the last blob that a row names were never acknowledged, and no
 * transaction that comes late can name them, since the index has sealed the segment before them. They stay on the disk, as do files
 * that the index has forgotten: should this be the wrong state of the database, the right one still finds its bytes.
 * @returns segments that rows name and that are gone, or shorter than those say.
 */
export async function recoverSegments(
  root: string,
  owner: string,
  index: Pick<SegmentIndex, 'sealLeftOpen'>,
): Promise<number[]> {
  const broken: number[] = []
  for (const { segment, bytes } of await index.sealLeftOpen(owner)) {
    if (bytes > (await sizeOf(segmentPath(root, { owner, segment })))) broken.push(segment)
  }
  return broken
}

/** 0 when there is none. */
async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return 0
    throw error
  }
}
