import type { Clock } from '../../../core/clock.ts'
import { type Digest, digestOfBytes } from '../../../core/digest.ts'
import { AppError } from '../../../core/errors.ts'
import type { Ids, Random } from '../../../core/ids.ts'
import type { PullSource } from '../../../core/pull-source.ts'
import type { BlobStat } from '../../../storage/blob-store.ts'
import type { Manifest } from '../../manifest/manifest.ts'
import type { BackupWriter, ManifestDraft } from '../layout.ts'
import type { WriterRequest } from '../layouts.ts'
import { createPutsOnTheWay } from '../puts-on-the-way.ts'
import { freeNameAfter } from '../run-name.ts'
import { createWritePace } from '../write-pace.ts'
import { findBase } from './base-snapshot.ts'
import { dataName, sealTrailer } from './data-object.ts'
import { findUnindexed, listData } from './data-objects.ts'
import { contentKey, entryKey } from './entry.ts'
import { createEntryReader, type EntryReader } from './entry-reader.ts'
import type { Compression } from './frame.ts'
import type { FrameThreads } from './frame-threads.ts'
import { writeLarge } from './large-entry.ts'
import type { Lease } from './lease.ts'
import { createNewObjects, type NewObjects } from './new-objects.ts'
import { HEADER_BYTES, newSeal } from './object-seal.ts'
import { createPackWriter } from './pack-writer.ts'
import { digestsIn, needsOfParts, partsOf } from './record-needs.ts'
import type { Repository } from './repository.ts'
import { snapshotPath } from './repository-place.ts'
import { createRecordParts, type RecordParts } from './repository-records.ts'
import type { Snapshot } from './snapshot-object.ts'

/** Smaller contents share objects. */
export const PACKED_BELOW_BYTES = 256 * 1024

export interface RepositoryWriterDeps {
  readonly clock: Clock
  readonly ids: Ids
  readonly random: Random
  readonly threads: FrameThreads
  readonly timeZone: string
}
export type RepositoryRequest = Pick<WriterRequest, 'name' | 'startedAt' | 'rateLimit' | 'compression'>

/** @param lease shared; the writer's own from here on. */
export async function openRepositoryWriter(
  repository: Repository,
  lease: Lease,
  request: RepositoryRequest,
  deps: RepositoryWriterDeps,
  signal: AbortSignal,
): Promise<BackupWriter> {
  const { location, master } = repository
  const { clock, ids, random, threads, timeZone } = deps
  const compression: Compression = request.compression ? 'zstd' : 'none'
  const pace = createWritePace(clock, request.rateLimit)
  const objects = createNewObjects(repository, lease, clock)
  const reader = createEntryReader(location, master)
  const stop = new AbortController()
  const packs = createPackWriter({
    location,
    master,
    ids,
    random,
    compression,
    onPacked: (object, entries) => objects.stored(object, entries, stop.signal),
  })
  const parts = createRecordParts(objects, packs)
  const onTheWay = createPutsOnTheWay()
  // Whoever has written here beside us, or died here, may have left whole objects that no index has.
  if (lease.hasOthers) await adoptUnindexed(repository, objects, signal)
  const base = await findBase(repository, reader, request.name, signal)
  let snapshot = await freeName(repository, request, timeZone, signal)

  async function putSmall(digest: Digest, bytes: Buffer, signal: AbortSignal): Promise<void> {
    const key = contentKey(digest)
    if (objects.has(key)) return
    objects.promise(key)
    await packs.add(key, bytes, signal)
    await pace(bytes.length, signal)
  }
  async function putSmallFrom({ digest, sizeBytes }: BlobStat, source: PullSource, signal: AbortSignal): Promise<void> {
    const bytes = Buffer.allocUnsafe(sizeBytes + 1)
    const length = await source.read(bytes, signal)
    if (length !== sizeBytes || digestOfBytes(bytes.subarray(0, length)) !== digest) {
      throw new AppError('ARTIFACT_BROKEN', `The content ${digest} is not what its digest says: it was not backed up`)
    }
    await putSmall(digest, bytes.subarray(0, length), signal)
  }
  async function putOwn(
    blob: BlobStat,
    source: PullSource,
    onBytes: (count: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const id = ids.key()
    const seal = newSeal('data', Buffer.from(id, 'hex'), master, random.bytes(32))
    const onFrame = (plainBytes: number, storedBytes: number) => {
      onBytes(plainBytes)
      return pace(storedBytes, signal)
    }
    await using writer = await location.create(dataName(id), signal)
    await writer.write(seal.header)
    const storedBytes = await writeLarge({ threads, seal, compression, onFrame }, blob, source, writer, signal)
    const entry = { key: contentKey(blob.digest), offset: HEADER_BYTES, storedBytes, plainBytes: blob.sizeBytes }
    const trailer = sealTrailer(seal, [entry], HEADER_BYTES + storedBytes)
    await writer.write(trailer)
    await writer.publish()
    const object = { id, sizeBytes: HEADER_BYTES + storedBytes + trailer.length }
    await objects.stored(object, [{ ...entry, object: id }], signal)
  }
  async function put(
    blob: BlobStat,
    open: () => Promise<PullSource>,
    onBytes: (count: number) => void,
    signal: AbortSignal,
  ): Promise<void> {
    await using source = await open()
    if (blob.sizeBytes >= PACKED_BELOW_BYTES) return await putOwn(blob, source, onBytes, signal)
    await putSmallFrom(blob, source, signal)
    onBytes(blob.sizeBytes)
  }

  return {
    get artifactLocation() {
      return snapshotPath(location.path, snapshot)
    },
    base: base?.manifest,
    // While one waits for the disk, another is hashed.
    putsAtOnce: threads.count * 2,
    async held(digests) {
      return new Set(digests.filter((digest) => objects.has(contentKey(digest))))
    },
    async putSmall(contents, signal) {
      for (const { digest, bytes } of contents) await putSmall(digest, bytes, signal)
    },
    async putLarge(blob, open, onBytes, signal) {
      if (objects.has(contentKey(blob.digest))) return
      await onTheWay.once(blob.digest, () => put(blob, open, onBytes, signal))
    },
    putRecords: (path, chunks, signal) => parts.put(path, chunks, signal),
    async publish(draft, signal) {
      await packs.flush(signal)
      await objects.writeIndex(signal)
      const made = await snapshotOf(draft, { repository, reader, objects, parts, base }, signal)
      await lease.check(signal)
      while (!(await repository.addSnapshot(snapshot, made, signal))) {
        snapshot = await freeName(repository, request, timeZone, signal)
      }
      await lease.removeStale(signal)
      return made.manifest
    },
    async [Symbol.asyncDispose]() {
      await onTheWay.settled()
      await packs.idle()
      // What is durable is for the next run to use: it looks for what has no index where a lease tells of it.
      await objects
        .writeIndex(stop.signal)
        .then(() => lease.removeStale(stop.signal))
        .catch(() => lease.leave())
      stop.abort()
      await reader[Symbol.asyncDispose]()
      await lease[Symbol.asyncDispose]()
    },
  }
}

async function adoptUnindexed(repository: Repository, objects: NewObjects, signal: AbortSignal): Promise<void> {
  for (const { object, entries } of await findUnindexed(
    repository,
    await listData(repository.location, signal),
    signal,
  )) {
    if (entries !== undefined) await objects.stored(object, entries, signal)
  }
}

/** Of several runs within a second, each has one of its own. @throws AppError RESOURCE_EXISTED. */
async function freeName(
  repository: Repository,
  { name, startedAt }: RepositoryRequest,
  timeZone: string,
  signal: AbortSignal,
): Promise<string> {
  const taken = new Set(await repository.snapshots(signal))
  const free = freeNameAfter(startedAt, timeZone, (run) => taken.has(`${name}-${run}`))
  if (free !== undefined) return `${name}-${free}`
  const where = `${repository.location.path}/snapshots`
  throw new AppError('RESOURCE_EXISTED', `${where} has a backup [${name}] for every second of the next minutes`)
}

interface SnapshotGround {
  readonly repository: Repository
  readonly reader: EntryReader
  readonly objects: NewObjects
  readonly parts: RecordParts
  readonly base: Snapshot | undefined
}

/** Looks every content up that the records name: what is told missing there was missing when it was made. */
async function snapshotOf(
  draft: ManifestDraft,
  { repository, reader, objects, parts, base }: SnapshotGround,
  signal: AbortSignal,
): Promise<Snapshot> {
  const ids = partsOf({ ...draft, blobCount: 0, blobBytes: 0, basedOn: [] })
  if (base !== undefined && sameIds(ids, partsOf(base.manifest))) {
    const { blobCount, blobBytes } = base.manifest
    return { manifest: { ...draft, blobCount, blobBytes, basedOn: [] } satisfies Manifest, missing: base.missing }
  }
  const missing = new Set<string>()
  const seen = new Set<string>()
  let [blobCount, blobBytes] = [0, 0]
  const take = (needs: Buffer) => {
    for (const digest of digestsIn(needs)) {
      const key = entryKey('content', digest)
      const place = objects.find(key)
      if (place === undefined) missing.add(digest.toString('hex'))
      else if (!seen.has(digest.toString('latin1'))) {
        seen.add(digest.toString('latin1'))
        blobCount++
        blobBytes += place.plainBytes
      }
    }
  }
  const others = [...ids].filter((id) => parts.needsOf(id) === undefined)
  for (const id of ids) take(parts.needsOf(id) ?? Buffer.alloc(0))
  for await (const needs of needsOfParts(repository, reader, others, signal)) take(needs)
  return { manifest: { ...draft, blobCount, blobBytes, basedOn: [] }, missing: [...missing] }
}

const sameIds = (a: ReadonlySet<string>, b: ReadonlySet<string>): boolean =>
  a.size === b.size && [...a].every((id) => b.has(id))
