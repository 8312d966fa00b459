import type { Clock } from '../../core/clock.ts'
import { mapConcurrent } from '../../core/concurrency.ts'
import type { Digest } from '../../core/digest.ts'
import { areBlobsHeld } from '../../metadata/backup/holds.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import { purgeNodes } from '../../metadata/nodes/deleted-nodes.ts'
import {
  type BlobHome,
  type BlobRow,
  deleteBlobRows,
  lockUnneeded,
  markUnneeded,
  noteOrphans,
  pageUntouched,
  rowsAmong,
  unreferencedAmong,
} from '../../metadata/storage/blobs.ts'
import type { BlobStore } from '../../storage/blob-store.ts'

export interface GarbageCollectionDeps {
  readonly db: MetadataDatabase
  readonly store: BlobStore
  readonly clock: Pick<Clock, 'now'>
  /** How long a blob that nothing refers to is kept since somebody last relied on it. */
  readonly graceMs: number
}

export interface GarbageReport {
  /** Blobs that nobody touched during the grace time: those whose references were looked for. */
  readonly examined: number
  readonly deletedBlobs: number
  readonly freedBytes: number
  /** Files found without a row, left by a process that died: noted now, removed after the grace time. */
  readonly orphans: number
}

const EXAMINED_AT_ONCE = 1_000
/**
 * A file is removed while the transaction is open, and SQLite's only writer waits for it. Of a packed blob only the row goes; its
 * bytes are dead, and their segment is compacted some day.
 */
const REMOVED_AT_ONCE = { file: 50, segment: 500 }
const FILES_AT_ONCE = 8
const PURGED_AT_ONCE = 1_000

/**
 * Removes blobs that no node refers to, live or deleted, and no loose row, and that nobody relied on during the grace time. Any number of processes
 * may do it at once, and at any moment of an upload: what it does on each line when something else happens, or the process dies,
 * is in docs/design/blobs.md. While somebody holds all blobs (`metadata/backup/holds.ts`) nothing is taken away.
 */
export async function collectGarbage(deps: GarbageCollectionDeps, signal: AbortSignal): Promise<GarbageReport> {
  const orphans = await findOrphans(deps, signal)
  const examined = await markGarbage(deps, signal)
  return { examined, orphans, ...(await removeMarked(deps, signal)) }
}

/** Purges nodes that were deleted before `deletedBefore` (UTC epoch ms), in slices. @returns how many. */
export async function purgeDeletedNodes(
  { db, clock }: Pick<GarbageCollectionDeps, 'db' | 'clock'>,
  deletedBefore: number,
  signal: AbortSignal,
): Promise<number> {
  for (let purged = 0; ; ) {
    signal.throwIfAborted()
    const slice = await db.transact((trx) => purgeNodes(trx, deletedBefore, PURGED_AT_ONCE, clock.now()))
    purged += slice
    if (slice < PURGED_AT_ONCE) return purged
  }
}

/** A file without a row is no blob. It gets a row that says so, and is removed like all garbage. */
async function findOrphans({ db, store, clock }: GarbageCollectionDeps, signal: AbortSignal): Promise<number> {
  let orphans = 0
  for await (const files of inSlices(store.list(signal), EXAMINED_AT_ONCE)) {
    const digests = files.map(({ digest }) => digest)
    const known = await rowsAmong(db.read, digests)
    const unknown = files.filter(({ digest }) => !known.has(digest))
    if (unknown.length > 0) orphans += await db.transact((trx) => noteOrphans(trx, unknown, clock.now()))
  }
  return orphans
}

/** From here on nobody relies on the marked blobs: whoever wants one has to bring its bytes. */
async function markGarbage({ db, clock, graceMs }: GarbageCollectionDeps, signal: AbortSignal): Promise<number> {
  const touchedBefore = clock.now() - graceMs
  let examined = 0
  for (let after: Digest | undefined; ; ) {
    signal.throwIfAborted()
    const page = await pageUntouched(db.read, touchedBefore, after, EXAMINED_AT_ONCE)
    if (page.length === 0) return examined
    examined += page.length
    after = page.at(-1)
    const unreferenced = await unreferencedAmong(db.read, page)
    if (unreferenced.length === 0) continue
    const mark = async (trx: Transaction) => {
      await markUnneeded(trx, unreferenced, touchedBefore)
      // After they were found unneeded: whoever holds them from now on reads a state in which they are.
      if (await areBlobsHeld(trx, clock.now())) throw new BlobsHeldError()
    }
    if (!(await unlessHeld(() => db.transact(mark)))) return examined
  }
}

/** Rolls the marks back. */
class BlobsHeldError extends Error {}
async function unlessHeld(work: () => Promise<void>): Promise<boolean> {
  try {
    await work()
    return true
  } catch (error) {
    if (error instanceof BlobsHeldError) return false
    throw error
  }
}

/** Files first, then their rows, while the rows are locked. A death in between leaves a marked row, which promises nothing. */
async function removeMarked(
  { db, store, clock, graceMs }: GarbageCollectionDeps,
  signal: AbortSignal,
): Promise<Pick<GarbageReport, 'deletedBlobs' | 'freedBytes'>> {
  const before = clock.now() - graceMs
  const removeSlice = (home: BlobHome) =>
    db.transact(async (trx) => {
      const blobs = await lockUnneeded(trx, home, before, REMOVED_AT_ONCE[home])
      if (await areBlobsHeld(trx, clock.now())) return []
      const digests = blobs.map(({ digest }) => digest)
      if (home === 'file') {
        await mapConcurrent(digests, FILES_AT_ONCE, (digest, stop) => store.delete(digest, stop), signal)
      }
      await deleteBlobRows(trx, digests)
      return blobs
    })
  let [deletedBlobs, freedBytes] = [0, 0]
  for (const home of ['segment', 'file'] as const) {
    for (;;) {
      signal.throwIfAborted()
      const removed = await removeSlice(home)
      if (removed.length === 0) break
      deletedBlobs += removed.length
      freedBytes += sumOfSizes(removed)
    }
  }
  return { deletedBlobs, freedBytes }
}

const sumOfSizes = (blobs: readonly BlobRow[]): number => blobs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)

async function* inSlices<T>(items: AsyncIterable<T>, size: number): AsyncIterable<T[]> {
  let slice: T[] = []
  for await (const item of items) {
    if (slice.push(item) < size) continue
    yield slice
    slice = []
  }
  if (slice.length > 0) yield slice
}
