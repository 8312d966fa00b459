import { join } from 'node:path'
import type { StoredSegment } from '../../blob-store.ts'
import type { SegmentRef } from '../../segments/segment-index.ts'
import { namesIn, sizeOf } from '../present.ts'

const NUMBER = /^[1-9][0-9]{0,15}$/

export const segmentsOf = (root: string): string => join(root, '.segments')
export const ownerDirectory = (root: string, owner: string): string => join(segmentsOf(root), owner)
export const segmentPath = (root: string, { owner, segment }: SegmentRef): string =>
  join(ownerDirectory(root, owner), String(segment))

/** The segments of all owners. What goes away meanwhile is left out. */
export async function* listSegmentFiles(root: string, signal: AbortSignal): AsyncIterable<StoredSegment> {
  for (const owner of await namesIn(segmentsOf(root))) {
    for (const name of await namesIn(ownerDirectory(root, owner))) {
      signal.throwIfAborted()
      if (!NUMBER.test(name)) continue
      const ref = { owner, segment: Number(name) }
      const sizeBytes = await sizeOf(segmentPath(root, ref))
      if (sizeBytes !== undefined) yield { ...ref, sizeBytes }
    }
  }
}
