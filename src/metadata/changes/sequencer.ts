import { sql } from 'kysely'
import type { Clock } from '../../core/clock.ts'
import type { MetadataDatabase } from '../database.ts'

/** Any number that no other use of advisory locks in this program has (`metadata/migrate.ts`). */
const NUMBERING_LOCK = 3_510_402
/** Busy: rows gather for this long, so that one round numbers many. */
const GATHER_MS = 5
const AFTER_ERROR_MS = 1_000

/**
 * PostgreSQL: gives every committed row of the change log that has none its number, ascending over all repositories, in order of
 * id. A transaction that commits late gets a later number, so a cursor never passes it by. One caller at a time, in all
 * processes; when it returns, all that was committed before the call is numbered. SQLite: nothing to do, rows are born numbered.
 * @returns rows numbered by this call.
 */
export async function numberChanges(db: MetadataDatabase): Promise<number> {
  if (db.dialect === 'sqlite') return 0
  const waiting = await db.read
    .selectFrom('change_log')
    .where('seq', 'is', null)
    .select('id')
    .limit(1)
    .executeTakeFirst()
  if (waiting === undefined) return 0
  return db.transact(async (trx) => {
    await sql`select pg_advisory_xact_lock(${sql.lit(NUMBERING_LOCK)})`.execute(trx)
    // A statement of its own: only one that begins after the lock was given sees what the previous holder committed.
    const { numAffectedRows } = await sql`
      with ordered as materialized (select id from change_log where seq is null order by id),
        numbered as materialized (select id, nextval('change_number') as seq from ordered)
      update change_log set seq = numbered.seq from numbered where change_log.id = numbered.id`.execute(trx)
    return Number(numAffectedRows ?? 0n)
  })
}

/** Numbers all the time until the signal: at most `intervalMs` after a commit when idle. An error is told and tried again. */
export async function startSequencer(
  db: MetadataDatabase,
  clock: Clock,
  intervalMs: number,
  onError: (error: unknown) => void,
  signal: AbortSignal,
): Promise<void> {
  if (db.dialect === 'sqlite') return
  while (!signal.aborted) {
    let pauseMs: number
    try {
      pauseMs = (await numberChanges(db)) > 0 ? GATHER_MS : intervalMs
    } catch (error) {
      onError(error)
      pauseMs = AFTER_ERROR_MS
    }
    await clock.sleep(pauseMs, signal).catch(() => {})
  }
}
