import type { ManifestDraft } from '../layouts/layout.ts'
import type { WriterRequest } from '../layouts/layouts.ts'
import type { Manifest, RecordFile } from '../manifest/manifest.ts'
import { dateOf } from '../records/encode-records.ts'
import type { ParseTime } from '../records/record-fields.ts'
import { createSelection } from '../records/selection.ts'
import type { Snapshot, SnapshotRequest } from '../snapshot/snapshot.ts'
import type { BackupTask } from '../tasks/backup-task.ts'
import type { ActivityRun } from './activity.ts'

type StartedRun = Omit<ActivityRun, 'progress'>

/** Of an increment that names no date: before the start of its run. */
const DAY_MS = 24 * 60 * 60_000

const layoutOf = ({ content, setting }: BackupTask): WriterRequest['layout'] => {
  if (setting.layout === 'REPOSITORY') return 'REPOSITORY'
  return content.compression ? 'ZIP' : 'FOLDER'
}

/** Where a run goes. */
export const placeOfRun = ({ id, task, place, startedAt }: StartedRun) => ({
  place,
  name: task.name,
  runId: id,
  startedAt,
  layout: layoutOf(task),
})

/** Snapshots of a repository are always whole: what is there already costs nothing. */
export const isIncrement = (task: BackupTask): boolean =>
  task.content.increment === true && layoutOf(task) !== 'REPOSITORY'

/** What a run takes. @param follows the run before it, of an increment. */
export function snapshotRequest(
  { task, startedAt }: StartedRun,
  base: Manifest | undefined,
  follows: Manifest | undefined,
  parseTime: ParseTime,
): SnapshotRequest {
  const { incrementDate, projects, commonData } = task.content
  const inParts = layoutOf(task) === 'REPOSITORY'
  const before = follows && { ...follows, startedAt: Date.parse(follows.startDate) }
  const date =
    incrementDate === null
      ? Math.min(startedAt - DAY_MS, before?.startedAt ?? startedAt)
      : parseTime('incrementDate', incrementDate)
  return {
    selection: projects === null || projects.length === 0 ? undefined : createSelection(projects),
    common: commonData ? 'with common data' : 'without',
    increment: isIncrement(task) ? { date, follows: before } : undefined,
    parts: inParts ? 'kept' : 'none',
    base: inParts ? base : undefined,
  }
}

interface Maker {
  readonly serverVersion: string
  readonly clusterId: string
}

/** What a run says of itself. @param errors lines of `errors.json`. */
export const manifestOf = (
  { serverVersion, clusterId }: Maker,
  { id, task, startedAt }: StartedRun,
  { seq, mark, fromSeq, since, states }: Snapshot,
  files: readonly RecordFile[],
  errors: number,
): ManifestDraft => ({
  formatVersion: 1,
  serverVersion,
  clusterId,
  taskId: task.id,
  runId: id,
  name: task.name,
  startDate: dateOf(startedAt),
  snapshotSeq: seq,
  snapshotMark: mark,
  fromSeq,
  since: since === undefined ? null : dateOf(since),
  content: task.content,
  repositories: states,
  files,
  result: errors > 0 ? 'PARTIAL' : 'SUCCESS',
  errors,
})
