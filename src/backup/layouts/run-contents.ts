import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { mapConcurrent } from '../../core/concurrency.ts'
import { type Digest, digestFromBytes, digestOfBytes } from '../../core/digest.ts'
import { AppError, hasCode } from '../../core/errors.ts'
import { chunksOf } from '../../core/pull-source.ts'
import type { BlobStat } from '../../storage/blob-store.ts'
import { giveChunks } from '../../storage/given-chunks.ts'
import { contentPath } from '../manifest/run-paths.ts'
import type { RunFile, RunFiles } from './run-files.ts'

const FILES_AT_ONCE = 8
const CHUNK_BYTES = 256 * 1024

/** Whole small contents, checked by their digests; those that are missing or wrong are left out. */
export async function readSmallContents(
  files: RunFiles,
  blobs: readonly BlobStat[],
  signal: AbortSignal,
): Promise<Map<Digest, Buffer>> {
  const found = new Map<Digest, Buffer>()
  const readOne = async ({ digest, sizeBytes }: BlobStat, both: AbortSignal) => {
    const file = await files.find(contentPath(digest), both)
    if (file?.sizeBytes !== sizeBytes) return
    const bytes = await readWhole(files, file, both)
    if (digestOfBytes(bytes) === digest) found.set(digest, bytes)
  }
  const leaveOut = (error: unknown) => {
    if (!hasCode(error, 'ARTIFACT_BROKEN', 'BLOB_UNKNOWN')) throw error
  }
  await mapConcurrent(blobs, FILES_AT_ONCE, (blob, both) => readOne(blob, both).catch(leaveOut), signal)
  return found
}

/** @throws AppError BLOB_UNKNOWN; ARTIFACT_BROKEN when it has another size. */
export async function openContent(
  files: RunFiles,
  { digest, sizeBytes }: BlobStat,
  signal: AbortSignal,
): Promise<Readable> {
  const file = await files.find(contentPath(digest), signal)
  if (file === undefined) throw new AppError('BLOB_UNKNOWN', `Content ${digest} is not in the backup`, { digest })
  if (file.sizeBytes !== sizeBytes) {
    const why = `it has ${file.sizeBytes} bytes, and should have ${sizeBytes}`
    throw new AppError('ARTIFACT_BROKEN', `Content ${digest} of the backup is damaged: ${why}`, { digest })
  }
  const chunks = chunksOf(await files.open(file, signal), Math.min(CHUNK_BYTES, sizeBytes + 1), signal)
  return giveChunks(Readable.from(chunks, { objectMode: false }))
}

/** What a file hashes to, without holding it. */
export async function digestOfFile(
  files: RunFiles,
  file: RunFile,
  onBytes: (count: number) => void,
  signal: AbortSignal,
): Promise<Digest> {
  await using source = await files.open(file, signal)
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, file.sizeBytes + 1))
  for (;;) {
    const count = await source.read(buffer, signal)
    if (count === 0) return digestFromBytes(hash.digest())
    hash.update(buffer.subarray(0, count))
    onBytes(count)
  }
}

/** All of a file that is known to be small. @throws AppError ARTIFACT_BROKEN when it is not as long as it was. */
export async function readWhole(files: RunFiles, file: RunFile, signal: AbortSignal): Promise<Buffer> {
  await using source = await files.open(file, signal)
  const bytes = Buffer.allocUnsafeSlow(file.sizeBytes)
  const count = await source.read(bytes, signal)
  const beyond = await source.read(Buffer.alloc(1), signal)
  if (count === bytes.length && beyond === 0) return bytes
  throw new AppError('ARTIFACT_BROKEN', `${file.name} of the backup changed while it was read`, { file: file.name })
}
