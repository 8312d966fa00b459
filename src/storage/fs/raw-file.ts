import * as fs from 'node:fs'
import { promisify } from 'node:util'

const openFile = promisify(fs.open)
const closeFile = promisify(fs.close)
const syncData = promisify(fs.fdatasync)
const truncateFile = promisify(fs.ftruncate)
const statFile = promisify(fs.fstat)

/**
 * An open file that lives until it is closed. A `FileHandle` does not: it may be closed when nobody refers to it any more. The seam
 * at which tests let a disk fail.
 */
export interface RawFile {
  /** @returns how many bytes came; 0 at the end. */
  read(into: Buffer, offset: number, length: number, position: number): Promise<number>
  /** @returns how many bytes were written, which may be fewer than there are. */
  writev(buffers: readonly Buffer[], position: number): Promise<number>
  datasync(): Promise<void>
  truncate(bytes: number): Promise<void>
  stat(): Promise<{ readonly size: number; readonly nlink: number }>
  close(): Promise<void>
}
export type OpenRawFile = (path: string, flags: 'r' | 'r+' | 'wx') => Promise<RawFile>

export const openRawFile: OpenRawFile = async (path, flags) => {
  const fd = await openFile(path, flags)
  return {
    read: (into, offset, length, position) =>
      new Promise((resolve, reject) => {
        fs.read(fd, into, offset, length, position, (error, count) => (error ? reject(error) : resolve(count)))
      }),
    writev: (buffers, position) =>
      new Promise((resolve, reject) => {
        fs.writev(fd, buffers, position, (error, count) => (error ? reject(error) : resolve(count)))
      }),
    datasync: () => syncData(fd),
    truncate: (bytes) => truncateFile(fd, bytes),
    stat: () => statFile(fd),
    close: () => closeFile(fd),
  }
}

/** Bytes from `position` on; fewer than `length` when the file ends before. */
export async function readFully(file: RawFile, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length)
  let filled = 0
  while (filled < length) {
    const count = await file.read(bytes, filled, length - filled, position + filled)
    if (count === 0) break
    filled += count
  }
  return bytes.subarray(0, filled)
}

/** All the buffers, however often the disk takes only a part of them. */
export async function writeFully(file: RawFile, buffers: readonly Buffer[], position: number): Promise<void> {
  let left = buffers
  for (let at = position; left.length > 0; ) {
    const count = await file.writev(left, at)
    if (count <= 0) throw new Error('The disk takes no more bytes, and says nothing of why')
    at += count
    left = after(left, count)
  }
}

function after(buffers: readonly Buffer[], count: number): readonly Buffer[] {
  let skip = count
  for (let index = 0; index < buffers.length; index++) {
    const { length } = buffers[index]!
    if (skip < length) return [buffers[index]!.subarray(skip), ...buffers.slice(index + 1)]
    skip -= length
  }
  return []
}
