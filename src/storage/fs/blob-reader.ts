import { type FileHandle, open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import type { PullSource } from '../../core/pull-source.ts'
import type { ByteRange } from '../blob-store.ts'
import { giveChunks } from '../given-chunks.ts'
import { hasErrno } from './directories.ts'

/** Up to this much is read at once: a stream over an open file costs more than the read itself. */
const READ_AT_ONCE_BYTES = 64 * 1024
/** Per read of a stream, of which two are in memory at most. */
const READ_BYTES = 256 * 1024

/** Bytes [start, end) of a file, cut at its end. @returns undefined when there is no such file. */
export async function openBlobFile(
  path: string,
  range: ByteRange | undefined,
  signal: AbortSignal,
): Promise<Readable | undefined> {
  const file = await openExisting(path)
  if (file === undefined) return undefined
  try {
    const start = range?.start ?? 0
    const end = range?.end ?? (await file.stat()).size
    signal.throwIfAborted()
    if (end - start > READ_AT_ONCE_BYTES) {
      const stream = file.createReadStream({ start, end: end - 1, highWaterMark: READ_BYTES, signal })
      // An abort before the caller listens would be an error that nobody hears, which ends the process. Callers hear it all the same.
      return giveChunks(stream.on('error', () => undefined))
    }
    const bytes = await readBytes(file, start, Math.max(0, end - start))
    await file.close()
    return streamOfOne(bytes)
  } catch (error) {
    await file.close()
    throw error
  }
}

/** The same, read into memory of the caller. */
export async function pullBlobFile(path: string, range: ByteRange | undefined): Promise<PullSource | undefined> {
  const file = await openExisting(path)
  if (file === undefined) return undefined
  let at = range?.start ?? 0
  const end = range?.end ?? Number.POSITIVE_INFINITY
  return {
    async read(into, signal) {
      let filled = 0
      while (filled < into.length && at < end) {
        signal.throwIfAborted()
        const wanted = Math.min(into.length - filled, end - at)
        const { bytesRead } = await file.read(into, filled, wanted, at)
        if (bytesRead === 0) break
        filled += bytesRead
        at += bytesRead
      }
      return filled
    },
    [Symbol.asyncDispose]: () => file.close(),
  }
}

/** All of a small file; undefined when there is none, or it has another size. */
export async function readBlobFile(path: string, sizeBytes: number): Promise<Buffer | undefined> {
  const file = await openExisting(path)
  if (file === undefined) return undefined
  try {
    // One byte more than there should be tells a longer file.
    const bytes = await readBytes(file, 0, sizeBytes + 1)
    return bytes.length === sizeBytes ? bytes : undefined
  } finally {
    await file.close()
  }
}

async function openExisting(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

async function readBytes(file: FileHandle, start: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, start + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return bytes.subarray(0, filled)
}

export function streamOfOne(bytes: Buffer): Readable {
  return new Readable({
    read() {
      if (bytes.length > 0) this.push(bytes)
      this.push(null)
    },
  })
}
