import { AppError } from '../../core/errors.ts'
import { hasErrno } from './directories.ts'
import { filesystemRoom } from './filesystem-room.ts'

/** Runs work on a location; when its disk is what failed, it throws the refusal that says so, and what is missing. */
export async function tellingOfPlace<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (hasErrno(error, 'ENOSPC')) {
      const room = await filesystemRoom(path).catch(() => undefined)
      const left = room === undefined ? '' : `: ${room.availableBytes} of ${room.totalBytes} bytes are free`
      throw unavailable(
        `There is no space left in the backup place [${path}]${left}. Make room, then run it again`,
        error,
      )
    }
    if (hasErrno(error, 'EDQUOT', 'EFBIG')) {
      throw unavailable(
        `There is no space left in the backup place [${path}] for this user: a quota of the system is used up. Raise it, then run it again`,
        error,
      )
    }
    if (hasErrno(error, 'EIO', 'EROFS', 'EACCES', 'EPERM')) {
      throw unavailable(`The backup place [${path}] cannot be used: ${(error as Error).message}`, error)
    }
    throw error
  }
}

const unavailable = (message: string, cause: unknown): AppError =>
  new AppError('STORAGE_UNAVAILABLE', message, {}, { cause, retryable: true })
