import { close, fdatasync, open as openFile } from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { AppError } from '../../core/errors.ts'

/** Makes commits durable that the connection itself did not wait for. */
export interface Durability {
  /**
   * Resolves when all that was committed before the call is on disk. Calls at the same time share one sync, and the thread goes on
   * meanwhile. @throws AppError STORAGE_UNAVAILABLE when a sync failed, now or ever before: the system tells of lost pages once only,
   * so no later success can be believed.
   */
  settled(): Promise<void>
  /** @throws as `settled`, when a sync failed before. */
  check(): void
  close(): Promise<void>
}

/** The log of a database, to be synced. */
export interface Log {
  datasync(): Promise<void>
  close(): Promise<void>
}

/**
 * @param file of the database in WAL mode with `synchronous=normal`: its log is whole at any moment, but nobody waits for the disk.
 * @param openLog opens `<file>-wal`; tests bring a disk that fails.
 */
export function createDurability(file: string, openLog: (path: string) => Promise<Log> = openSyncedLog): Durability {
  let log: Promise<Log> | undefined
  let running: Promise<void> | undefined
  let next: Promise<void> | undefined
  let lost: AppError | undefined

  const check = () => {
    if (lost !== undefined) throw lost
  }
  async function sync(): Promise<void> {
    check()
    try {
      log ??= openLog(`${file}-wal`)
      await (await log).datasync()
    } catch (cause) {
      lost ??= new AppError(
        'STORAGE_UNAVAILABLE',
        'The metadata database could not be made durable: look at its disk, then restart the server',
        {},
        { cause },
      )
      throw lost
    }
  }
  const begin = (): Promise<void> => {
    next = undefined
    const mine = sync().finally(() => {
      if (running === mine) running = undefined
    })
    running = mine
    return mine
  }
  return {
    check,
    settled() {
      if (running === undefined) return begin()
      // The one under way may have begun before the commit.
      next ??= running.then(begin, begin)
      return next
    },
    async close() {
      await next?.catch(() => undefined)
      await running?.catch(() => undefined)
      await (await log?.catch(() => undefined))?.close()
    },
  }
}

/** The log stays the same file as long as a connection is open. Its name has to be durable, too. */
async function openSyncedLog(path: string): Promise<Log> {
  const fd = await promisify(openFile)(path, 'r+')
  await using directory = await open(dirname(path), 'r')
  await directory.sync()
  return { datasync: () => promisify(fdatasync)(fd), close: () => promisify(close)(fd) }
}
