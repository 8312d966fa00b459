import type { Overview, RecordInfo } from '../src/cli/run-progress.ts'
import type { Detail } from '../test/helpers/replication-calls.ts'
import { megabytes } from './progress.ts'
import { table } from './table.ts'

/** The record of one execution, as contract 002 answers it. */
export function recordTable(record: RecordInfo, overview: Overview): string {
  const head = ['record', 'status', 'start', 'end', 'success', 'skip', 'conflict', 'failed', 'MB sent']
  const { success, skip, conflict, failed } = overview
  const times = [record.startTime, record.endTime ?? '']
  return table(head, [
    [record.id, record.status, ...times, success, skip, conflict, failed, megabytes(record.replicatedBytes)],
  ])
}

/** The first details of a record: one row for each artifact. */
export function detailTable(details: readonly Detail[]): string {
  const head = ['artifactName', 'to', 'bytes', 'sha256', 'status', 'error']
  const row = (detail: Detail) => [
    JSON.stringify(detail.artifactName).slice(1, -1),
    detail.remoteCluster,
    detail.size,
    `${detail.sha256.slice(0, 12)}…`,
    detail.status,
    detail.errorReason ?? '',
  ]
  return table(head, details.map(row))
}
