import { sql } from 'kysely'
import { serverMark } from '../core/server-mark.ts'
import { accountRoutes } from '../http/access/account-routes.ts'
import { auditRoutes } from '../http/access/audit-routes.ts'
import { permissionRoutes } from '../http/access/permission-routes.ts'
import { roleRoutes } from '../http/access/role-routes.ts'
import { userRoleRoutes } from '../http/access/user-role-routes.ts'
import { userRoutes } from '../http/access/user-routes.ts'
import { backupRoutes } from '../http/backup/backup-routes.ts'
import { backupKeyRoutes } from '../http/backup/key-routes.ts'
import { blockRoutes } from '../http/files/block-routes.ts'
import { genericRoutes } from '../http/files/generic-routes.ts'
import { temporaryRoutes } from '../http/files/temporary-routes.ts'
import { temporaryTokenRoutes } from '../http/files/temporary-token-routes.ts'
import { fingerprintRoutes } from '../http/fingerprint-routes.ts'
import { healthRoutes } from '../http/health.ts'
import { registryRoutes } from '../http/images/registry-routes.ts'
import { metricsRoutes, type ServerMetrics } from '../http/metrics.ts'
import { metadataRoutes } from '../http/nodes/metadata-routes.ts'
import { nodeRoutes } from '../http/nodes/node-routes.ts'
import { restoreRoutes } from '../http/nodes/restore-routes.ts'
import { searchRoutes } from '../http/nodes/search-routes.ts'
import { treeRoutes } from '../http/nodes/tree-routes.ts'
import { formatRoutes } from '../http/packages/format-routes.ts'
import { packageRoutes } from '../http/packages/package-routes.ts'
import { versionDetailRoutes } from '../http/packages/version-detail-routes.ts'
import { versionRoutes } from '../http/packages/version-routes.ts'
import { accessCopyRoutes } from '../http/replication/access-copy-routes.ts'
import { blobRoutes } from '../http/replication/blob-routes.ts'
import { clusterRoutes } from '../http/replication/cluster-routes.ts'
import { distributionRoutes } from '../http/replication/distribution-routes.ts'
import { edgeRoutes } from '../http/replication/edge-routes.ts'
import { eventRoutes } from '../http/replication/event-routes.ts'
import { exportRoutes } from '../http/replication/export-routes.ts'
import { failureRoutes } from '../http/replication/failure-routes.ts'
import { importRoutes } from '../http/replication/import-routes.ts'
import { lagRoutes } from '../http/replication/lag-routes.ts'
import { ownEdgeRoutes } from '../http/replication/own-edge-routes.ts'
import { previewRoutes } from '../http/replication/preview-routes.ts'
import { reconRoutes } from '../http/replication/recon-routes.ts'
import { recordRoutes } from '../http/replication/record-routes.ts'
import { streamRoutes } from '../http/replication/stream-routes.ts'
import { syncRoutes } from '../http/replication/sync-routes.ts'
import { taskRoutes } from '../http/replication/task-routes.ts'
import { v1Routes } from '../http/replication/v1-routes.ts'
import { webhookRoutes } from '../http/replication/webhook-routes.ts'
import { lifetimeRoutes } from '../http/repositories/lifetime-routes.ts'
import { projectRoutes } from '../http/repositories/project-routes.ts'
import { quotaRoutes } from '../http/repositories/quota-routes.ts'
import { repositoryRoutes } from '../http/repositories/repository-routes.ts'
import type { Routes } from '../http/route.ts'
import { storageRoutes } from '../http/storage-routes.ts'
import { checkSlice, sumsState } from '../metadata/fingerprints/checking.ts'
import { createFingerprints } from '../metadata/fingerprints/fingerprints.ts'
import { forgetSums } from '../metadata/fingerprints/fold-state.ts'
import { repositoryNames } from '../metadata/repositories/named-repositories.ts'
import { listCollectionReports } from '../metadata/storage/collection-reports.ts'
import { pageFindings } from '../metadata/storage/scrub-findings.ts'
import { repositoryFingerprints } from '../replication/recon/repository-fingerprints.ts'
import type { Ground } from './ground.ts'
import { hurryChore } from './maintenance.ts'
import type { Services } from './wiring.ts'

/** Everything that answers requests. */
export function routesOf(ground: Ground, services: Services, metrics: ServerMetrics): Routes[] {
  const { config, db, clock, clusterId } = ground
  const {
    dates,
    rights,
    roles,
    permissions,
    permissionCheck,
    users,
    tokens,
    projects,
    repositories,
    nodes,
    trees,
    uploads,
    blockUploads,
    temporary,
    downloads,
    clusters,
    tasks,
    lags,
    records,
    scrub,
    target,
  } = services
  const { name } = config.cluster
  const { batchFiles, inlineMaxBytes, partSizeBytes } = config.replication
  const fingerprints = createFingerprints(db)
  const database = async () => {
    await sql`select 1`.execute(db.read)
  }
  return [
    healthRoutes({ checks: { database } }),
    metricsRoutes({ metrics, access: config.metrics.public ? 'PUBLIC' : 'ADMIN' }),
    userRoutes({ users, tokens, changePassword: services.changePassword, dates }),
    userRoleRoutes({ users, roles, rights }),
    roleRoutes({ roles }),
    accountRoutes({ accounts: services.accounts, dates }),
    auditRoutes({ audit: services.audit, dates }),
    permissionRoutes({ permissions, check: permissionCheck, rights, dates }),
    projectRoutes({ projects, rights, creators: config.projects.creators, dates }),
    repositoryRoutes({ repositories, quotas: services.quotas, rights, dates }),
    quotaRoutes({ repositories, quotas: services.quotas }),
    lifetimeRoutes({ repositories, expiry: services.expiry, cleanup: services.cleanup, dates }),
    nodeRoutes({ repositories, nodes, views: services.views, dates }),
    treeRoutes({ repositories, trees, dates }),
    restoreRoutes({ repositories, trees, dates }),
    searchRoutes({ searches: services.searches, packageSearches: services.packageSearches, rights, dates }),
    metadataRoutes({ repositories, nodes, views: services.views }),
    genericRoutes({ repositories, trees, uploads, blockUploads, downloads, dates, clock }),
    blockRoutes({ repositories, blockUploads, dates, clock }),
    temporaryTokenRoutes({ repositories, temporary, dates, publicUrl: config.publicUrl }),
    temporaryRoutes({ repositories, temporary, uploads, downloads, mayDo: services.mayDo, dates, clock }),
    ...packageRoutesOf(ground, services),
    imageRoutesOf(ground, services),
    clusterRoutes({ clusters, dates }),
    previewRoutes({ previews: services.previews, dates }),
    taskRoutes({ tasks, pullNow: services.edges.link?.pull, dates }),
    edgeRoutes({
      ...{ registry: services.edges.registry, pulls: services.edgePulls, hub: services.edges.hub },
      runsTasks: config.roles.includes('worker') ? 'yes' : 'no',
    }),
    ownEdgeRoutes({ link: services.edges.link, dates }),
    webhookRoutes({ deliveries: services.webhooks, dates }),
    v1Routes({ v1: services.v1, dates }),
    distributionRoutes({ distributions: services.distributions, dates }),
    importRoutes({ imports: services.imports, dates }),
    lagRoutes({ lags, dates }),
    recordRoutes({ records, dates, clusterName: name }),
    failureRoutes({ failures: services.failures, retries: services.retries, dates }),
    eventRoutes({ events: services.events, dates }),
    exportRoutes({ records, dates, clusterName: name }),
    fingerprintRoutes({
      repositories,
      names: () => repositoryNames(db.read),
      state: (repoId) => sumsState(db.slow, repoId),
      check: (repoId, from) => checkSlice(db, repoId, from),
      rebuild: (repoId) => db.transact((trx) => forgetSums(trx, repoId)),
    }),
    storageRoutes({
      ...{ scrub, dates },
      findings: (page) => pageFindings(db.read, page),
      collections: () => listCollectionReports(db.read),
      hurry: (kind) => hurryChore(kind, ground),
    }),
    backupRoutes({ tasks: services.backups.tasks, dates }),
    backupKeyRoutes({ keys: services.backups.keys, dates }),
    blobRoutes({ target, clock }),
    reconRoutes({ repositories, clock, fingerprintsOf: (id) => repositoryFingerprints(fingerprints, id) }),
    streamRoutes({ target, inlineMaxBytes, clock }),
    accessCopyRoutes({ target }),
    syncRoutes({ target, identity: { clusterId, name }, limits: { batchFiles, inlineMaxBytes, partSizeBytes }, clock }),
  ]
}

function imageRoutesOf({ config, clock, clusterId }: Ground, services: Services): Routes {
  const { authentication, bearerTokens, refreshTokens, rights, repositories, downloads, images } = services
  return registryRoutes({
    ...{ bearerTokens, refreshTokens, rights, repositories, downloads, clock },
    ...images,
    authenticate: authentication.authenticate,
    counts: services.downloadCounts,
    publicUrl: config.publicUrl,
    server: serverMark(clusterId),
    tokenSeconds: config.images.tokenSeconds,
  })
}

function packageRoutesOf({ formats, store, clock }: Ground, services: Services): Routes[] {
  const { repositories, packages, publishing, packageDeletion: deletion, downloads, downloadCounts, dates } = services
  const protocol = { packages, publishing, deletion, blobs: store }
  return [
    packageRoutes({ repositories, packages, deletion, dates }),
    versionRoutes({ repositories, packages, deletion, downloads, counts: downloadCounts, dates }),
    versionDetailRoutes({ formats, repositories, packages, deletion, dates }),
    formatRoutes({ formats, services: protocol, repositories, downloads, counts: downloadCounts, clock }),
  ]
}
