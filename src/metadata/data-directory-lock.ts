import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { AppError } from '../core/errors.ts'

const LOCK_FILE = 'entrepot.lock'
/** SQLITE_BUSY of https://sqlite.org/rescode.html. */
const BUSY = 5
/** Kept from the garbage collector, which would close the file of a lock that nobody looks at any more. */
const held = new Set<DatabaseSync>()

/**
 * Takes a data directory for this process until it is disposed or the process ends, however it ends: the lock is one that the
 * operating system holds (the exclusive lock of an empty SQLite file), so a killed process leaves nothing to clean up. The directory
 * is made when it is missing. It must be on a file system with working POSIX locks.
 * @throws AppError DATA_DIRECTORY_IN_USE when another process, or this one, has it already.
 */
export function lockDataDirectory(directory: string): Disposable {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const lock = new DatabaseSync(join(directory, LOCK_FILE), { timeout: 0 })
  try {
    lock.exec('pragma locking_mode = exclusive; begin exclusive')
  } catch (error) {
    lock.close()
    if (error instanceof Error && 'errcode' in error && error.errcode === BUSY) throw inUse(directory, error)
    throw error
  }
  held.add(lock)
  return {
    [Symbol.dispose]: () => {
      if (held.delete(lock)) lock.close()
    },
  }
}

function inUse(directory: string, cause: Error): AppError {
  const path = resolve(directory)
  return new AppError(
    'DATA_DIRECTORY_IN_USE',
    `Data directory [${path}] is in use by another Entrepot process: stop that process, or start this one with another directory (--data)`,
    { directory: path },
    { cause },
  )
}
