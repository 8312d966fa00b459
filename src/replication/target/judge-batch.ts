import { settle } from '../../artifacts/nodes/settle.ts'
import type { RulesOf } from '../../artifacts/packages/package-rules.ts'
import type { Clock } from '../../core/clock.ts'
import type { Digest } from '../../core/digest.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { touchBlobs } from '../../metadata/storage/blobs.ts'
import type { Applied, BatchToApply, StreamSession } from './apply-batch.ts'
import { applyItems } from './apply-items.ts'
import type { ItemFrame } from './incoming-batch.ts'

interface JudgeBatchDeps {
  readonly db: MetadataDatabase
  readonly clock: Pick<Clock, 'now'>
  readonly rulesOf: RulesOf
}

/**
 * What would become of the items of a batch, by the very rule that applies them, in a transaction that is rolled back. Contents that are
 * not here count as sent: the source asks for them by `missing` and adds them up.
 */
export async function judgeBatch(
  { db, clock, rulesOf }: JudgeBatchDeps,
  session: StreamSession,
  batch: BatchToApply,
): Promise<Applied> {
  const now = clock.now()
  const announced = new Map(
    batch.items.flatMap(contentsOf).map(({ digest, sizeBytes }) => [digest, sizeBytes] as const),
  )
  const before = session.trial?.takenBytes ?? 0
  return settle(async () => {
    const trial = { takenBytes: before }
    const judged = await undone(db, async (trx) => {
      const claim = async (digests: ReadonlySet<Digest>) =>
        new Map([...announced, ...(await touchBlobs(trx, [...digests], now))])
      return applyItems(trx, { ...session, trial }, batch, rulesOf, claim, now)
    })
    if (session.trial !== undefined) session.trial.takenBytes = trial.takenBytes
    return judged
  })
}

function contentsOf(frame: ItemFrame): readonly { readonly digest: Digest; readonly sizeBytes: number }[] {
  if (frame.type === 'version') return frame.document.files
  return frame.type === 'entry' ? [frame] : []
}

/** Whatever the work writes is rolled back. */
async function undone<T>(db: MetadataDatabase, work: Parameters<typeof db.transact<T>>[0]): Promise<T> {
  let done: { readonly result: T } | undefined
  try {
    await db.transact(async (trx) => {
      done = { result: await work(trx) }
      throw new Undone()
    })
  } catch (error) {
    if (!(error instanceof Undone)) throw error
  }
  return done!.result
}
class Undone extends Error {}
