import { open, unlink } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { refuseLonger, refuseShorter } from '../announced-size.ts'
import type { ReceiveOptions } from '../blob-store.ts'
import { readChunks } from '../chunk-reader.ts'
import { type ContentDigests, digestsOf, hashNames } from '../content-hashes.ts'
import { freeing } from '../given-chunks.ts'
import { createChunkWriter } from './chunk-writer.ts'
import { hasErrno } from './directories.ts'
import { createGrowingHash } from './growing-hash.ts'
import type { HashThread } from './hash-thread.ts'

export type ReceivedContent = ContentDigests & { readonly sizeBytes: number }
export interface IncomingFile {
  readonly path: string
  readonly source: Readable
  readonly hashing: HashThread
}

/**
 * Writes what comes to a new file and hashes it on its way; when it resolves the bytes are durable, the file's name is not.
 * When it fails no file is left, and the source is paused, not destroyed. @throws as `BlobStore.receive`.
 */
export async function writeIncoming(
  { path, source, hashing }: IncomingFile,
  { sizeBytes: announced, onBytes, ...options }: ReceiveOptions,
  signal: AbortSignal,
): Promise<ReceivedContent> {
  const opening = open(path, 'wx+')
  const hash = createGrowingHash(hashing, hashNames(options), announced)
  const writer = createChunkWriter(opening, 0, {
    onWritten: (file, end) => void hash.reach(file, end).catch(() => {}),
    free: freeing(source),
  })
  let sizeBytes = 0
  const take = (chunk: Buffer) => {
    refuseLonger(sizeBytes + chunk.length, announced)
    const full = writer.write(chunk)
    hash.follow(chunk, sizeBytes)
    sizeBytes += chunk.length
    onBytes?.(chunk.length)
    return full
  }
  try {
    await readChunks(source, take, signal)
    refuseShorter(sizeBytes, announced)
    await writer.end()
    const file = await opening
    const values = await hash.values(file, sizeBytes, signal)
    await hash.end()
    await file.close()
    return { ...digestsOf(values), sizeBytes }
  } catch (error) {
    await writer.idle()
    await hash.end()
    const file = await opening.catch(() => undefined)
    await file?.close()
    await removeFile(path)
    throw error
  }
}

/** Missing is fine. */
export async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if (!hasErrno(error, 'ENOENT')) throw error
  }
}
