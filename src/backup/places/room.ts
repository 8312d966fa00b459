import type { StatsFs } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { RoomOf } from './space.ts'

/** What the operating system says. */
export const filesystemRoom: RoomOf = async (path) => {
  const { blocks, bfree, bavail, bsize } = await statfsOfNearest(path)
  return { totalBytes: blocks * bsize, usedBytes: (blocks - bfree) * bsize, availableBytes: bavail * bsize }
}

async function statfsOfNearest(path: string): Promise<StatsFs> {
  try {
    return await statfs(path)
  } catch (error) {
    const parent = dirname(path)
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || parent === path) throw error
    return statfsOfNearest(parent)
  }
}
