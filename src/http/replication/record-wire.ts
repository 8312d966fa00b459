import { type TSchema, Type } from 'typebox'
import { digestHex } from '../../core/digest.ts'
import { REPOSITORY_TYPES } from '../../core/repository-type.ts'
import type { ExecutionRecord, Overview, RecordDetail } from '../../tasks/record.ts'
import type { LinkState } from '../../tasks/records.ts'
import { CONFLICT_STRATEGIES } from '../../tasks/task.ts'
import type { Dates } from '../dates.ts'

/** `ReplicaOverview`: the contract's three numbers and what counts beside them (replication.md 1.3). */
export const toOverview = ({ success, failed, conflict, skip, fileSuccess, fileFailed }: Overview) => ({
  success,
  failed,
  conflict,
  skip,
  fileSuccess,
  fileFailed,
})

/** `ReplicaRecordInfo` (contract 002). */
export const toRecordInfo = (record: ExecutionRecord, dates: Dates) => ({
  id: record.id,
  taskKey: record.taskKey,
  status: record.status,
  startTime: dates.format(record.startedAt),
  endTime: dates.format(record.endedAt),
  errorReason: record.errorReason,
  replicatedBytes: record.replicatedBytes,
  totalBytes: record.totalBytes,
  replicaOverview: record.overview === null ? null : toOverview(record.overview),
})

/** Ours: how a run stands with one target. */
export const toLinkInfo = ({ clusterName, localRepo, state, reason, downSince }: LinkState, dates: Dates) => ({
  remoteCluster: clusterName,
  localRepoName: localRepo,
  state,
  reason,
  downSince: dates.format(downSince),
})

/** `ReplicaRecordDetail` (contract 002), keys in the order of its newer sample. */
export const toRecordDetail = (detail: RecordDetail, localCluster: string, dates: Dates) => ({
  id: detail.id,
  recordId: detail.recordId,
  localCluster,
  remoteCluster: detail.clusterName,
  localRepoName: detail.localRepo,
  repoType: detail.repoType,
  packageConstraint: packageOf(detail),
  pathConstraint: null,
  artifactName: artifactNameOf(detail),
  version: detail.version,
  conflictStrategy: detail.conflictStrategy,
  size: detail.sizeBytes,
  sha256: detail.digest === null ? null : digestHex(detail.digest),
  status: detail.status,
  progress: progressOf(detail),
  startTime: dates.format(detail.startedAt),
  endTime: dates.format(detail.endedAt),
  errorReason: detail.errorReason,
  executeType: detail.executeType,
})

function packageOf({ packageKey, version }: RecordDetail): { packageKey: string; versions: string[] } | null {
  return packageKey === null ? null : { packageKey, versions: version === null ? [] : [version] }
}

/** A file's full path; a package's name without the scheme of its key. */
const artifactNameOf = ({ packageKey, path }: RecordDetail): string =>
  packageKey === null ? path : packageKey.slice(packageKey.indexOf('://') + '://'.length)

/** Deprecated by the contract: what this one artifact adds to the overview. */
function progressOf({ status, conflictStrategy, sizeBytes }: RecordDetail) {
  const kept = conflictStrategy === 'SKIP'
  return {
    success: Number(status === 'SUCCESS' && !kept),
    skip: Number(status === 'SUCCESS' && kept),
    failed: Number(status === 'FAILED'),
    totalSize: sizeBytes ?? 0,
    conflict: Number(conflictStrategy !== null),
    fileSuccess: 0,
    fileFailed: 0,
  }
}

const Text = Type.String()
const Count = Type.Integer()
const nullable = (schema: TSchema) => Type.Union([schema, Type.Null()])
const Status = Type.Enum(['RUNNING', 'SUCCESS', 'FAILED'])
const Progress = { success: Count, skip: Count, failed: Count, totalSize: Count, conflict: Count }

export const OverviewData = Type.Object(
  { success: Count, failed: Count, conflict: Count, skip: Count, fileSuccess: Count, fileFailed: Count },
  { examples: [{ success: 3, failed: 0, conflict: 0, skip: 0, fileSuccess: 3, fileFailed: 0 }] },
)
export const LinkInfo = Type.Object({
  remoteCluster: Text,
  localRepoName: Text,
  state: Type.String({
    description: 'PENDING, COPYING, DONE, FAILED; of one that follows changes, that of `task/lag`',
  }),
  reason: nullable(Type.String({ description: 'Why it FAILED, or what it waits for' })),
  downSince: nullable(Type.String({ description: 'Since when the target does not answer' })),
})
export const RecordInfo = Type.Object({
  id: Text,
  taskKey: Text,
  status: Status,
  startTime: Text,
  endTime: nullable(Text),
  errorReason: nullable(Type.String({ description: 'One line per target that failed' })),
  replicatedBytes: Count,
  totalBytes: Count,
  replicaOverview: nullable(OverviewData),
})
export const RecordDetailInfo = Type.Object(
  {
    id: Text,
    recordId: Text,
    localCluster: Text,
    remoteCluster: Text,
    localRepoName: Text,
    repoType: Type.Enum(REPOSITORY_TYPES),
    packageConstraint: nullable(Type.Object({ packageKey: Text, versions: Type.Array(Text) })),
    pathConstraint: Type.Null(),
    artifactName: nullable(Text),
    version: nullable(Text),
    conflictStrategy: nullable(Type.Enum(CONFLICT_STRATEGIES)),
    size: nullable(Count),
    sha256: nullable(Text),
    status: Status,
    progress: Type.Object({ ...Progress, fileSuccess: Count, fileFailed: Count }, { deprecated: true }),
    startTime: Text,
    endTime: nullable(Text),
    errorReason: nullable(Text),
    executeType: Type.Enum(['DELTA', 'FULL', 'PARTIAL']),
  },
  {
    examples: [
      {
        id: '65b07d80b69e4404f9ba4a50',
        recordId: '65b07d7eb69e4404f9ba4a4e',
        localCluster: 'center',
        remoteCluster: 'dev',
        localRepoName: 'generic',
        repoType: 'GENERIC',
        packageConstraint: null,
        pathConstraint: null,
        artifactName: '/bkrepo.op.conf.bak',
        version: null,
        conflictStrategy: 'SKIP',
        size: 646,
        sha256: 'bcdf4256783b6d9cf3cb7bcd666e59c6e0a5d7e58e45c9469bb29a60a69ffff4',
        status: 'SUCCESS',
        progress: { success: 0, skip: 1, failed: 0, totalSize: 646, conflict: 1, fileSuccess: 0, fileFailed: 0 },
        startTime: '2024-01-24T11:01:20.534',
        endTime: '2024-01-24T11:01:20.556',
        errorReason: null,
        executeType: 'FULL',
      },
    ],
  },
)
