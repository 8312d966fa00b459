import { createBlobIntake } from '../artifacts/blobs/blob-intake.ts'
import { createScrub } from '../artifacts/blobs/scrub.ts'
import { createSegmentCompaction } from '../artifacts/blobs/segment-compaction.ts'
import { createStoredCheck } from '../artifacts/blobs/stored-check.ts'
import { createStraySegments } from '../artifacts/blobs/stray-segments.ts'
import { createDownloads } from '../artifacts/downloads/downloads.ts'
import { createAccessTimes } from '../artifacts/nodes/access-times.ts'
import { createNodeExpiry } from '../artifacts/nodes/node-expiry.ts'
import { createNodes } from '../artifacts/nodes/nodes.ts'
import { createDownloadCounts } from '../artifacts/packages/download-counts.ts'
import { createPackageDeletion } from '../artifacts/packages/package-deletion.ts'
import { createPackages } from '../artifacts/packages/packages.ts'
import { createPublishing } from '../artifacts/packages/publishing.ts'
import { createProxies } from '../artifacts/proxies/proxies.ts'
import { createRepositoryPasswords } from '../artifacts/proxies/repository-passwords.ts'
import { createUpstreamFetch } from '../artifacts/proxies/upstream-fetch.ts'
import { createUpstreamLanes } from '../artifacts/proxies/upstream-lanes.ts'
import { createCleanup } from '../artifacts/repositories/cleanup.ts'
import { createProjects } from '../artifacts/repositories/projects.ts'
import { createQuotas } from '../artifacts/repositories/quotas.ts'
import { createRepositories } from '../artifacts/repositories/repositories.ts'
import { createRepositoryRetirement } from '../artifacts/repositories/repository-retirement.ts'
import { createNodeSearches } from '../artifacts/search/node-searches.ts'
import { createPackageSearches } from '../artifacts/search/package-searches.ts'
import { createTreeOperations } from '../artifacts/trees/tree-operations.ts'
import { createTrees } from '../artifacts/trees/trees.ts'
import { createBlockUploads } from '../artifacts/uploads/block-uploads.ts'
import { createFilePlacement } from '../artifacts/uploads/file-placement.ts'
import { createGroupedUploads } from '../artifacts/uploads/grouped-uploads.ts'
import { createTemporaryAccess } from '../artifacts/uploads/temporary-access.ts'
import { createUploads } from '../artifacts/uploads/uploads.ts'
import { createNodeViews } from '../artifacts/views/node-views.ts'
import { createVirtualDownloads } from '../artifacts/views/virtual-downloads.ts'
import { createHolderRights } from '../auth/holder-rights.ts'
import { createPasswords } from '../auth/passwords.ts'
import { createPermissionCheck } from '../auth/permission-check.ts'
import { createPermissions } from '../auth/permissions.ts'
import { createRights } from '../auth/rights.ts'
import { createRoles } from '../auth/roles.ts'
import { createSecrets } from '../auth/secrets.ts'
import { createUserTokens } from '../auth/user-tokens.ts'
import { createUsers } from '../auth/users.ts'
import { createClusterConnections } from '../clusters/cluster-connections.ts'
import { createClusters } from '../clusters/clusters.ts'
import { createGivenClusters } from '../clusters/given-clusters.ts'
import { createSyncProbe } from '../clusters/sync-probe.ts'
import { HlcClock } from '../core/hlc.ts'
import type { Metrics } from '../core/metrics.ts'
import { createDates } from '../http/dates.ts'
import { createWakeUp } from '../jobs/wake-up.ts'
import type { NodeRecord } from '../metadata/nodes/nodes.ts'
import { createUpstreamClient } from '../remotes/upstream/upstream-client.ts'
import { createWebhookClient } from '../remotes/webhook-client.ts'
import { stopRun } from '../replication/runs/record-close.ts'
import { createSyncTarget } from '../replication/target/sync-target.ts'
import { createSmallBlobs } from '../storage/small-blobs.ts'
import { createEdgePulls } from '../tasks/edges/edge-pulls.ts'
import { createEvents } from '../tasks/events.ts'
import { createFailures } from '../tasks/failures.ts'
import { createTaskJudge } from '../tasks/judge-task.ts'
import { createLiveLags } from '../tasks/live-lags.ts'
import { createLiveRollOver } from '../tasks/live-roll-over.ts'
import { createLiveTasks } from '../tasks/live-tasks.ts'
import { createRecordRetention } from '../tasks/record-retention.ts'
import { createRecords } from '../tasks/records.ts'
import { createRetries } from '../tasks/retries.ts'
import { createRuns } from '../tasks/runs.ts'
import { createScheduler } from '../tasks/schedule/scheduler.ts'
import { createTimetable } from '../tasks/schedule/timetable.ts'
import { createTaskActivation } from '../tasks/task-activation.ts'
import { createTaskPlacing } from '../tasks/task-placing.ts'
import { createTaskStore } from '../tasks/task-store.ts'
import { createTasks } from '../tasks/tasks.ts'
import { createV1Tasks } from '../tasks/v1/v1-tasks.ts'
import { createWebhookDeliveries } from '../tasks/webhooks/webhook-deliveries.ts'
import { createWebhookSettings } from '../tasks/webhooks/webhook-settings.ts'
import { createBackups } from './backups.ts'
import { createDistributionServices, createImportServices, foreignRegistries, registryProbe } from './distributions.ts'
import { createEdges } from './edges.ts'
import type { Ground } from './ground.ts'
import { createIdentity } from './identity.ts'
import { createImages } from './images.ts'
import { createPreviewWork } from './preview-work.ts'

const DAY_MS = 86_400_000
/** From when small contents are packed to the commit that refers to them, at the very most. */
const PACKED_MS = 10_000
/** Contents of small files that were read lately. */
const SMALL_BLOBS_BYTES = 8 * 1024 * 1024

export type Services = ReturnType<typeof createServices>

/** The use cases, put together. The only place where they learn of each other. */
export function createServices(ground: Ground, metrics: Metrics) {
  const { config, db, queue, store, spool, blocks, clock, ids, random, clusterId } = ground
  const hlc = new HlcClock(clock.now)
  const builtTypes = ground.formats.map(({ type }) => type)
  const rulesOf = (type: string) => ground.formats.find((format) => format.type === type)?.packages
  const dates = createDates(config.timeZone)

  const passwords = createPasswords(random)
  const users = createUsers({ db, passwords, clock, random })
  const tokens = createUserTokens({ db, clock, random })
  const rights = createRights({ db })
  const roles = createRoles({ db, clock, ids })
  const permissions = createPermissions({ db, clock, ids })
  const permissionCheck = createPermissionCheck({ db, rights })
  const identity = createIdentity(ground, users, passwords)

  const projects = createProjects({ db, clock, roles })
  const secrets = createSecrets(ground.secretKey, random)
  const passwordsOfProxies = createRepositoryPasswords(secrets)
  const rules = { allowPrivate: config.security.allowPrivateTargets }
  const retirement = createRepositoryRetirement({ db, clock, queue })
  const repositories = createRepositories({
    ...{ db, clock, ids, rules, retirement },
    builtTypes,
    passwords: passwordsOfProxies,
  })
  const quotas = createQuotas({ db, clock })
  const expiry = createNodeExpiry({ db, clock, hlc })
  const cleanup = createCleanup({
    ...{ db, clock, hlc, parseTime: dates.parse },
    onError: (err, about) => ground.warn('a cleanup strategy could not be followed', { err, ...about }),
  })
  const intake = createBlobIntake({ db, store, clock })
  const nodes = createNodes({ db, clock, hlc })
  const treeOperations = createTreeOperations({ db, clock, hlc, ids, queue })
  const trees = createTrees({ db, operations: treeOperations })
  const placement = createFilePlacement({ db, intake, clock, hlc })
  const searchLimits = { lookAtMost: config.search.lookAtMost }
  const searches = createNodeSearches({ db, clock, limits: searchLimits })
  const packageSearches = createPackageSearches({ db, limits: searchLimits })
  const grouped = createGroupedUploads({ db, intake, clock, hlc })
  const uploads = createUploads({ db, blobs: store, placement, grouped })
  const onLeftover = (error: unknown) => ground.warn('bytes of an upload were not removed', { err: error })
  const blockUploads = createBlockUploads({ db, blobs: store, spool: blocks, placement, clock, ids, onLeftover })
  const onError = (error: unknown) => ground.warn('access times were not written', { err: error })
  const accessTimes = createAccessTimes({ db, clock, onError })
  const upstreamClient = createUpstreamClient({ clock, rules })
  const proxies = createProxies({
    ...{ db, clock },
    passwords: passwordsOfProxies,
    upstream: createUpstreamFetch({ db, blobs: store, intake, clock, hlc, client: upstreamClient }),
    lanes: createUpstreamLanes(clock, config.proxy.downloadsAtOnce),
    name: `entrepot-${clusterId}`,
    absentMs: config.proxy.absentMs,
    warn: ground.warn,
  })
  const virtuals = createVirtualDownloads({ db, clock })
  const views = createNodeViews({ db, clock, nodes })
  const scrub = createScrub({
    ...{ db, store, clock },
    bytesPerSecond: config.scrub.bytesPerSecond,
    intervalMs: config.scrub.intervalDays * DAY_MS,
    onDamage: ({ digest }, kind) => ground.warn('stored bytes are not what they were', { digest, kind }),
  })
  const compaction = createSegmentCompaction({
    ...{ db, store, clock, graceMs: Math.max(config.gc.graceMs, PACKED_MS) },
    strays: createStraySegments({ db, store, clock, graceMs: config.gc.graceMs }),
    examine: scrub.examine,
  })
  const smallBlobs = createSmallBlobs(store, SMALL_BLOBS_BYTES)
  const onContentMissing = (file: NodeRecord) => {
    const { repoId, path } = file
    ground.warn('the content of a node is missing: upload it again, or restore it from a backup', { repoId, path })
    onContentDamaged(file)
  }
  const onContentDamaged = ({ digest, sizeBytes }: NodeRecord) => {
    const failed = (err: unknown) => ground.warn('a damaged blob was not examined', { err, digest })
    void scrub.examine({ digest: digest!, sizeBytes }, new AbortController().signal).catch(failed)
  }
  const downloads = createDownloads({
    ...{ db, blobs: store, smallBlobs, clock, repositories, accessTimes, proxies, virtuals },
    ...{ onContentMissing, onContentDamaged },
  })

  const mayDo = createHolderRights({ db, rights })
  const temporary = createTemporaryAccess({ db, clock, random, mayDo })

  const packages = createPackages({ db, clock, hlc, rulesOf })
  const publishing = createPublishing({ db, intake, clock, hlc, rulesOf })
  const packageDeletion = createPackageDeletion({ db, clock, hlc, rulesOf })
  const onCountError = (err: unknown) => ground.warn('downloads were not counted', { err })
  const downloadCounts = createDownloadCounts({ db, clock, onError: onCountError })

  const images = createImages(ground, {
    ...{ rights, smallBlobs, repositories, intake, hlc },
    ...{ packages, publishing, deletion: packageDeletion, passwordsOfProxies, rules },
  })

  const edges = createEdges(ground)
  const webhookSettings = createWebhookSettings(secrets, rules)
  const webhooks = createWebhookDeliveries({
    ...{ db, clock, queue, settings: webhookSettings, client: createWebhookClient({ clock, rules }) },
    retryDelaysMs: config.webhooks.retryDelaysMs,
    formatTime: dates.format,
  })
  const connections = createClusterConnections({
    ...{ db, clock, probe: createSyncProbe(clock) },
    probeRegistry: registryProbe({ clock, random, rules }),
  })
  const clusters = createClusters({ db, clock, ids, secrets, connections, edges: edges.ways })
  const timetable = createTimetable(config.timeZone)
  const judge = createTaskJudge({
    ...{ clock, clusters, clusterId, builtTypes, parseTime: dates.parse, timetable },
    webhooks: webhookSettings,
  })
  const runs = createRuns({ clock, ids, jobs: queue, timetable })
  const plannedWake = createWakeUp(clock)
  const live = createLiveTasks({ clock, ids, jobs: queue })
  const rollOver = createLiveRollOver({ db, clock, live, timeZone: config.timeZone })
  const lags = createLiveLags({ db, clock })
  const tasks = createTasks({
    ...{ db, clock, ids, judge, runs, timetable },
    live,
    stopRun: (trx, recordId, reason) => stopRun(trx, recordId, reason, clock.now()),
    onStopped: () => metrics.runEnded('FAILED'),
    onPlanned: plannedWake.ring,
  })
  const scheduler = createScheduler({
    ...{ db, clock, runs, timetable, wakeUp: plannedWake },
    onSkipped: (task) => ground.warn('a firing was skipped: the run before it has not ended', task),
    onError: (err, key) => ground.warn('a planned run could not be started', { err, key }),
  })
  const retries = createRetries({ db, clock, runs })
  const failures = createFailures({ db, retries })
  const events = createEvents({ db, now: clock.now })
  const edgePulls = createEdgePulls({ db, runs })
  const records = createRecords({ db })
  const taskStore = createTaskStore({ clock, ids })
  const placing = createTaskPlacing(taskStore, createTaskActivation({ clock, runs, timetable }, taskStore), live)
  const foreign = foreignRegistries(ground.formats, { clock, random, rules })
  const distributions = createDistributionServices(ground, {
    ...{ secrets, judge, placing, records, runs, clusters, foreign },
    control: tasks,
    onPlanned: plannedWake.ring,
  })
  const sources = images.sources({ clock, random, rules })
  const imports = createImportServices(ground, { secrets, judge, placing, records, foreign, control: tasks })
  const v1 = createV1Tasks({
    ...{ db, clock, ids, tasks, records, judge, builtTypes },
    given: createGivenClusters({ db, clusters, connections }),
    time: { parseTime: dates.parse, firings: timetable.firings },
  })
  const retention = createRecordRetention({ db, clock })
  const stored = createStoredCheck({ store, clock })
  const previews = createPreviewWork(ground, { judge, tasks, stored, clusters, foreign })

  const backups = createBackups(ground, {
    ...{ dates, timetable, hlc, intake, repositories, packageDeletion, rulesOf },
    ...{ outgoing: rules, secrets, placing, taskStore, webhookSettings },
  })

  const { inlineMaxBytes, partSizeBytes } = config.replication
  const limits = { inlineMaxBytes, partSizeBytes }
  const target = createSyncTarget({
    ...{
      db,
      store,
      stored,
      spool,
      intake,
      projects,
      repositories,
      clock,
      ids,
      hlc,
      clusterId,
      limits,
      metrics,
      rulesOf,
    },
    graceMs: config.gc.graceMs,
  })

  return {
    ...identity,
    ...{ dates, users, tokens, rights, roles, permissions, permissionCheck },
    ...{ quotas, retirement, expiry, cleanup },
    ...{
      projects,
      repositories,
      nodes,
      searches,
      packageSearches,
      trees,
      treeOperations,
      uploads,
      downloads,
      accessTimes,
      proxies,
      views,
    },
    ...{ blockUploads, temporary, mayDo },
    ...{ edges, edgePulls, webhooks },
    ...{ packages, publishing, packageDeletion, downloadCounts, images },
    ...{ previews, retries, failures, events, rollOver, lags },
    ...{
      distributions,
      foreign,
      imports,
      sources,
      clusters,
      tasks,
      scheduler,
      v1,
      records,
      retention,
      scrub,
      compaction,
      target,
      backups,
    },
  }
}
