import { sql } from 'kysely'
import { accountRoutes } from '../http/account-routes.ts'
import { auditRoutes } from '../http/audit-routes.ts'
import { blockRoutes } from '../http/block-routes.ts'
import { clusterRoutes } from '../http/cluster-routes.ts'
import { formatRoutes } from '../http/format-routes.ts'
import { genericRoutes } from '../http/generic-routes.ts'
import { healthRoutes } from '../http/health.ts'
import { lifetimeRoutes } from '../http/lifetime-routes.ts'
import { metadataRoutes } from '../http/metadata-routes.ts'
import { metricsRoutes, type ServerMetrics } from '../http/metrics.ts'
import { nodeRoutes } from '../http/node-routes.ts'
import { packageRoutes } from '../http/package-routes.ts'
import { permissionRoutes } from '../http/permission-routes.ts'
import { projectRoutes } from '../http/project-routes.ts'
import { quotaRoutes } from '../http/quota-routes.ts'
import { recordRoutes } from '../http/record-routes.ts'
import { repositoryRoutes } from '../http/repository-routes.ts'
import { restoreRoutes } from '../http/restore-routes.ts'
import { roleRoutes } from '../http/role-routes.ts'
import type { Routes } from '../http/route.ts'
import { searchRoutes } from '../http/search-routes.ts'
import { storageRoutes } from '../http/storage-routes.ts'
import { syncRoutes } from '../http/sync-routes.ts'
import { taskRoutes } from '../http/task-routes.ts'
import { temporaryRoutes } from '../http/temporary-routes.ts'
import { temporaryTokenRoutes } from '../http/temporary-token-routes.ts'
import { treeRoutes } from '../http/tree-routes.ts'
import { userRoleRoutes } from '../http/user-role-routes.ts'
import { userRoutes } from '../http/user-routes.ts'
import { versionDetailRoutes } from '../http/version-detail-routes.ts'
import { versionRoutes } from '../http/version-routes.ts'
import { listCollectionReports } from '../metadata/collection-reports.ts'
import { pageFindings } from '../metadata/scrub-findings.ts'
import { hurryChore } from './maintenance.ts'
import type { Ground, Services } from './wiring.ts'

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
    records,
    scrub,
    target,
  } = services
  const { name } = config.cluster
  const { batchFiles, inlineMaxBytes, partSizeBytes } = config.replication
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
    clusterRoutes({ clusters, dates }),
    taskRoutes({ tasks, dates }),
    recordRoutes({ records, dates, clusterName: name }),
    storageRoutes({
      ...{ scrub, dates },
      findings: (page) => pageFindings(db.read, page),
      collections: () => listCollectionReports(db.read),
      hurry: (kind) => hurryChore(kind, ground),
    }),
    syncRoutes({ target, identity: { clusterId, name }, limits: { batchFiles, inlineMaxBytes, partSizeBytes }, clock }),
  ]
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
