import { unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { PackPlace, SmallContent } from '../../blob-store.ts'
import { RECORD_HEADER_BYTES, recordHeaders } from '../../segments/record.ts'
import type { SegmentRef } from '../../segments/segment-index.ts'
import { syncDirectory } from '../directories.ts'
import { type OpenRawFile, writeFully } from '../raw-file.ts'

/** A segment that is appended to. Once an append has failed it is not to be used again. */
export interface OpenSegment {
  readonly ref: SegmentRef
  /** What lies before is durable. */
  durableBytes(): number
  /** Durable when it resolves. One at a time. @returns places, in the order of the contents. */
  append(contents: readonly SmallContent[]): Promise<PackPlace[]>
  /** Drops what lies behind the durable bytes, if the disk lets us, and closes the file. One without durable bytes is removed. */
  close(): Promise<void>
}

/** Two buffers a record: as many as the operating system takes in one call. */
const RECORDS_PER_WRITE = 500

/** Makes the file, which must not exist; its name is durable when this resolves. */
export async function createSegment(path: string, ref: SegmentRef, openFile: OpenRawFile): Promise<OpenSegment> {
  const file = await openFile(path, 'wx')
  // Nobody was given a place in it.
  const remove = () => unlink(path).catch(() => {})
  try {
    await syncDirectory(dirname(path))
  } catch (error) {
    await file.close()
    await remove()
    throw error
  }
  let [durable, written] = [0, 0]

  async function write(contents: readonly SmallContent[], places: PackPlace[]): Promise<void> {
    const headers = recordHeaders(contents)
    const buffers: Buffer[] = []
    const start = written
    for (let index = 0; index < contents.length; index++) {
      const { bytes } = contents[index]!
      buffers.push(headers.subarray(index * RECORD_HEADER_BYTES, (index + 1) * RECORD_HEADER_BYTES), bytes)
      written += RECORD_HEADER_BYTES
      places.push({ ...ref, offset: written })
      written += bytes.length
    }
    await writeFully(file, buffers, start)
  }

  return {
    ref,
    durableBytes: () => durable,
    async append(contents) {
      const places: PackPlace[] = []
      for (let at = 0; at < contents.length; at += RECORDS_PER_WRITE) {
        await write(contents.slice(at, at + RECORDS_PER_WRITE), places)
      }
      await file.datasync()
      durable = written
      return places
    },
    async close() {
      // Only disk space is at stake: no row ever names what lies behind.
      if (durable === 0) await remove()
      else if (written > durable) await file.truncate(durable).catch(() => {})
      await file.close()
    },
  }
}
