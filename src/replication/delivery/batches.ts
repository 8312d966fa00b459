import { filesOf, sizeOf, type WorkItem } from './work-item.ts'

export interface BatchLimits {
  readonly files: number
  /** Contents up to this size are held in memory, and sent with their files. */
  readonly inlineMaxBytes: number
}

/** Of contents in memory. */
export const MAX_INLINE_BYTES = 4 * 1024 * 1024
/** Bounds what a kill can cost: a batch that did not reach its checkpoint is offered again. */
const MAX_BATCH_BYTES = 64 * 1024 * 1024
/** Of metadata's JSON, in characters. */
const MAX_BATCH_METADATA = 2_500_000

/** Contents of an item that are held in memory until they were sent. */
export const inlineBytesOf = (item: WorkItem, inlineMaxBytes: number): number =>
  filesOf(item).reduce((sum, { sizeBytes }) => (sizeBytes <= inlineMaxBytes ? sum + sizeBytes : sum), 0)

/** In order; a file or a version that exceeds a limit by itself is a batch of its own. */
export async function* inBatches(
  pages: AsyncIterable<readonly WorkItem[]>,
  limits: BatchLimits,
): AsyncIterable<WorkItem[]> {
  let batch: WorkItem[] = []
  let [files, inline, bytes, metadata] = [0, 0, 0, 0]
  for await (const page of pages) {
    for (const item of page) {
      const sizeBytes = sizeOf(item)
      const parts = filesOf(item)
      const metadataLength = parts.reduce((sum, part) => sum + part.metadataLength, 0)
      const inlineBytes = inlineBytesOf(item, limits.inlineMaxBytes)
      const tooMuch =
        inline + inlineBytes > MAX_INLINE_BYTES ||
        bytes + sizeBytes > MAX_BATCH_BYTES ||
        metadata + metadataLength > MAX_BATCH_METADATA
      const tooMany = files + Math.max(1, parts.length) > limits.files
      if (batch.length > 0 && (tooMany || tooMuch)) {
        yield batch
        batch = []
        files = inline = bytes = metadata = 0
      }
      batch.push(item)
      files += Math.max(1, parts.length)
      inline += inlineBytes
      bytes += sizeBytes
      metadata += metadataLength
    }
  }
  if (batch.length > 0) yield batch
}
