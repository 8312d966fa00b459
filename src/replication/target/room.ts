import { changedMeanwhile } from '../../artifacts/nodes/node-writer.ts'
import { hasCode } from '../../core/errors.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import { holdRepository } from '../../metadata/repositories/repositories.ts'
import { usedBytes } from '../../metadata/repositories/usage.ts'

/** What a repository with a quota still takes, so that a file that does not fit is no reason to refuse the rest of its batch. */
export interface Room {
  /** @returns why the bytes do not fit; undefined: they do, and are taken. */
  take(bytes: number): string | undefined
}

/**
 * As it is now: others may take from it until the commit, which then says no (`transactWithinQuota`).
 * @param trial what was taken before and is not written, and what is taken here.
 */
export async function roomIn(
  trx: Transaction,
  repoId: number,
  trial: { takenBytes: number } = { takenBytes: 0 },
): Promise<Room> {
  const quota = (await holdRepository(trx, repoId))?.quota ?? null
  if (quota === null) return { take: () => undefined }
  let left = quota - (await usedBytes(trx, repoId)) - trial.takenBytes
  return {
    take(bytes) {
      if (bytes > 0 && bytes > left) {
        return `the target's repository is over its quota of ${quota} bytes: ${Math.max(left, 0)} are left, ${bytes} more are needed`
      }
      left -= bytes
      trial.takenBytes += bytes
      return undefined
    },
  }
}

/** For `settle`: when somebody else took the room, the whole batch looks again at what is left. */
export async function transactWithinQuota<T>(db: MetadataDatabase, work: (trx: Transaction) => Promise<T>): Promise<T> {
  try {
    return await db.transact(work)
  } catch (error) {
    throw hasCode(error, 'QUOTA_EXCEEDED') ? changedMeanwhile('the bytes in use') : error
  }
}
