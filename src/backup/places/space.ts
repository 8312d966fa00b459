import { AppError } from '../../core/errors.ts'
import type { FilesystemRoom } from '../../storage/fs/filesystem-room.ts'

/** Of the filesystem that a path is on; the path itself need not be there yet. */
export type RoomOf = (path: string) => Promise<FilesystemRoom>

/**
 * Sees to it that a run does not fill the filesystem that it writes to (backup.md 7, spaceCapCheck). Every refusal is
 * STORAGE_UNAVAILABLE and speaks of disk usage or space: it ends the run whatever its errorStrategy is.
 */
export interface SpaceGuard {
  /** Before the first byte. @param estimatedBytes at most what will be written; 0: not known. @throws AppError STORAGE_UNAVAILABLE. */
  begin(estimatedBytes: number): Promise<void>
  /** After so many more bytes; looks at the filesystem every 256 MiB. @throws AppError STORAGE_UNAVAILABLE. */
  wrote(bytes: number): Promise<void>
}

/** A guard of the filesystem that `path` is on. With `check` off only what cannot fit at all is refused. */
export type SpaceGuards = (path: string, setting: { readonly spaceCapCheck: boolean }) => SpaceGuard

export interface SpaceGuardDeps {
  readonly roomOf: RoomOf
  /** Largest share of a filesystem in use, 0 to 1. */
  readonly threshold: number
}

const LOOK_EVERY_BYTES = 256 * 1024 * 1024

export function createSpaceGuards({ roomOf, threshold }: SpaceGuardDeps): SpaceGuards {
  return (path, { spaceCapCheck }) => {
    let sinceLook = 0

    async function look(): Promise<FilesystemRoom> {
      const room = await roomOf(path)
      if (!spaceCapCheck || room.usedBytes <= room.totalBytes * threshold) return room
      const most = `backup.usageThreshold allows ${percent(threshold)}`
      throw refused(path, `disk usage is ${percent(room.usedBytes / room.totalBytes)} and ${most}`)
    }
    return {
      async begin(estimatedBytes) {
        const { availableBytes } = await look()
        if (estimatedBytes <= availableBytes) return
        throw refused(
          path,
          `there is no space: up to ${estimatedBytes} bytes are needed and ${availableBytes} are free`,
        )
      },
      async wrote(bytes) {
        sinceLook += bytes
        if (sinceLook < LOOK_EVERY_BYTES) return
        sinceLook = 0
        await look()
      },
    }
  }
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`

const refused = (path: string, why: string): AppError =>
  new AppError('STORAGE_UNAVAILABLE', `On the filesystem of [${path}] ${why}; free some or use another place`)
