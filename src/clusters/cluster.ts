import type { ClusterRow } from '../metadata/replication/clusters.ts'
import type { KeyPair } from '../remotes/transport/credentials.ts'
import type { OpenWay } from '../remotes/transport/http-client.ts'

/** Contract values of `type` (replication.md 3.11). */
export const CLUSTER_TYPES = ['CENTER', 'EDGE', 'STANDALONE', 'REMOTE'] as const
export type ClusterType = (typeof CLUSTER_TYPES)[number]

/** `PING`: we ask; `REPORT`: it tells us. */
export const DETECT_TYPES = ['PING', 'REPORT'] as const
export type DetectType = (typeof DETECT_TYPES)[number]

export type ClusterStatus = 'HEALTHY' | 'UNHEALTHY'

/** Another cluster of our own kind, as users see it: without secrets. Times are UTC epoch milliseconds. */
export interface Cluster {
  readonly id: string
  readonly name: string
  readonly type: ClusterType
  readonly url: string
  readonly username: string | null
  readonly certificate: string | null
  /** Of a platform account over there, and the key that names its pair; null: it logs in with a password, or not at all. */
  readonly appId: string | null
  readonly accessKey: string | null
  /** Bytes of contents per second that one process sends there, of all tasks together; null: no limit. */
  readonly rateLimit: number | null
  readonly detectType: DetectType
  readonly status: ClusterStatus
  /** Why it is UNHEALTHY. */
  readonly errorReason: string | null
  /** Of a cluster that reports; null: never. */
  readonly reportedAt: number | null
  readonly createdBy: string
  readonly createdAt: number
  readonly modifiedBy: string
  readonly modifiedAt: number
}

/** What the replication engine connects with. Holds a secret in clear: never log it, never answer with it. */
export interface ClusterTarget {
  readonly id: string
  readonly name: string
  readonly url: string
  readonly username: string | undefined
  readonly password: string | undefined
  /** In place of a password. */
  readonly keys?: KeyPair | undefined
  readonly certificate: string | undefined
  /** Bytes per second; null: no limit. */
  readonly rateLimit?: number | null | undefined
  /** Somebody else's, of type REMOTE: it speaks the protocol of a package type. */
  readonly isRegistry?: boolean | undefined
  /** Of a cluster that reports: connections that it opened, in place of its address. */
  readonly way?: OpenWay | undefined
}

export function clusterFromRow(row: ClusterRow, reportedAt: number | undefined): Cluster {
  return {
    id: row.id,
    name: row.name,
    type: row.type as ClusterType,
    url: row.url,
    username: row.username,
    certificate: row.certificate,
    appId: row.app_id,
    accessKey: row.access_key,
    rateLimit: row.rate_limit,
    detectType: row.detect_type as DetectType,
    status: row.status as ClusterStatus,
    errorReason: row.error_reason,
    reportedAt: reportedAt ?? null,
    createdBy: row.created_by,
    createdAt: row.created_at,
    modifiedBy: row.modified_by,
    modifiedAt: row.modified_at,
  }
}
