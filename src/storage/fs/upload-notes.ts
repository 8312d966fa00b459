import { type FileHandle, link, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../../core/errors.ts'
import type { PartStat, UploadLayout } from '../upload-spool.ts'
import { hasErrno } from './directories.ts'

/** Bytes before the marks: size of the upload and of its parts, 64 bits each, big-endian. */
const HEADER_BYTES = 16
const MISSING = 0
const DONE = 1

/**
 * What is finished of an upload: a small file of one byte per part, 1 once the bytes of the part are durable. One byte is
 * written whole or not at all, so no crash can leave half a note.
 */
export interface UploadNotes {
  readonly layout: UploadLayout
  /** Read again from disk: another process may have finished parts. */
  isDone(): Promise<readonly boolean[]>
  /** Durable when it resolves. */
  markDone(part: number): Promise<void>
  /** Durable when it resolves; to be called before the bytes of the part change. */
  markMissing(part: number): Promise<void>
}

/** Whole or not at all; keeps what is there. The directory exists. */
export async function createUploadNotes(path: string, layout: UploadLayout): Promise<void> {
  const bytes = Buffer.alloc(HEADER_BYTES + partCount(layout), MISSING)
  bytes.writeBigUInt64BE(BigInt(layout.sizeBytes), 0)
  bytes.writeBigUInt64BE(BigInt(layout.partSizeBytes), 8)
  const aside = await mkdtemp(`${path}.`)
  try {
    const whole = join(aside, 'parts')
    await writeFile(whole, bytes, { flush: true })
    await link(whole, path)
  } catch (error) {
    if (!hasErrno(error, 'EEXIST')) throw error
  } finally {
    await rm(aside, { recursive: true, force: true })
  }
}

/** @returns undefined when there is no such upload. */
export async function readUploadNotes(path: string): Promise<UploadNotes | undefined> {
  const bytes = await readExisting(path)
  if (bytes === undefined) return undefined
  const layout = {
    sizeBytes: Number(bytes.readBigUInt64BE(0)),
    partSizeBytes: Number(bytes.readBigUInt64BE(8)),
  }
  return {
    layout,
    async isDone() {
      const now = await readExisting(path)
      return Array.from({ length: partCount(layout) }, (_, part) => now?.[HEADER_BYTES + part] === DONE)
    },
    markDone: (part) => mark(path, part, DONE),
    markMissing: (part) => mark(path, part, MISSING),
  }
}

async function readExisting(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}

async function mark(path: string, part: number, state: number): Promise<void> {
  await using file = await open(path, 'r+')
  if ((await markAt(file, part)) === state) return
  await file.write(Buffer.from([state]), 0, 1, HEADER_BYTES + part)
  await file.datasync()
}

async function markAt(file: FileHandle, part: number): Promise<number | undefined> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(1), 0, 1, HEADER_BYTES + part)
  return bytesRead === 0 ? undefined : buffer[0]
}

export const partCount = ({ sizeBytes, partSizeBytes }: UploadLayout): number => Math.ceil(sizeBytes / partSizeBytes)

/** Where a part begins and how long it is. @throws AppError PARAMETER_INVALID when the upload has no such part. */
export function partAt(layout: UploadLayout, part: number): PartStat & { readonly offset: number } {
  const offset = part * layout.partSizeBytes
  if (!Number.isInteger(part) || part < 0 || offset >= layout.sizeBytes) {
    throw new AppError('PARAMETER_INVALID', `Part [${part}] is invalid: the upload has ${partCount(layout)} parts`, {
      part,
    })
  }
  return { part, offset, sizeBytes: Math.min(layout.partSizeBytes, layout.sizeBytes - offset) }
}
