import { collectGarbage, purgeDeletedNodes } from '../artifacts/garbage-collection.ts'
import { trimChanges } from '../metadata/change-log.ts'
import { deleteOldStreams } from '../metadata/peers.ts'
import type { Chore } from './maintenance.ts'
import type { Ground, Services } from './wiring.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
/** sync.md B.3. */
const CHANGE_LOG_MS = 14 * DAY_MS
/** Far longer than any run. */
const STREAMS_MS = 60 * DAY_MS

/** What has to be done now and then, and how often. */
export function createChores(ground: Ground, { clusters, nodes, retention, target }: Services): Chore[] {
  const { db, store, clock, config } = ground
  const { graceMs, intervalMs } = config.gc
  return [
    {
      kind: 'check-clusters',
      intervalMs: config.replication.healthCheckMs,
      run: (signal) => clusters.checkHealth(signal),
    },
    { kind: 'delete-expired-files', intervalMs: MINUTE_MS, run: (signal) => nodes.deleteExpired(signal) },
    {
      kind: 'collect-garbage',
      intervalMs,
      async run(signal) {
        const olderThan = clock.now() - config.nodes.deletedReserveDays * DAY_MS
        await purgeDeletedNodes({ db, clock }, olderThan, signal)
        await collectGarbage({ db, store, clock, graceMs }, signal)
      },
    },
    { kind: 'sweep-uploads', intervalMs: HOUR_MS, run: (signal) => target.uploads.sweep(signal) },
    { kind: 'delete-old-records', intervalMs: DAY_MS, run: (signal) => retention.sweep(signal) },
    {
      kind: 'trim-logs',
      intervalMs: DAY_MS,
      async run(signal) {
        while (!signal.aborted && (await db.transact((trx) => trimChanges(trx, clock.now() - CHANGE_LOG_MS))) > 0);
        await db.transact((trx) => deleteOldStreams(trx, clock.now() - STREAMS_MS))
      },
    },
  ]
}
