import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { hasErrno } from './directories.ts'

/** A filesystem, in bytes. */
export interface FilesystemRoom {
  readonly totalBytes: number
  readonly usedBytes: number
  /** To whoever is no superuser. */
  readonly availableBytes: number
}

/** Of the filesystem that a path is on, or will be. */
export async function filesystemRoom(path: string): Promise<FilesystemRoom> {
  for (let at = path; ; at = dirname(at)) {
    try {
      const { blocks, bfree, bavail, bsize } = await statfs(at)
      return { totalBytes: blocks * bsize, usedBytes: (blocks - bfree) * bsize, availableBytes: bavail * bsize }
    } catch (error) {
      if (!hasErrno(error, 'ENOENT') || at === dirname(at)) throw error
    }
  }
}
