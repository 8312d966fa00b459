import { type RawBuilder, sql } from 'kysely'
import { AppError } from '../../core/errors.ts'
import type { Reader, Transaction } from '../database.ts'
import { anyOf } from '../sql/any-of.ts'
import { dialectOf } from '../sql/dialect-of.ts'
import { preparedQuery } from '../sql/prepared-query.ts'
import type { HeldRepository } from './repositories.ts'

/** Writers of one repository that meet in one slot wait for each other, so there are a few. SQLite has one writer anyway. */
const SLOTS = 16
/** All writers of a repository with a quota meet in this one: between the sum and the commit nobody adds. */
const QUOTA_SLOT = 0

interface Charge {
  readonly repository: HeldRepository
  readonly deltaBytes: number
}
/** Keyed by repository. A transaction that is run again is another one. */
const charges = new WeakMap<Transaction, Map<number, Charge>>()

/**
 * Counts bytes that a transaction adds to (or, negative, takes from) a repository. Call it at any time: all that one transaction
 * counts is summed per repository and written as its last statements (`settleUsage`), so a move within a repository costs nothing.
 * The caller holds the repository (`holdRepository`), so that its quota does not change before the commit.
 */
export function chargeUsage(trx: Transaction, repository: HeldRepository, deltaBytes: number): void {
  if (deltaBytes === 0) return
  const noted = charges.get(trx) ?? new Map<number, Charge>()
  charges.set(trx, noted)
  const before = noted.get(repository.id)?.deltaBytes ?? 0
  noted.set(repository.id, { repository, deltaBytes: before + deltaBytes })
}

const beyondQuotas = new WeakSet<Transaction>()
/** What this transaction adds is counted and never refused: it puts back what was there before. */
export function exceedQuotas(trx: Transaction): void {
  beyondQuotas.add(trx)
}

/**
 * Writes what the transaction counted; `transact` does it, last of all: these rows are what writers of one repository wait for, so
 * they are locked as late and as shortly as can be, in order of repository, and nobody who holds one waits for anything else.
 * @throws AppError QUOTA_EXCEEDED when bytes are added and the sum is above the quota.
 */
export async function settleUsage(trx: Transaction): Promise<void> {
  const noted = charges.get(trx)
  if (noted === undefined) return
  const due = [...noted.values()].filter(({ deltaBytes }) => deltaBytes !== 0)
  for (const charge of due.sort((a, b) => a.repository.id - b.repository.id)) await settle(trx, charge)
}

async function settle(trx: Transaction, { repository: { id, name, quota }, deltaBytes }: Charge): Promise<void> {
  await add(trx, id, deltaBytes, quota === null ? 'any slot' : 'quota slot')
  if (quota === null || deltaBytes < 0 || beyondQuotas.has(trx)) return
  // A statement of its own: READ COMMITTED shows it what others committed before they let go of the slot.
  const used = await usedBytes(trx, id)
  if (used > quota) throw overQuota({ name, quota, usedBytes: used - deltaBytes, wantedBytes: deltaBytes })
}

export interface QuotaState {
  readonly name: string
  readonly quota: number
  readonly usedBytes: number
  readonly wantedBytes: number
}
export const overQuota = ({ name, quota, usedBytes, wantedBytes }: QuotaState): AppError =>
  new AppError(
    'QUOTA_EXCEEDED',
    `Repository [${name}] is over its quota: ${usedBytes} of ${quota} bytes are used, ${wantedBytes} more do not fit`,
    { quota, used: usedBytes, wanted: wantedBytes },
  )

/** Logical bytes of the live nodes. */
export async function usedBytes(reader: Reader, repoId: number): Promise<number> {
  return (await usedBytesOf(reader, [repoId])).get(repoId) ?? 0
}
/** By repository; one without a row has no bytes. */
export async function usedBytesOf(reader: Reader, repoIds: readonly number[]): Promise<Map<number, number>> {
  if (repoIds.length === 0) return new Map()
  const rows = await reader
    .selectFrom('repository_usage')
    .select((eb) => ['repo_id', eb.fn.sum<number>('bytes').as('bytes')])
    .where(anyOf(reader, 'repo_id', repoIds))
    .groupBy('repo_id')
    .execute()
  return new Map(rows.map(({ repo_id, bytes }) => [repo_id, bytes]))
}

async function add(trx: Transaction, repoId: number, bytes: number, where: 'any slot' | 'quota slot'): Promise<void> {
  const spread = where === 'any slot' && dialectOf(trx) === 'postgres'
  await (spread ? addToAnySlot : addToQuotaSlot)(trx, { repoId, bytes })
}

const addToAnySlot = addTo(sql<number>`pg_backend_pid() % ${sql.lit(SLOTS)}`)
const addToQuotaSlot = addTo(sql<number>`${sql.lit(QUOTA_SLOT)}`)
function addTo(slot: RawBuilder<number>) {
  return preparedQuery<{ repoId: number; bytes: number }, never>((trx, { repoId, bytes }) => ({
    compile: () =>
      sql<never>`insert into repository_usage (repo_id, slot, bytes) values (${repoId}, ${slot}, ${bytes})
        on conflict (repo_id, slot) do update set bytes = repository_usage.bytes + excluded.bytes`.compile(trx),
  }))
}
