import { sizeOf, type WorkItem } from './work-item.ts'

export interface BatchLimits {
  readonly files: number
  /** Contents up to this size are held in memory, and sent with their files. */
  readonly inlineMaxBytes: number
}

/** Of contents in memory. */
const MAX_INLINE_BYTES = 4 * 1024 * 1024
/** Bounds what a kill can cost: a batch that did not reach its checkpoint is offered again. */
const MAX_BATCH_BYTES = 64 * 1024 * 1024
/** Of metadata's JSON, in characters. */
const MAX_BATCH_METADATA = 2_500_000

/** In order; a file that exceeds a limit by itself is a batch of its own. */
export async function* inBatches(
  pages: AsyncIterable<readonly WorkItem[]>,
  limits: BatchLimits,
): AsyncIterable<WorkItem[]> {
  let batch: WorkItem[] = []
  let [inline, bytes, metadata] = [0, 0, 0]
  for await (const page of pages) {
    for (const item of page) {
      const sizeBytes = sizeOf(item)
      const metadataLength = item.kind === 'file' ? item.file.metadataLength : 0
      const inlineBytes = sizeBytes <= limits.inlineMaxBytes ? sizeBytes : 0
      const tooMuch =
        inline + inlineBytes > MAX_INLINE_BYTES ||
        bytes + sizeBytes > MAX_BATCH_BYTES ||
        metadata + metadataLength > MAX_BATCH_METADATA
      if (batch.length === limits.files || (batch.length > 0 && tooMuch)) {
        yield batch
        batch = []
        inline = bytes = metadata = 0
      }
      batch.push(item)
      inline += inlineBytes
      bytes += sizeBytes
      metadata += metadataLength
    }
  }
  if (batch.length > 0) yield batch
}
