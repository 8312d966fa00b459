import type { Principal } from '../../auth/principal.ts'
import type { Clock } from '../../core/clock.ts'
import { AppError, invalid } from '../../core/errors.ts'
import { fieldsOf } from '../../core/request-fields.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { findClusterByName, updateCluster } from '../../metadata/replication/clusters.ts'
import {
  deleteOldTunnels,
  markSilentEdges,
  saveEdgeReport,
  saveTunnels,
} from '../../metadata/replication/edge-reports.ts'

/** The side of the centre: edges that come to it (docs/design/edges.md). */
export interface EdgeRegistry {
  /**
   * The edge that the caller speaks for: administrators, and the user whose name its cluster has.
   * @throws AppError PERMISSION_DENIED; CLUSTER_NOT_FOUND and PARAMETER_INVALID naming `detectType` to an administrator.
   */
  get(name: string, caller: Principal): Promise<Edge>
  /** A sign of life. @throws AppError PARAMETER_MISSING, PARAMETER_INVALID. */
  report(edge: Edge, body: unknown): Promise<void>
  /** Edges that were not heard of for too long become UNHEALTHY. */
  checkSilence(): Promise<void>
  /** Tells the other processes which edges have connections here. */
  tellTunnels(here: readonly string[]): Promise<void>
}

/** A cluster of type EDGE that reports. */
export interface Edge {
  readonly id: string
  readonly name: string
}

interface EdgeRegistryDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  /** `installationId:bootId`. */
  readonly owner: string
  readonly silenceMs: number
}

/** What another process said of its connections counts for so long; it says it again three times meanwhile. */
export const TUNNELS_TOLD_MS = 30_000
const MAX_NAME_LENGTH = 256
const MAX_IDENTITY_LENGTH = 64

export function createEdgeRegistry({ db, clock, owner, silenceMs }: EdgeRegistryDeps): EdgeRegistry {
  let told = 0
  return {
    async get(name, caller) {
      const row = await findClusterByName(db.read, name)
      const speaks = caller.admin || (row !== undefined && row.username === caller.userId)
      const covered = caller.covers === undefined || caller.covers('VIEW', { kind: 'replication' })
      if (!speaks || !covered) {
        throw new AppError('PERMISSION_DENIED', `Access denied: ${caller.userId} does not speak for edge ${name}`)
      }
      if (row === undefined) throw new AppError('CLUSTER_NOT_FOUND', `cluster node [${name}] is not found`, { name })
      if (row.detect_type !== 'REPORT') {
        throw invalid('detectType', `cluster [${name}] is not registered as an EDGE with detectType REPORT`)
      }
      return { id: row.id, name: row.name }
    },

    async report({ id }, body) {
      const fields = fieldsOf(body)
      const identity = limited('clusterId', fields.requiredText('clusterId'), MAX_IDENTITY_LENGTH)
      const name = limited('name', fields.requiredText('name'), MAX_NAME_LENGTH)
      const now = clock.now()
      await db.transact(async (trx) => {
        if (!(await updateCluster(trx, id, { status: 'HEALTHY', error_reason: null, checked_at: now }))) return
        await saveEdgeReport(trx, { clusterId: id, identity, name, at: now })
      })
    },

    async checkSilence() {
      const now = clock.now()
      const reason = `It has not reported for ${Math.round(silenceMs / 1000)} s`
      await db.transact((trx) => markSilentEdges(trx, { olderThan: now - silenceMs, now, reason }))
    },

    async tellTunnels(here) {
      if (here.length === 0 && told === 0) return
      const now = clock.now()
      await db.transact(async (trx) => {
        await saveTunnels(trx, owner, here, now)
        await deleteOldTunnels(trx, now - TUNNELS_TOLD_MS)
      })
      told = here.length
    },
  }
}

function limited(name: string, text: string, most: number): string {
  if (text.length > most) throw invalid(name, `more than ${most} characters`)
  return text
}
