import type { Clock } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import { holdBlobs, releaseHold } from '../../metadata/backup/holds.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'

export interface HoldDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
}

/** How long a hold is in force after its last renewal: a process that died stops nobody for longer. */
const HOLD_MS = 10 * 60_000
const RENEW_MS = 60_000

/**
 * Nothing is collected while `work` goes on. When the hold cannot be renewed in time, the work is aborted: contents could be gone.
 * @param holder unique; the hold of a holder that died is taken over.
 */
export async function whileHolding<T>(
  { db, clock }: HoldDeps,
  holder: string,
  work: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const done = new AbortController()
  const lost = new AbortController()
  let until = 0
  const renew = async () => {
    const next = clock.now() + HOLD_MS
    await db.transact((trx) => holdBlobs(trx, holder, next))
    until = next
  }
  async function keepRenewing(): Promise<void> {
    while (!done.signal.aborted) {
      await clock.sleep(RENEW_MS, done.signal).catch(() => {})
      if (done.signal.aborted) return
      const before = until
      const failure = await renew().then(
        () => undefined,
        (error: unknown) => error,
      )
      // Also when it succeeds: a process that was suspended may renew what lapsed meanwhile.
      if (clock.now() >= before) return lost.abort(lapsed(failure))
    }
  }
  await renew()
  const renewing = keepRenewing()
  try {
    return await work(AbortSignal.any([signal, lost.signal]))
  } catch (error) {
    signal.throwIfAborted()
    lost.signal.throwIfAborted()
    throw error
  } finally {
    done.abort()
    await renewing
    // It lapses by itself when the database does not answer.
    await db.transact((trx) => releaseHold(trx, holder)).catch(() => {})
  }
}

const lapsed = (cause: unknown): AppError =>
  new AppError(
    'SYSTEM_ERROR',
    'The contents of the backup could not be kept from collection any longer: for 10 minutes the database did not answer, or this process did not run',
    {},
    { cause },
  )
