import { mkdir, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { mapConcurrent } from '../../core/concurrency.ts'
import { type Digest, digestOfBytes } from '../../core/digest.ts'
import { AppError } from '../../core/errors.ts'
import { pulledFrom } from '../../core/pull-source.ts'
import type { BlobStat, BlobStore, ByteRange } from '../blob-store.ts'
import type { PackedPlace, SegmentIndex } from '../segments/segment-index.ts'
import { listBlobFiles } from './blob-listing.ts'
import { createBlobPlaces } from './blob-places.ts'
import { openBlobFile, pullBlobFile, readBlobFile } from './blob-reader.ts'
import { hasErrno, makeDirectory, syncDirectory } from './directories.ts'
import { createHashThread, type HashThread } from './hash-thread.ts'
import { removeFile, writeIncoming } from './incoming-file.ts'
import { type OpenRawFile, openRawFile } from './raw-file.ts'
import { listSegmentFiles, ownerDirectory, segmentPath, segmentsOf } from './segments/segment-directory.ts'
import { createSegmentFiles } from './segments/segment-files.ts'
import { createSegmentReader } from './segments/segment-reader.ts'
import { recoverSegments } from './segments/segment-recovery.ts'
import { createSegmentWriter } from './segments/segment-writer.ts'
import { stagedFile } from './staged-file.ts'

export interface FsBlobStoreConfig {
  /** Created when absent. Processes may share it. Its file system must have hard links. */
  readonly root: string
  /** Installation id: each process of a shared root has its own, and sweeps what it had staged when it died. */
  readonly owner: string
  /** Of the process; else one of its own. */
  readonly hashing?: HashThread
  /** Where packed blobs lie: the rows of the database. */
  readonly index: SegmentIndex
  /** A segment that has grown so far is sealed. */
  readonly segmentBytes?: number
  /** Of segments that are written. */
  readonly openFile?: OpenRawFile
  /** Hears of what heals by itself, or with the next start, and of segments that rows name and that are gone. */
  readonly onError?: (error: unknown) => void
}

const SEGMENT_BYTES = 256 * 1024 * 1024
const FILES_AT_ONCE = 8
const SMALL_BYTES = 64 * 1024
/** A reader may have looked up a place just before its blob was moved. */
const LOOK_UPS = 2

/**
 * Blobs as files below `<root>/aa/bb/`, and small ones in segments below `<root>/.segments/<owner>/`. Incoming bytes go to
 * `<root>/.staging/<owner>/`, on the same file system, and are linked to their place when published
 * (docs/decisions/0004-blob-store.md, docs/design/blobs.md).
 */
export async function openFsBlobStore(config: FsBlobStoreConfig): Promise<BlobStore & AsyncDisposable> {
  const { root, owner, index, segmentBytes = SEGMENT_BYTES, openFile = openRawFile, onError = () => {} } = config
  const hashing = config.hashing ?? createHashThread()
  const staging = join(root, '.staging', owner)
  await mkdir(root, { recursive: true })
  await syncDirectory(dirname(root))
  await rm(staging, { recursive: true, force: true })
  await makeDirectory(dirname(staging))
  await mkdir(staging)
  await makeDirectory(segmentsOf(root))
  await makeDirectory(ownerDirectory(root, owner))
  for (const segment of await recoverSegments(root, owner, index)) {
    onError(new Error(`Segment [${owner}/${segment}] has blobs and is gone or cut short: have stored bytes scrubbed`))
  }
  const places = createBlobPlaces(root)
  const files = createSegmentFiles(root)
  const segments = createSegmentReader(files)
  const writer = createSegmentWriter({ root, owner, index, maxBytes: segmentBytes, openFile, onError })
  let received = 0

  const placeOf = async (digest: Digest): Promise<PackedPlace | undefined> =>
    (await index.placesOf([digest])).get(digest)

  async function findFile(digest: Digest): Promise<BlobStat | undefined> {
    try {
      return { digest, sizeBytes: (await stat(places.pathOf(digest))).size }
    } catch (error) {
      if (hasErrno(error, 'ENOENT')) return undefined
      throw error
    }
  }
  async function findPacked(digest: Digest): Promise<BlobStat | undefined> {
    for (let tried = 1; tried <= LOOK_UPS; tried++) {
      const place = await placeOf(digest)
      if (place === undefined) return undefined
      if (await segments.holds(place)) return { digest, sizeBytes: place.sizeBytes }
    }
    return undefined
  }
  /** @returns those that were not there. */
  async function readPacked(
    blobs: readonly BlobStat[],
    found: Map<Digest, Buffer>,
    signal: AbortSignal,
  ): Promise<BlobStat[]> {
    const byDigest = await index.placesOf(blobs.map(({ digest }) => digest))
    const placed = blobs.flatMap(({ digest, sizeBytes }) => {
      const place = byDigest.get(digest)
      return place?.sizeBytes === sizeBytes ? [[digest, place] as const] : []
    })
    for (const [digest, bytes] of await segments.readMany(placed, signal)) found.set(digest, bytes)
    return blobs.filter(({ digest }) => !found.has(digest))
  }
  async function open(digest: Digest, range: ByteRange | undefined, signal: AbortSignal): Promise<Readable> {
    const openFileOf = () => openBlobFile(places.pathOf(digest), range, signal)
    const openPacked = async () => {
      const place = await placeOf(digest)
      return place && segments.open(place, range, signal)
    }
    // Either may look first. What is large, or may be, most likely has a file.
    const isSmall = range?.end !== undefined && range.end - range.start <= SMALL_BYTES
    const ways = isSmall && index.isAtHand ? [openPacked, openFileOf] : [openFileOf, openPacked]
    for (let tried = 1; tried <= LOOK_UPS; tried++) {
      for (const way of ways) {
        signal.throwIfAborted()
        const stream = await way()
        if (stream !== undefined) return stream
      }
    }
    throw new AppError('BLOB_UNKNOWN', `Blob [${digest}] is not in the store`, { digest })
  }

  return {
    capabilities: { presignedUrl: false },
    async receive(source, options, signal) {
      const path = join(staging, String(++received))
      const content = await writeIncoming({ path, source, hashing }, options, signal)
      return stagedFile(places, { ...content, path, remove: () => removeFile(path) })
    },
    async putMany(contents, signal) {
      signal.throwIfAborted()
      return writer.append(contents)
    },
    leaveSegment(segment) {
      if (segment.owner === owner) writer.leave(segment)
    },
    async readMany(blobs, signal) {
      const found = new Map<Digest, Buffer>()
      let left: readonly BlobStat[] = blobs
      for (let tried = 1; tried <= LOOK_UPS && left.length > 0; tried++) {
        left = await readPacked(left, found, signal)
        const readFile = async ({ digest, sizeBytes }: BlobStat) => {
          const bytes = await readBlobFile(places.pathOf(digest), sizeBytes)
          if (bytes !== undefined && digestOfBytes(bytes) === digest) found.set(digest, bytes)
        }
        await mapConcurrent(left, FILES_AT_ONCE, readFile, signal)
        left = left.filter(({ digest }) => !found.has(digest))
      }
      return found
    },
    open,
    async pull(digest, range, signal) {
      signal.throwIfAborted()
      return (await pullBlobFile(places.pathOf(digest), range)) ?? pulledFrom(await open(digest, range, signal))
    },
    async find(digest, signal) {
      signal.throwIfAborted()
      return (await findFile(digest)) ?? (await findPacked(digest))
    },
    list: (signal) => listBlobFiles(root, signal),
    async delete(digest, signal) {
      signal.throwIfAborted()
      await removeFile(places.pathOf(digest))
    },
    async quarantine(digest, signal) {
      signal.throwIfAborted()
      if ((await findFile(digest)) !== undefined) return places.quarantine(digest)
      const place = await index.withdrawnPlaceOf(digest)
      const bytes = place && (await segments.open(place, undefined, signal))
      if (bytes !== undefined) await places.keepAside(digest, bytes)
    },
    listSegments: (signal) => listSegmentFiles(root, signal),
    async removeSegment(segment) {
      files.forget(segment)
      await removeFile(segmentPath(root, segment))
    },
    async [Symbol.asyncDispose]() {
      await writer.close()
      files.close()
    },
  }
}
