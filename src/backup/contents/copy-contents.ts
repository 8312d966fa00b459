import { hash } from 'node:crypto'
import { mapConcurrent } from '../../core/concurrency.ts'
import { type Digest, digestFromBytes } from '../../core/digest.ts'
import { hasCode, messageOf } from '../../core/errors.ts'
import type { PullSource } from '../../core/pull-source.ts'
import type { BlobStat, BlobStore, SmallContent } from '../../storage/blob-store.ts'
import type { Progress } from '../activities/activity.ts'
import type { BackupWriter } from '../layouts/layout.ts'
import type { SpaceGuard } from '../places/space.ts'
import type { BlobList } from '../snapshot/blob-list.ts'
import type { FailedContents } from './failed-contents.ts'

/** What contents of a run go through. */
export interface ContentCopy {
  readonly store: Pick<BlobStore, 'readMany' | 'pull' | 'find'>
  readonly writer: BackupWriter
  readonly space: SpaceGuard
  readonly progress: Progress
  readonly failed: FailedContents
}

const SMALL_AT_ONCE = 256
const SMALL_BYTES_AT_ONCE = 4 * 1024 * 1024
const LARGE_AT_ONCE = 1_000

/**
 * Copies what the place does not have. What is missing from the store or damaged there is noted; trouble of the place is thrown.
 * Small ones pass beside large ones where the writer takes several at the same time.
 */
export async function copyContents(
  copy: ContentCopy,
  small: BlobList,
  large: BlobList,
  signal: AbortSignal,
): Promise<void> {
  const lanes = [
    (stop: AbortSignal) => copySmall(copy, small, stop),
    (stop: AbortSignal) => copyLarge(copy, large, stop),
  ]
  const atOnce = copy.writer.putsAtOnce > 1 ? lanes.length : 1
  await mapConcurrent(lanes, atOnce, (lane, stop) => lane(stop), signal)
}

async function copySmall(copy: ContentCopy, list: BlobList, signal: AbortSignal): Promise<void> {
  const { store, writer, progress, space } = copy
  const batches = batchesOf(list)
  const read = async () => {
    const { value: batch } = await batches.next()
    if (batch === undefined) return undefined
    return { batch, contents: await store.readMany(batch, signal) }
  }
  let ahead = read()
  for (;;) {
    const found = await ahead
    if (found === undefined) return
    // While these are written the next ones are read.
    ahead = read()
    ahead.catch(() => {})
    const contents = await wholeOnes(copy, found.batch, found.contents, signal)
    if (contents.length === 0) continue
    await writer.putSmall(contents, signal)
    const bytes = contents.reduce((sum, content) => sum + content.bytes.length, 0)
    progress.add({ bytes })
    await space.wrote(bytes)
  }
}

/** Those whose bytes hash to their digest. */
async function wholeOnes(
  copy: ContentCopy,
  batch: readonly BlobStat[],
  found: ReadonlyMap<Digest, Buffer>,
  signal: AbortSignal,
): Promise<SmallContent[]> {
  const contents: SmallContent[] = []
  for (const { digest } of batch) {
    const bytes = found.get(digest)
    if (bytes !== undefined && digestFromBytes(hash('sha256', bytes, 'buffer')) === digest) {
      contents.push({ digest, bytes })
      continue
    }
    const there = bytes !== undefined || (await copy.store.find(digest, signal)) !== undefined
    fail(copy, digest, there ? 'its bytes in the store are damaged' : 'it is missing from the store')
  }
  return contents
}

async function copyLarge(copy: ContentCopy, list: BlobList, signal: AbortSignal): Promise<void> {
  for await (const page of list.pages(LARGE_AT_ONCE)) {
    await mapConcurrent(page, copy.writer.putsAtOnce, (blob, stop) => copyOne(copy, blob, stop), signal)
  }
}

async function copyOne(copy: ContentCopy, blob: BlobStat, signal: AbortSignal): Promise<void> {
  const { store, writer, progress } = copy
  /** What went wrong on the side of the store. */
  let trouble: unknown
  const noting = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      trouble = error
      throw error
    }
  }
  const open = async () => watched(copy, await noting(() => store.pull(blob.digest, undefined, signal)), noting)
  try {
    await writer.putLarge(blob, open, (count) => progress.add({ bytes: count }), signal)
  } catch (error) {
    signal.throwIfAborted()
    if (error !== trouble && !hasCode(error, 'ARTIFACT_BROKEN', 'BLOB_UNKNOWN')) throw error
    fail(copy, blob.digest, hasCode(error, 'BLOB_UNKNOWN') ? 'it is missing from the store' : messageOf(error))
  }
}

/** The source, with a look at the room that is left now and then. */
function watched(
  { space }: ContentCopy,
  source: PullSource,
  noting: <T>(work: () => Promise<T>) => Promise<T>,
): PullSource {
  return {
    async read(into, signal) {
      const count = await noting(() => source.read(into, signal))
      await space.wrote(count)
      return count
    },
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  }
}

function fail({ failed, progress }: ContentCopy, digest: Digest, reason: string): void {
  progress.add({ failed: 1 })
  failed.note(digest, reason)
}

async function* batchesOf(list: BlobList): AsyncGenerator<BlobStat[], undefined> {
  let batch: BlobStat[] = []
  let bytes = 0
  for await (const page of list.pages(SMALL_AT_ONCE)) {
    for (const blob of page) {
      if (batch.length > 0 && (batch.length === SMALL_AT_ONCE || bytes + blob.sizeBytes > SMALL_BYTES_AT_ONCE)) {
        yield batch
        batch = []
        bytes = 0
      }
      batch.push(blob)
      bytes += blob.sizeBytes
    }
  }
  if (batch.length > 0) yield batch
  return undefined
}
