import { AppError, hasCode } from './errors.ts'

/** What the system says when there is no room: of a disk, of a quota of the operating system, of a file's size. */
const NO_SPACE: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])
const BROKEN: ReadonlySet<unknown> = new Set(['EIO', 'EROFS'])
/** Primary result codes of SQLite (sqlite.org/rescode.html): SQLITE_IOERR, SQLITE_FULL; the lowest byte of `errcode`. */
const SQLITE_IOERR = 10
const SQLITE_FULL = 13
/** SQLSTATE of PostgreSQL: disk_full, io_error. */
const SQLSTATE_FULL = '53100'
const SQLSTATE_IO = '58030'
const MOST_CAUSES = 5

/**
 * Undefined unless the disk is what failed: then the refusal that says so, without a path unless somebody has said more already. The
 * same call may succeed later.
 */
export function storageTrouble(error: unknown): AppError | undefined {
  let cause = error
  for (let depth = 0; depth < MOST_CAUSES && cause instanceof Error; depth++) {
    if (hasCode(cause, 'STORAGE_UNAVAILABLE')) return cause
    const { code, errcode } = cause as { code?: unknown; errcode?: unknown }
    const sqlite = typeof errcode === 'number' ? errcode & 0xff : undefined
    if (NO_SPACE.has(code) || code === SQLSTATE_FULL || sqlite === SQLITE_FULL) {
      return unavailable('There is no space left in the storage of this server', error)
    }
    if (BROKEN.has(code) || code === SQLSTATE_IO || sqlite === SQLITE_IOERR) {
      return unavailable('The storage of this server fails', error)
    }
    cause = cause.cause
  }
  return undefined
}

/** Runs work that stores something; when the disk is what failed, it throws the refusal that says so. */
export async function tellingOfStorage<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw storageTrouble(error) ?? error
  }
}

const unavailable = (what: string, cause: unknown): AppError =>
  new AppError('STORAGE_UNAVAILABLE', `${what}: nothing was stored, try again later`, {}, { cause, retryable: true })
