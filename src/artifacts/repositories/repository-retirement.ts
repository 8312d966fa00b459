import type { Clock } from '../../core/clock.ts'
import type { JobQueue } from '../../jobs/job-queue.ts'
import type { MetadataDatabase, Transaction } from '../../metadata/database.ts'
import { dropSliceOfSums } from '../../metadata/fingerprints/fold-state.ts'
import { retireSliceOfRepository } from '../../metadata/nodes/node-writes.ts'
import { dropSliceOfPackages } from '../../metadata/packages/packages.ts'
import {
  beginRetirement,
  deleteTombstones,
  endRetirement,
  listRetiring,
  type RetiringRepository,
} from '../../metadata/repositories/retiring-repositories.ts'
import { dropSliceOfLoose } from '../../metadata/storage/loose-blobs.ts'
import { inSlices } from '../trees/in-slices.ts'

/** Kind of the chore that calls `run`. */
export const RETIRE_REPOSITORIES = 'retire-deleted-repositories'

const REPOSITORIES_AT_ONCE = 100

/** What is left to do after a repository was marked as deleted, which hides all of it at once (docs/design/quotas.md). */
export interface RepositoryRetirement {
  /** In the transaction that marks the repository. */
  begin(trx: Transaction, repoId: number): Promise<void>
  /**
   * Soft-deletes the nodes of deleted repositories, each slice in a transaction of its own, so that nobody waits for long; then
   * their tombstones and usage go. May be cut at any moment: the next run goes on. @returns how many nodes.
   */
  run(signal: AbortSignal): Promise<number>
}

interface RetirementDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly queue: Pick<JobQueue, 'enqueue'>
}

export function createRepositoryRetirement({ db, clock, queue }: RetirementDeps): RepositoryRetirement {
  /** @returns how many rows in all. */
  async function slices(
    work: (trx: Transaction, rows: number) => Promise<number>,
    signal: AbortSignal,
  ): Promise<number> {
    let total = 0
    const count = (done: number, rows: number) => {
      total += done
      return done < rows ? 'done' : 'more'
    }
    await inSlices({ db, clock, pace: 'background' }, work, count, signal)
    return total
  }

  async function retire({ id, deletedBy, deletedAt }: RetiringRepository, signal: AbortSignal): Promise<number> {
    const nodes = await slices((trx, rows) => retireSliceOfRepository(trx, id, deletedBy, deletedAt, rows), signal)
    await slices((trx, rows) => dropSliceOfPackages(trx, id, rows), signal)
    await slices((trx, rows) => dropSliceOfLoose(trx, id, rows), signal)
    await slices((trx, rows) => deleteTombstones(trx, id, rows), signal)
    await slices((trx, rows) => dropSliceOfSums(trx, id, rows), signal)
    await db.transact((trx) => endRetirement(trx, id))
    return nodes
  }

  return {
    async begin(trx, repoId) {
      await beginRetirement(trx, repoId)
      await queue.enqueue({ kind: RETIRE_REPOSITORIES, dedupeKey: 'chore', payload: {} }, trx)
    },
    async run(signal) {
      for (let nodes = 0; ; ) {
        const some = await listRetiring(db.read, REPOSITORIES_AT_ONCE)
        for (const repository of some) nodes += await retire(repository, signal)
        if (some.length < REPOSITORIES_AT_ONCE) return nodes
      }
    },
  }
}
