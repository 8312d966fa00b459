import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import type { Logger } from 'pino'
import { loadKeyFile } from '../auth/key-file.ts'
import { parseSecretKey } from '../auth/secrets.ts'
import type { FirstAdministrator } from '../auth/users.ts'
import { AppError, messageOf } from '../core/errors.ts'
import { FORMATS } from '../formats/all.ts'
import type { Format } from '../formats/format.ts'
import { createServerMetrics } from '../http/metrics.ts'
import type { App } from '../http/route.ts'
import { createHttpServer } from '../http/server.ts'
import type { ClaimedJob } from '../jobs/job-queue.ts'
import { createLeaseTableQueue } from '../jobs/lease-table.ts'
import { createWorker } from '../jobs/worker.ts'
import { listBackupFares } from '../metadata/backup/runs.ts'
import { startSequencer } from '../metadata/changes/sequencer.ts'
import { lockDataDirectory } from '../metadata/data-directory-lock.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import type { BucketId } from '../metadata/fingerprints/buckets.ts'
import { createFingerprintUpkeep } from '../metadata/fingerprints/upkeep.ts'
import { runUpkeep } from '../metadata/fingerprints/upkeep-loop.ts'
import { openDatabase } from '../metadata/open-database.ts'
import { releaseShardsOf } from '../metadata/replication/exec-shards.ts'
import { replicationLags } from '../metadata/replication/links.ts'
import { countLiveStates } from '../metadata/replication/live-lag.ts'
import { releaseLiveLinksOf } from '../metadata/replication/live-links.ts'
import { ensureSetting } from '../metadata/settings.ts'
import { countFindings } from '../metadata/storage/scrub-findings.ts'
import { createSegmentIndex } from '../metadata/storage/segment-index.ts'
import { sumSegments } from '../metadata/storage/segments.ts'
import { openFsBlobStore } from '../storage/fs/blob-store.ts'
import { openFsBlockSpool } from '../storage/fs/block-spool.ts'
import { createHashThread } from '../storage/fs/hash-thread.ts'
import { openFsPushSpool } from '../storage/fs/push-spool.ts'
import { openFsUploadSpool } from '../storage/fs/upload-spool.ts'
import { WEBHOOK_JOB } from '../tasks/webhooks/webhook-queue.ts'
import { readBackupPassphrase } from './backup-passphrase.ts'
import { createChores } from './chores.ts'
import type { Config } from './config.ts'
import { openDataDirectory } from './data-directory.ts'
import type { Ground } from './ground.ts'
import { choreHandlers, enqueueChores } from './maintenance.ts'
import { createReplicationWork } from './replication-work.ts'
import { routesOf } from './routes.ts'
import { systemClock } from './system-clock.ts'
import { createSystemIds } from './system-ids.ts'
import { systemRandom } from './system-random.ts'
import { waking } from './waking-queue.ts'
import { createServices } from './wiring.ts'

export interface RunningServer extends AsyncDisposable {
  /** Address listened on. */
  readonly url: string
  /** Set on the very first start. */
  readonly administrator: FirstAdministrator | undefined
  readonly db: MetadataDatabase
  /** Takes no new work, lets what runs end for a while, cuts the rest, gives leases back. */
  stop(): Promise<void>
}

const VERSION = '0.1.0'
const JOBS_AT_ONCE = 8
/** Links at work towards all targets; those towards one are fewer (`replication/runs/link-job.ts`). */
const LINKS_AT_ONCE = 32
/** Callers wait for these, so they do not queue behind runs that take hours. */
const TREE_OPERATIONS_AT_ONCE = 4
/** Each reads or writes as fast as its disk can. */
const BACKUPS_AT_ONCE = 4
const SEQUENCER_IDLE_MS = 20
/** Requests and jobs that run get this long before they are cut. */
const DRAIN_MS = 10_000

/** Starts everything in this process. @throws AppError when the directory is in use, the database cannot be reached … */
export async function startServer(
  config: Config,
  logger: Logger,
  announce: (first: FirstAdministrator) => void = () => {},
  formats: readonly Format[] = FORMATS,
): Promise<RunningServer> {
  await using started = new AsyncDisposableStack()
  const ids = createSystemIds(systemClock, systemRandom)
  const directory = await openDataDirectory(config.data, config.blobs, ids)
  started.use(lockDataDirectory(directory.path))
  const onError = (error: unknown) => logger.warn({ err: error }, 'database connection')
  const opened = started.use(await openMetadata(config, onError))
  await opened.migrate()
  const owner = `${directory.installationId}:${randomBytes(8).toString('hex')}`
  let ring = () => {}
  let onCommit = () => {}
  const { db, queue } = waking(
    opened,
    (inner) => createLeaseTableQueue({ db: inner, clock: systemClock }),
    () => ring(),
    () => onCommit(),
  )
  const hashing = started.use(createHashThread())
  const ground: Ground = {
    config,
    db,
    queue,
    store: started.use(
      await openFsBlobStore({
        root: config.blobs,
        owner: directory.installationId,
        index: createSegmentIndex({ db, clock: systemClock }),
        hashing,
        onError: (error) => logger.warn({ err: error }, 'segments of small blobs'),
      }),
    ),
    spool: await openFsUploadSpool({ root: config.blobs, clock: systemClock, hashing }),
    blocks: await openFsBlockSpool({ root: config.blobs, hashing }),
    pushes: started.use(
      await openFsPushSpool({ root: config.blobs, owner: directory.installationId, clock: systemClock, hashing }),
    ),
    clock: systemClock,
    ids,
    random: systemRandom,
    formats,
    version: VERSION,
    secretKey:
      config.secretKey === undefined
        ? await loadKeyFile(directory.keyFile, systemRandom)
        : parseSecretKey(config.secretKey),
    backupPassphrase: await readBackupPassphrase(config.backup),
    clusterId: await db.transact((trx) => ensureSetting(trx, 'cluster_id', ids.key)),
    owner,
    warn: (message, about) => logger.warn(about, message),
    note: (message, about) => logger.info(about, message),
  }
  const metrics = createServerMetrics({
    queueDepth: () => queue.depth(),
    replicationLagMs: () => lagsByName(db),
    liveLinks: () => countLiveStates(db.read),
    wantingBlobs: () => countFindings(db.read),
    segments: () => sumSegments(db.read),
    backups: () => listBackupFares(db.read),
  })
  metrics.watchProcess()
  const services = createServices(ground, metrics)
  started.use(services.backups)
  const administrator = await services.users.ensureAdministrator(config.adminPassword, announce)
  const app = await createHttpServer({
    routes: routesOf(ground, services, metrics),
    access: {
      authenticate: services.edges.door.authenticate(services.authentication.authenticate),
      rights: services.rights,
    },
    audit: services.audit,
    trustedProxies: config.auth.trustedProxies,
    document: { version: VERSION, publicUrl: config.publicUrl },
    metrics,
    timeZone: config.timeZone,
    clock: systemClock,
    ids,
    logger,
  })

  await db.transact(async (trx) => {
    await releaseShardsOf(trx, directory.installationId, owner)
    await releaseLiveLinksOf(trx, directory.installationId, owner)
  })
  await queue.releaseInstallation(directory.installationId, owner)
  await services.backups.recover()
  const chores = createChores(ground, services)
  await enqueueChores(chores, queue, db, systemClock)
  const replication = createReplicationWork(ground, services, metrics, owner)
  const handlers = new Map([
    ...replication.handlers,
    ...choreHandlers(chores, systemClock),
    [WEBHOOK_JOB, services.webhooks.handler],
    ...services.backups.fireHandlers,
  ])
  const working = {
    queue,
    owner,
    clock: systemClock,
    leaseMs: config.replication.leaseMs,
    onError: (error: unknown, job: ClaimedJob | undefined) =>
      logger.error({ err: error, job: job?.kind, payload: job?.payload }, 'job'),
  }
  const workers = [
    createWorker({ ...working, handlers, concurrency: JOBS_AT_ONCE }),
    createWorker({ ...working, handlers: replication.linkHandlers, concurrency: LINKS_AT_ONCE }),
    createWorker({ ...working, handlers: services.treeOperations.handlers, concurrency: TREE_OPERATIONS_AT_ONCE }),
    createWorker({ ...working, handlers: services.backups.runHandlers, concurrency: BACKUPS_AT_ONCE }),
  ]
  const stopping = new AbortController()
  const onWrong = ({ repoId, lo }: BucketId) =>
    logger.error({ repoId, path: lo }, 'sums of a range of paths were wrong, and are right again: please tell us')
  const background = Promise.all([
    startSequencer(db, systemClock, SEQUENCER_IDLE_MS, onError, stopping.signal),
    runUpkeep(createFingerprintUpkeep(db, { onWrong }), systemClock, onError, stopping.signal),
    services.accessTimes.run(stopping.signal),
    services.audit.run(stopping.signal),
    services.downloadCounts.run(stopping.signal),
    services.proxies.run(stopping.signal),
    services.images.run(stopping.signal),
    config.roles.includes('worker') ? services.scheduler.run(stopping.signal) : undefined,
  ])
  await listen(app, config)
  const edges = services.edges.start(app)
  const works = config.roles.includes('worker')
  if (works) {
    ring = () => {
      for (const { notify } of workers) notify()
    }
    for (const worker of workers) worker.start()
    onCommit = replication.live.onCommit
  }
  const following = new AbortController()
  const followed = works ? replication.live.run(following.signal) : undefined

  const held = started.move()
  let ended: Promise<void> | undefined
  async function end(): Promise<void> {
    following.abort()
    const cut = new AbortController()
    const tooLate = new AbortController()
    const late = systemClock.sleep(DRAIN_MS, cut.signal).then(
      () => {
        app.server.closeAllConnections()
        tooLate.abort()
      },
      () => undefined,
    )
    edges.leave()
    app.server.closeIdleConnections()
    // Workers reach edges through connections that are open at our own server.
    const worked = Promise.all(works ? workers.map((worker) => worker.stop(DRAIN_MS)) : [])
    await Promise.all([app.close(), worked.then(() => edges.end(tooLate.signal))])
    cut.abort()
    await late
    await followed
    stopping.abort()
    await background
    await held.disposeAsync()
  }
  const stop = () => {
    ended ??= end()
    return ended
  }
  const { port } = app.server.address() as AddressInfo
  const host = config.host.includes(':') ? `[${config.host}]` : config.host
  return { url: `http://${host}:${port}`, administrator, db, stop, [Symbol.asyncDispose]: stop }
}

async function listen(app: App, { host, port }: Config): Promise<void> {
  try {
    await app.listen({ host, port })
  } catch (cause) {
    const hint = 'choose another address with --host and --port'
    throw new AppError('SYSTEM_ERROR', `Cannot listen on ${host}:${port}: ${messageOf(cause)}; ${hint}`, {}, { cause })
  }
}

async function openMetadata(config: Config, onError: (error: unknown) => void): Promise<MetadataDatabase> {
  try {
    return await openDatabase(config.database, { onError })
  } catch (cause) {
    const what = config.database.dialect === 'sqlite' ? config.database.file : 'the PostgreSQL of the setting database'
    throw new AppError('SYSTEM_ERROR', `Cannot open ${what}: ${messageOf(cause)}`, {}, { cause })
  }
}

async function lagsByName(db: MetadataDatabase): Promise<ReadonlyMap<string, number>> {
  const lags = await replicationLags(db.read, systemClock.now())
  const rows = await db.read.selectFrom('cluster').select(['id', 'name']).execute()
  return new Map(rows.flatMap(({ id, name }) => (lags.has(id) ? [[name, lags.get(id)!] as const] : [])))
}
