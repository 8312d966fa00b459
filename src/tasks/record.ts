import { type Digest, digestFromBytes } from '../core/digest.ts'
import type { DetailRow } from '../metadata/replication/detail-pages.ts'
import type { ListedRecord, LiveTotals, RecordRow } from '../metadata/replication/records.ts'
import type { ConflictStrategy, ObjectType, ReplicaType, ReplicationTask, RunStatus, TaskObject } from './task.ts'

/**
 * Artifacts of a run: each counts in exactly one of success, skip and failed; conflict is a dimension of its own.
 * fileSuccess and fileFailed count blobs that had to be sent (replication.md 3.8).
 */
export interface Overview {
  readonly success: number
  readonly skip: number
  readonly failed: number
  readonly conflict: number
  readonly fileSuccess: number
  readonly fileFailed: number
}
export const NO_OVERVIEW: Overview = { success: 0, skip: 0, failed: 0, conflict: 0, fileSuccess: 0, fileFailed: 0 }

/** One execution of a task. Times are UTC epoch milliseconds. */
export interface ExecutionRecord {
  readonly id: string
  readonly taskKey: string
  readonly status: RunStatus
  readonly startedAt: number
  readonly endedAt: number | null
  readonly errorReason: string | null
  readonly objectType: ObjectType
  readonly replicaType: ReplicaType
  readonly replicatedBytes: number
  readonly totalBytes: number
  /** Null: of a time before overviews were kept. */
  readonly overview: Overview | null
}

/** What a run uses, kept with its record: later changes of the task do not reach into it. */
export interface RunSnapshot {
  /** As it was when the run started, its `executionTimes` counting this run. */
  readonly task: ReplicationTask
  readonly objects: readonly TaskObject[]
  /** Of a run that tries again what failed, and nothing else. */
  readonly retry?: RunRetry
}
export interface RunRetry {
  /** The record whose failures these are. */
  readonly of: string
  /** By link key: the paths; null: the link as a whole. */
  readonly links: Readonly<Record<string, readonly string[] | null>>
}

/** One artifact on one target in one record. */
export interface RecordDetail {
  readonly id: string
  readonly recordId: string
  readonly clusterName: string
  readonly localRepo: string
  readonly repoType: string
  /** Of a file; empty for a package version. */
  readonly path: string
  readonly packageKey: string | null
  readonly version: string | null
  readonly digest: Digest | null
  readonly sizeBytes: number | null
  readonly status: RunStatus
  /** Set only when there was a conflict. */
  readonly conflictStrategy: ConflictStrategy | null
  readonly errorReason: string | null
  readonly executeType: string
  readonly startedAt: number
  readonly endedAt: number | null
}

/** @param live where a RUNNING record stands; without it nothing is planned yet. */
export function recordFromRow(row: ListedRecord, live: LiveTotals | undefined): ExecutionRecord {
  const running = row.status === 'RUNNING'
  return {
    id: row.id,
    taskKey: row.task_key,
    status: row.status as RunStatus,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    errorReason: row.error_reason,
    objectType: row.object_type as ObjectType,
    replicaType: row.replica_type as ReplicaType,
    replicatedBytes: running ? (live?.bytes ?? 0) : row.replicated_bytes,
    totalBytes: running ? (live?.estimatedBytes ?? row.total_bytes) : row.total_bytes,
    overview: running ? overviewOf(live) : row.overview === null ? null : (JSON.parse(row.overview) as Overview),
  }
}

function overviewOf(live: LiveTotals | undefined): Overview {
  if (live === undefined) return NO_OVERVIEW
  const { success, skip, failed, conflict, fileSuccess, fileFailed } = live
  return { success, skip, failed, conflict, fileSuccess, fileFailed }
}

export const readSnapshot = (row: Pick<RecordRow, 'snapshot'>): RunSnapshot => JSON.parse(row.snapshot) as RunSnapshot

export interface LinkNames {
  readonly clusterName: string
  readonly localRepo: string
  readonly repoType: string
}

export function detailFromRow(row: DetailRow, link: LinkNames | undefined): RecordDetail {
  return {
    id: row.id,
    recordId: row.record_id,
    clusterName: link?.clusterName ?? '',
    localRepo: link?.localRepo ?? '',
    repoType: link?.repoType ?? 'NONE',
    path: row.path,
    packageKey: row.package_key,
    version: row.version,
    digest: row.sha256 === null ? null : digestFromBytes(row.sha256),
    sizeBytes: row.size,
    status: row.status as RunStatus,
    conflictStrategy: row.conflict_strategy as ConflictStrategy | null,
    errorReason: row.error_reason,
    executeType: row.execute_type,
    startedAt: row.started_at,
    endedAt: row.ended_at,
  }
}
