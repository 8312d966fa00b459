import type { Clock } from '../../core/clock.ts'
import type { MetadataDatabase, Reader } from '../../metadata/database.ts'
import { lockRepository, type Repository, setRepositoryQuota } from '../../metadata/repositories/repositories.ts'
import { overQuota, usedBytes, usedBytesOf } from '../../metadata/repositories/usage.ts'
import { repositoryNotFound } from './repositories.ts'
import { checkedQuota } from './repository-rules.ts'

/** Bytes; `quota` null: no limit. */
export interface Usage {
  readonly quota: number | null
  readonly used: number
}

/** How much a repository may hold and does hold (core.md 6, docs/design/quotas.md). */
export interface Quotas {
  usage(repository: Repository): Promise<Usage>
  /** In one statement for all of them, by id; one that is empty may be missing. */
  usedBytes(repositories: readonly Repository[]): Promise<ReadonlyMap<number, number>>
  /**
   * Null takes the limit away. One below what is in use is allowed: from then on what would add bytes is refused.
   * @throws AppError PARAMETER_INVALID, REPOSITORY_NOT_FOUND when it was deleted meanwhile.
   */
  set(repository: Repository, quota: number | null, by: string): Promise<void>
}

interface QuotaDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
}

export function createQuotas({ db, clock }: QuotaDeps): Quotas {
  return {
    usage: async ({ id, quota }) => ({ quota, used: await usedBytes(db.read, id) }),
    usedBytes: (repositories) =>
      usedBytesOf(
        db.read,
        repositories.map(({ id }) => id),
      ),
    async set({ id, project, name }, wanted, by) {
      const quota = checkedQuota(wanted)
      await db.transact(async (trx) => {
        // No writer is under way that looked at the old limit, and none begins before the new one is there.
        await lockRepository(trx, id)
        if (!(await setRepositoryQuota(trx, id, quota, by, clock.now()))) throw repositoryNotFound(project, name)
      })
    },
  }
}

type Room = Pick<Repository, 'id' | 'name' | 'quota'>

/**
 * An early refusal, before bytes travel. The word that counts is the transaction's (`settleUsage`).
 * @throws AppError QUOTA_EXCEEDED.
 */
export async function checkRoom(reader: Reader, repository: Room, wantedBytes: number): Promise<void> {
  if (wantedBytes > 0) (await roomIn(reader, repository)).check(wantedBytes)
}

/** The same for several files; each is compared with what is in use before any of them. */
export async function roomIn(reader: Reader, { id, name, quota }: Room): Promise<{ check(wantedBytes: number): void }> {
  const used = quota === null ? 0 : await usedBytes(reader, id)
  return {
    check(wantedBytes) {
      if (quota === null || wantedBytes <= 0 || used + wantedBytes <= quota) return
      throw overQuota({ name, quota, usedBytes: used, wantedBytes })
    },
  }
}
