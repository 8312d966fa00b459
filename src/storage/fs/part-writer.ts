import { type FileHandle, open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { refuseLonger, refuseShorter } from '../announced-size.ts'
import { readChunks } from '../chunk-reader.ts'
import { freeing } from '../given-chunks.ts'
import { type ChunkWriter, createChunkWriter } from './chunk-writer.ts'
import { hasErrno } from './directories.ts'
import type { PrefixHash } from './prefix-hash.ts'
import { uploadUnknown } from './upload-errors.ts'
import { partAt, type UploadNotes } from './upload-notes.ts'

export interface PartTarget {
  readonly uploadId: string
  /** Of the file that the upload becomes. */
  readonly dataPath: string
  readonly notes: UploadNotes
  readonly hash: PrefixHash
}
export interface PartRequest {
  readonly part: number
  readonly source: Readable
  readonly onBytes: (count: number) => void
  /** Called before any byte changes; a throw refuses it. */
  readonly onChange: () => void
}

/**
 * Fills a part in place. It is noted as missing before its first byte changes, and as done after its last one is durable. A part
 * that is done already is compared with what comes, and changed only from the first byte that differs: two senders of one
 * upload do not disturb each other.
 * @throws AppError ARTIFACT_BROKEN when the source is shorter or longer than the part; UPLOAD_UNKNOWN when the upload takes none.
 */
export async function writePart(
  { uploadId, dataPath, notes, hash }: PartTarget,
  { part, source, onBytes, onChange }: PartRequest,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted()
  const { offset, sizeBytes: expected } = partAt(notes.layout, part)
  const file = await openData(dataPath, uploadId)
  let writer: ChunkWriter | undefined
  let sizeBytes = 0

  const startChanging = async (from: number) => {
    onChange()
    // Another name of the file is a published blob: an earlier life of the process had completed this upload.
    if ((await file.stat()).nlink > 1) throw uploadUnknown(uploadId)
    await notes.markMissing(part)
    hash.forget(part)
    writer = createChunkWriter(Promise.resolve(file), offset + from, { free: freeing(source) })
  }
  const compare = async (chunk: Buffer, from: number) => {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(chunk.length), 0, chunk.length, offset + from)
    if (bytesRead === chunk.length && buffer.equals(chunk)) return
    await startChanging(from)
    await writer?.write(chunk)
  }
  const take = (chunk: Buffer) => {
    const from = sizeBytes
    sizeBytes += chunk.length
    refuseLonger(sizeBytes, expected)
    onBytes(chunk.length)
    return writer === undefined ? compare(chunk, from) : writer.write(chunk)
  }

  try {
    if (!(await notes.isDone())[part]) await startChanging(0)
    await readChunks(source, take, signal)
    refuseShorter(sizeBytes, expected)
    if (writer === undefined) return
    await (writer as ChunkWriter).end()
    signal.throwIfAborted()
    await notes.markDone(part)
    hash.finished(part)
  } finally {
    await (writer as ChunkWriter | undefined)?.idle()
    await file.close()
  }
}

async function openData(path: string, uploadId: string): Promise<FileHandle> {
  try {
    return await open(path, 'r+')
  } catch (error) {
    throw hasErrno(error, 'ENOENT') ? uploadUnknown(uploadId) : error
  }
}
