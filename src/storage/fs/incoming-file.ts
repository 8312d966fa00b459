import { open, unlink } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { refuseLonger, refuseShorter } from '../announced-size.ts'
import type { ReceiveOptions } from '../blob-store.ts'
import { readChunks } from '../chunk-reader.ts'
import { type ContentDigests, createContentHashes } from '../content-hashes.ts'
import { createChunkWriter } from './chunk-writer.ts'
import { hasErrno } from './directories.ts'

export type ReceivedContent = ContentDigests & { readonly sizeBytes: number }

/**
 * Writes what comes to a new file and hashes it in the same pass; when it resolves the bytes are durable, the file's name is not.
 * When it fails no file is left, and the source is paused, not destroyed. @throws as `BlobStore.receive`.
 */
export async function writeIncoming(
  path: string,
  source: Readable,
  options: ReceiveOptions,
  signal: AbortSignal,
): Promise<ReceivedContent> {
  const opening = open(path, 'wx')
  const writer = createChunkWriter(opening, 0)
  try {
    const content = await readContent(source, options, writer.write, signal)
    await writer.end()
    await (await opening).close()
    return content
  } catch (error) {
    await writer.idle()
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

/** One pass: every chunk is hashed on this thread while the one before it is written by another. */
async function readContent(
  source: Readable,
  { sizeBytes: announced, onBytes, ...hashed }: ReceiveOptions,
  write: (chunk: Buffer) => Promise<void> | undefined,
  signal: AbortSignal,
): Promise<ReceivedContent> {
  const hashes = createContentHashes(hashed)
  let sizeBytes = 0
  const take = (chunk: Buffer) => {
    sizeBytes += chunk.length
    refuseLonger(sizeBytes, announced)
    const full = write(chunk)
    hashes.update(chunk)
    onBytes?.(chunk.length)
    return full
  }
  await readChunks(source, take, signal)
  refuseShorter(sizeBytes, announced)
  return { ...hashes.result(), sizeBytes }
}
