import { collectGarbage, purgeDeletedNodes } from '../artifacts/blobs/garbage-collection.ts'
import { RETIRE_REPOSITORIES } from '../artifacts/repositories/repository-retirement.ts'
import { trimChanges } from '../metadata/changes/change-trimming.ts'
import { deleteOldStreams } from '../metadata/replication/peers.ts'
import { sweepPushedUploads } from '../metadata/replication/pushed-uploads.ts'
import { deleteOrphanDeliveries } from '../metadata/replication/webhook-deliveries.ts'
import { saveCollectionReport } from '../metadata/storage/collection-reports.ts'
import { forgetFindings } from '../metadata/storage/scrub-findings.ts'
import type { Ground } from './ground.ts'
import type { Chore } from './maintenance.ts'
import type { Services } from './wiring.ts'

const MINUTE_MS = 60_000
/** What failed is due half a minute later at the earliest. */
const RETRIES_MS = 5_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
/** sync.md B.3. */
const CHANGE_LOG_MS = 14 * DAY_MS
/** Far longer than any run. */
const STREAMS_MS = 60 * DAY_MS
/** Registries forget uploads that nobody goes on with. */
const PUSHED_UPLOADS_MS = 7 * DAY_MS
/** Of what is healed or gone. */
const FINDINGS_MS = 90 * DAY_MS

/** What has to be done now and then, and how often. */
export function createChores(
  ground: Ground,
  {
    audit,
    backups,
    bearerKeys,
    blockUploads,
    temporary,
    cleanup,
    clusters,
    compaction,
    edges,
    images,
    nodes,
    proxies,
    previews,
    retention,
    retirement,
    rollOver,
    retries,
    scrub,
    target,
    treeOperations,
  }: Services,
): Chore[] {
  const { db, store, clock, config } = ground
  const { graceMs, intervalMs } = config.gc
  return [
    {
      kind: 'check-clusters',
      intervalMs: config.replication.healthCheckMs,
      run: (signal) => clusters.checkHealth(signal),
    },
    {
      kind: 'watch-edges',
      intervalMs: Math.max(1000, config.replication.edgeSilenceMs / 4),
      run: () => edges.registry.checkSilence(),
    },
    { kind: 'retry-failures', intervalMs: RETRIES_MS, run: (signal) => retries.startDue(signal) },
    { kind: 'delete-expired-files', intervalMs: MINUTE_MS, run: (signal) => nodes.deleteExpired(signal) },
    { kind: 'clean-up-repositories', intervalMs: HOUR_MS, run: (signal) => cleanup.runStrategies(signal) },
    { kind: RETIRE_REPOSITORIES, intervalMs: MINUTE_MS, run: (signal) => retirement.run(signal) },
    {
      kind: 'collect-garbage',
      intervalMs,
      async run(signal) {
        const startedAt = clock.now()
        const olderThan = startedAt - config.nodes.deletedReserveDays * DAY_MS
        const purgedNodes = await purgeDeletedNodes({ db, clock }, olderThan, signal)
        const report = await collectGarbage({ db, store, clock, graceMs }, signal)
        const about = { ...report, purgedNodes, startedAt, endedAt: clock.now() }
        await db.transact((trx) => saveCollectionReport(trx, about))
      },
    },
    {
      kind: 'compact-segments',
      intervalMs,
      async run(signal) {
        await compaction.run(signal)
      },
    },
    { kind: 'scrub', intervalMs: HOUR_MS, run: (signal) => scrub.work(signal) },
    { kind: 'sweep-uploads', intervalMs: HOUR_MS, run: (signal) => target.uploads.sweep(signal) },
    { kind: 'sweep-block-uploads', intervalMs: HOUR_MS, run: (signal) => blockUploads.sweep(signal) },
    { kind: 'sweep-image-uploads', intervalMs: HOUR_MS, run: (signal) => images.uploads.sweep(signal) },
    { kind: 'sweep-loose-blobs', intervalMs: HOUR_MS, run: (signal) => images.sweepLooseBlobs(signal) },
    { kind: 'sweep-temporary-tokens', intervalMs: HOUR_MS, run: () => temporary.sweep() },
    { kind: 'forget-tree-operations', intervalMs: HOUR_MS, run: () => treeOperations.sweep() },
    { kind: 'sweep-proxies', intervalMs: HOUR_MS, run: (signal) => proxies.sweep(signal) },
    { kind: 'trim-audit-log', intervalMs: DAY_MS, run: (signal) => audit.sweep(signal) },
    { kind: 'rotate-token-keys', intervalMs: DAY_MS, run: () => bearerKeys.rotate() },
    { kind: 'roll-over-records', intervalMs: MINUTE_MS, run: (signal) => rollOver.run(signal) },
    { kind: 'sweep-plans', intervalMs: HOUR_MS, run: (signal) => previews.sweep(signal) },
    { kind: 'delete-old-backup-runs', intervalMs: DAY_MS, run: () => backups.forgetRuns() },
    { kind: 'delete-old-records', intervalMs: DAY_MS, run: (signal) => retention.sweep(signal) },
    {
      kind: 'trim-logs',
      intervalMs: DAY_MS,
      async run(signal) {
        while (!signal.aborted && (await db.transact((trx) => trimChanges(trx, clock.now() - CHANGE_LOG_MS))) > 0);
        await db.transact((trx) => deleteOldStreams(trx, clock.now() - STREAMS_MS))
        await db.transact((trx) => deleteOrphanDeliveries(trx))
        await db.transact((trx) => sweepPushedUploads(trx, clock.now() - PUSHED_UPLOADS_MS))
        await db.transact((trx) => forgetFindings(trx, clock.now() - FINDINGS_MS))
      },
    },
  ]
}
