import type { Clock } from '../../core/clock.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { sweepLoose } from '../../metadata/storage/loose-blobs.ts'

interface LooseBlobSweepDeps {
  readonly db: Pick<MetadataDatabase, 'transact'>
  readonly clock: Pick<Clock, 'now'>
  readonly keptMs: number
}

const SWEPT_AT_ONCE = 500

/** Forgets blobs that no manifest named in time; the collection of blobs finds that nothing refers to them. @returns how many. */
export async function sweepLooseBlobs({ db, clock, keptMs }: LooseBlobSweepDeps, signal: AbortSignal): Promise<number> {
  const before = clock.now() - keptMs
  for (let swept = 0; ; ) {
    signal.throwIfAborted()
    const some = await db.transact((trx) => sweepLoose(trx, before, SWEPT_AT_ONCE))
    swept += some
    if (some < SWEPT_AT_ONCE) return swept
  }
}
