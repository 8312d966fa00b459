import { AppError, messageOf } from '../../core/errors.ts'

/** `errno` names, SQLite's primary result codes and PostgreSQL's states for a disk that takes nothing more, and for one that fails. */
const FULL = new Set<unknown>(['ENOSPC', 'EDQUOT', 13, '53100'])
const BROKEN = new Set<unknown>(['EIO', 'EROFS', 10, '58030'])

/**
 * A disk that is full or fails is a state that passes: the source hears of it in words, and comes again. Nothing that was
 * acknowledged is lost by it, since every batch is all or nothing. Other errors stay as they are.
 */
export function storageFailure(error: unknown): unknown {
  const { code, errcode } = (error ?? {}) as { code?: unknown; errcode?: unknown }
  // SQLite's extended codes keep the primary one in their low byte.
  const known = [code, typeof errcode === 'number' ? errcode & 0xff : undefined]
  if (known.some((one) => FULL.has(one))) return unavailable('the disk of the target is full', error)
  if (known.some((one) => BROKEN.has(one))) return unavailable('the disk of the target fails', error)
  return error
}

/** Runs work that stores something, and tells of a disk that does not take it. */
export async function tellingOfDisk<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw storageFailure(error)
  }
}

const unavailable = (what: string, cause: unknown) =>
  new AppError('STORAGE_UNAVAILABLE', `${what}: ${messageOf(cause)}`, {}, { cause, retryable: true })
