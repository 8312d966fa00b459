import { sql } from 'kysely'
import { clusterRoutes } from '../http/cluster-routes.ts'
import { genericRoutes } from '../http/generic-routes.ts'
import { healthRoutes } from '../http/health.ts'
import { metadataRoutes } from '../http/metadata-routes.ts'
import { metricsRoutes, type ServerMetrics } from '../http/metrics.ts'
import { nodeRoutes } from '../http/node-routes.ts'
import { projectRoutes } from '../http/project-routes.ts'
import { recordRoutes } from '../http/record-routes.ts'
import { repositoryRoutes } from '../http/repository-routes.ts'
import type { Routes } from '../http/route.ts'
import { syncRoutes } from '../http/sync-routes.ts'
import { taskRoutes } from '../http/task-routes.ts'
import { userRoutes } from '../http/user-routes.ts'
import type { Ground, Services } from './wiring.ts'

/** Everything that answers requests. */
export function routesOf(ground: Ground, services: Services, metrics: ServerMetrics): Routes[] {
  const { config, db, clock, clusterId } = ground
  const { dates, users, tokens, projects, repositories, nodes, uploads, downloads, clusters, tasks, records, target } =
    services
  const { name } = config.cluster
  const { batchFiles, inlineMaxBytes, partSizeBytes } = config.replication
  const database = async () => {
    await sql`select 1`.execute(db.read)
  }
  return [
    healthRoutes({ checks: { database } }),
    metricsRoutes({ metrics, access: config.metrics.public ? 'PUBLIC' : 'ADMIN' }),
    userRoutes({ users, tokens, dates }),
    projectRoutes({ projects, dates }),
    repositoryRoutes({ repositories, dates }),
    nodeRoutes({ repositories, nodes, dates }),
    metadataRoutes({ repositories, nodes }),
    genericRoutes({ repositories, nodes, uploads, downloads, dates, clock }),
    clusterRoutes({ clusters, dates }),
    taskRoutes({ tasks, dates }),
    recordRoutes({ records, dates, clusterName: name }),
    syncRoutes({ target, identity: { clusterId, name }, limits: { batchFiles, inlineMaxBytes, partSizeBytes }, clock }),
  ]
}
