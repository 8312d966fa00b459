import type { Clock } from '../../core/clock.ts'
import { findBackupRun } from '../../metadata/backup/runs.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'

/** Waiting for runs to end, whichever process works on them. */
export interface RunWaits {
  /** Resolves when the run has ended or is gone, or after `atMostMs`. Rejects with the signal's reason. */
  ended(runId: string, atMostMs: number, signal: AbortSignal): Promise<void>
  /** A run has ended in this process. */
  tell(runId: string): void
}

/** Another process may have ended it: its end is looked for, beside being told. */
const LOOK_EVERY_MS = 200

export function createRunWaits({ db, clock }: { readonly db: MetadataDatabase; readonly clock: Clock }): RunWaits {
  const waiting = new Map<string, PromiseWithResolvers<void>>()

  async function look(told: Promise<void>, ms: number, signal: AbortSignal): Promise<void> {
    const over = new AbortController()
    await Promise.race([told, clock.sleep(ms, AbortSignal.any([signal, over.signal])).catch(() => {})])
    over.abort()
    signal.throwIfAborted()
  }
  return {
    async ended(runId, atMostMs, signal) {
      const told = waiting.get(runId) ?? Promise.withResolvers<void>()
      waiting.set(runId, told)
      try {
        for (const until = clock.now() + atMostMs; ; ) {
          const run = await findBackupRun(db.read, runId)
          const leftMs = until - clock.now()
          if (run === undefined || run.ended_at !== null || leftMs <= 0) return
          await look(told.promise, Math.min(leftMs, LOOK_EVERY_MS), signal)
        }
      } finally {
        waiting.delete(runId)
      }
    },
    tell: (runId) => waiting.get(runId)?.resolve(),
  }
}
