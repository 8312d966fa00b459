import { sql } from 'kysely'
import { AppError } from '../core/errors.ts'
import type { Reader, Transaction } from './database.ts'
import { dialectOf } from './dialect-of.ts'

/** Writers of one repository that meet in one slot wait for each other, so there are a few. SQLite has one writer anyway. */
const SLOTS = 16
/** All writers of a repository with a quota meet in this one: between the sum and the end of the transaction nobody adds. */
const QUOTA_SLOT = 0

/**
 * Counts bytes that a transaction adds to (or, negative, takes from) a repository. Call it last: the rows it locks are the last
 * ones that a transaction locks, or two writers would lock each other out. The caller holds the repository (`holdRepository`), so
 * that the quota does not change meanwhile (`lockRepository`).
 * @throws AppError QUOTA_EXCEEDED when bytes are added and the sum is above the quota.
 */
export async function chargeUsage(trx: Transaction, repoId: number, deltaBytes: number): Promise<void> {
  if (deltaBytes === 0) return
  const repository = await trx
    .selectFrom('repository')
    .select(['quota', 'name'])
    .where('id', '=', repoId)
    .executeTakeFirst()
  const quota = repository?.quota ?? null
  await add(trx, repoId, quota === null ? slotOf(trx, repoId) : QUOTA_SLOT, deltaBytes)
  if (quota === null || deltaBytes < 0) return
  const used = await usedBytes(trx, repoId)
  if (used <= quota) return
  throw new AppError(
    'QUOTA_EXCEEDED',
    `Repository [${repository?.name}] is over its quota: ${quota} bytes, of which ${used - deltaBytes} are used; ${deltaBytes} more do not fit`,
    { quota, used: used - deltaBytes, wanted: deltaBytes },
  )
}

export async function usedBytes(reader: Reader, repoId: number): Promise<number> {
  const row = await reader
    .selectFrom('repository_usage')
    .select((eb) => eb.fn.sum<number | null>('bytes').as('bytes'))
    .where('repo_id', '=', repoId)
    .executeTakeFirstOrThrow()
  return row.bytes ?? 0
}

async function add(trx: Transaction, repoId: number, slot: number | ReturnType<typeof sql<number>>, bytes: number) {
  await sql`insert into repository_usage (repo_id, slot, bytes) values (${repoId}, ${slot}, ${bytes})
    on conflict (repo_id, slot) do update set bytes = repository_usage.bytes + excluded.bytes`.execute(trx)
}

const slotOf = (trx: Transaction, _repoId: number) =>
  dialectOf(trx) === 'sqlite' ? QUOTA_SLOT : sql<number>`pg_backend_pid() % ${sql.lit(SLOTS)}`
