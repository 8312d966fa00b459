import { Readable } from 'node:stream'
import { type Digest, digestOfBytes } from '../../../core/digest.ts'
import { AppError } from '../../../core/errors.ts'
import type { Random } from '../../../core/ids.ts'
import type { BlobStat } from '../../../storage/blob-store.ts'
import { giveChunks } from '../../../storage/given-chunks.ts'
import type { BackupReader } from '../layout.ts'
import { contentKey, type Entry } from './entry.ts'
import { createEntryReader } from './entry-reader.ts'
import { FRAME_BYTES } from './frame.ts'
import type { FrameThreads } from './frame-threads.ts'
import { readLarge } from './large-entry.ts'
import { linesOfParts } from './part-lines.ts'
import type { Repository } from './repository.ts'
import { verifySnapshot } from './verify-snapshot.ts'

const READ_AHEAD_BYTES = 2 * FRAME_BYTES
/** What is smaller is opened here: a question to a thread costs more. */
const LARGE_BYTES = 256 * 1024

export interface RepositoryReaderDeps {
  readonly threads: FrameThreads
  readonly random: Pick<Random, 'next'>
}

/** @throws AppError BLOB_UNKNOWN, ARTIFACT_BROKEN. */
export async function openRepositoryReader(
  repository: Repository,
  name: string,
  { threads, random }: RepositoryReaderDeps,
  signal: AbortSignal,
): Promise<BackupReader> {
  const snapshot = await repository.snapshot(name, signal)
  const { manifest } = snapshot
  const reader = createEntryReader(repository.location, repository.master)
  const files = new Map(manifest.files.map((file) => [file.path, file]))

  function entryOf({ digest, sizeBytes }: BlobStat): Entry | undefined {
    const key = contentKey(digest)
    const place = repository.index.find(key)
    return place?.plainBytes === sizeBytes ? { key, ...place } : undefined
  }
  return {
    layout: 'REPOSITORY',
    manifest,
    files: [...files.keys()],
    async *records(path, signal) {
      const file = files.get(path)
      if (file !== undefined) yield* linesOfParts(repository, reader, file, signal)
    },
    async readSmall(blobs, signal) {
      const digests = new Map<Entry, Digest>()
      for (const blob of blobs) {
        const entry = entryOf(blob)
        if (entry !== undefined) digests.set(entry, blob.digest)
      }
      const found = new Map<Digest, Buffer>()
      for await (const [entry, bytes] of reader.readMany([...digests.keys()], signal)) {
        const digest = digests.get(entry)!
        if (bytes !== undefined && digestOfBytes(bytes) === digest) found.set(digest, bytes)
      }
      return found
    },
    async open(blob, signal) {
      const { digest } = blob
      const entry = entryOf(blob)
      if (entry === undefined) {
        throw new AppError(
          'BLOB_UNKNOWN',
          `The backup does not have the content ${digest} with ${blob.sizeBytes} bytes`,
        )
      }
      if (entry.plainBytes < LARGE_BYTES)
        return giveChunks(Readable.from([await reader.read(entry, signal)], { objectMode: false }))
      const data = await reader.borrow(entry.object, signal)
      const frames = readLarge(threads, data, entry.key, entry, signal)
      const stream = new Readable({
        highWaterMark: READ_AHEAD_BYTES,
        read() {
          frames.next().then(
            ({ done, value }) => this.push(done === true ? null : value),
            (error: Error) => this.destroy(error),
          )
        },
        destroy(error, done) {
          const end = async () => {
            await frames.return(undefined)
            await data[Symbol.asyncDispose]()
          }
          end().then(
            () => done(error),
            (closing: Error) => done(error ?? closing),
          )
        },
      })
      return giveChunks(stream)
    },
    verify: (share, onBytes, signal) =>
      verifySnapshot({ repository, reader, threads, random }, snapshot, share, onBytes, signal),
    [Symbol.asyncDispose]: () => reader[Symbol.asyncDispose](),
  }
}
