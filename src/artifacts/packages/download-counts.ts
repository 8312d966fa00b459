import type { Clock } from '../../core/clock.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { addDownloads } from '../../metadata/packages/packages.ts'

/**
 * How often versions were downloaded, off the path of the downloads themselves: counts gather in memory, a process that dies loses
 * those of some seconds. Their packages' counts outlive the versions.
 */
export interface DownloadCounts {
  /** One download of the main file of a version. */
  note(versionId: number): void
  /** Writes what has gathered. */
  flush(): Promise<void>
  /** Flushes every 5 s until the signal, and once more then. An error is told and its counts are dropped. */
  run(signal: AbortSignal): Promise<void>
}

const INTERVAL_MS = 5_000
/** Of versions within one interval; those above are not counted. */
const MAX_VERSIONS = 5_000

export function createDownloadCounts(deps: {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly onError: (error: unknown) => void
}): DownloadCounts {
  const { db, clock, onError } = deps
  let noted = new Map<number, number>()
  const counts: DownloadCounts = {
    note(versionId) {
      const so = noted.get(versionId)
      if (so !== undefined || noted.size < MAX_VERSIONS) noted.set(versionId, (so ?? 0) + 1)
    },
    async flush() {
      if (noted.size === 0) return
      const gathered = [...noted].map(([id, downloads]) => ({ versionId: id, downloads }))
      noted = new Map()
      await db.transact((trx) => addDownloads(trx, gathered))
    },
    async run(signal) {
      while (!signal.aborted) {
        await clock.sleep(INTERVAL_MS, signal).catch(() => {})
        await counts.flush().catch(onError)
      }
    },
  }
  return counts
}
