import type { Reader } from '../metadata/database.ts'
import { type LiveTotals, newestRecords, sumLiveTotals } from '../metadata/replication/records.ts'
import {
  findDynamicSet,
  listObjectsOfTasks,
  listTaskObjects,
  listTaskTargets,
  type NewTaskObject,
  type TaskObjectRow,
  type TaskRow,
} from '../metadata/replication/tasks.ts'
import { objectsOfSet } from './dynamic-set.ts'
import type { Planned } from './schedule/timetable.ts'
import type {
  DynamicSet,
  ImportOrigin,
  ObjectType,
  PackageConstraint,
  PathConstraint,
  ReplicaType,
  ReplicationTask,
  RunStatus,
  TaskObject,
  TaskSetting,
  TaskStatus,
  TaskTarget,
} from './task.ts'

/** Rows with what is kept beside them: targets, and how much their newest run has sent. Three queries, however many rows. */
export async function tasksFromRows(reader: Reader, rows: readonly TaskRow[]): Promise<ReplicationTask[]> {
  const keys = rows.map(({ key }) => key)
  const targets = Map.groupBy(await listTaskTargets(reader, keys), ({ taskKey }) => taskKey)
  const newest = await newestRecords(reader, keys)
  const running = [...newest.values()].filter(({ status }) => status === 'RUNNING').map(({ id }) => id)
  const live = await sumLiveTotals(reader, running)
  return rows.map((row) => {
    const record = newest.get(row.key)
    return taskFromRow(row, targets.get(row.key) ?? [], record && { ...record, ...live.get(record.id) })
  })
}

/** The newest run of a task; while it runs with what its shards say. */
interface NewestRun extends Partial<Pick<LiveTotals, 'bytes' | 'estimatedBytes'>> {
  readonly replicated_bytes: number
  readonly total_bytes: number
}

function taskFromRow(row: TaskRow, targets: readonly TaskTarget[], newest: NewestRun | undefined): ReplicationTask {
  return {
    id: row.id,
    key: row.key,
    name: row.name,
    project: row.project,
    objectType: row.object_type as ObjectType,
    replicaType: row.replica_type as ReplicaType,
    targets: targets.map(({ id, name }) => ({ id, name })),
    setting: JSON.parse(row.setting) as TaskSetting,
    ...(row.dynamic !== null && { dynamic: JSON.parse(row.dynamic) as DynamicSet }),
    includePermission: row.include_permission === 1,
    ...(row.imports !== null && { imports: JSON.parse(row.imports) as ImportOrigin }),
    description: row.description,
    status: row.status as TaskStatus,
    enabled: row.enabled === 1,
    record: row.record === 1,
    recordReserveDays: row.record_reserve_days,
    lastExecutionStatus: row.last_execution_status as RunStatus | null,
    lastExecutionAt: row.last_execution_at,
    nextExecutionAt: row.next_execution_at,
    executionTimes: row.execution_times,
    replicatedBytes: newest?.bytes ?? newest?.replicated_bytes ?? 0,
    totalBytes:
      row.replica_type === 'RUN_ONCE' ? (newest?.estimatedBytes ?? newest?.total_bytes ?? row.planned_bytes) : null,
    createdBy: row.created_by,
    createdAt: row.created_at,
    modifiedBy: row.modified_by,
    modifiedAt: row.modified_at,
  }
}

export const plannedOf = (row: Pick<TaskRow, 'replica_type' | 'enabled' | 'setting' | 'fired_at'>): Planned => ({
  replicaType: row.replica_type as ReplicaType,
  enabled: row.enabled === 1,
  setting: JSON.parse(row.setting) as TaskSetting,
  firedAt: row.fired_at,
})

/** Of a dynamic set those that there are at this moment. */
export async function objectsOfTask(reader: Reader, key: string): Promise<TaskObject[]> {
  const rows = await listTaskObjects(reader, key)
  if (rows.length > 0) return rows.map(objectFromRow)
  const set = await findDynamicSet(reader, key)
  return set === null ? [] : objectsOfSet(reader, JSON.parse(set) as DynamicSet)
}

/** By task key, of tasks that name their objects. */
export async function objectsOfTasks(
  reader: Reader,
  tasks: readonly Pick<TaskRow, 'key'>[],
): Promise<ReadonlyMap<string, readonly TaskObject[]>> {
  const rows = await listObjectsOfTasks(
    reader,
    tasks.map(({ key }) => key),
  )
  const byTask = Map.groupBy(rows, ({ task_key }) => task_key)
  return new Map([...byTask].map(([key, some]) => [key, some.map(objectFromRow)]))
}

function objectFromRow(row: TaskObjectRow): TaskObject {
  const parsed = (json: string | null): unknown => (json === null ? null : JSON.parse(json))
  return {
    localRepo: row.local_repo,
    remoteProject: row.remote_project,
    remoteRepo: row.remote_repo,
    repoType: row.repo_type,
    packageConstraints: parsed(row.package_constraints) as PackageConstraint[] | null,
    pathConstraints: parsed(row.path_constraints) as PathConstraint[] | null,
  }
}

export function rowOfObject(object: TaskObject): NewTaskObject {
  const json = (list: readonly unknown[] | null) => (list === null ? null : JSON.stringify(list))
  return {
    local_repo: object.localRepo,
    remote_project: object.remoteProject,
    remote_repo: object.remoteRepo,
    repo_type: object.repoType,
    package_constraints: json(object.packageConstraints),
    path_constraints: json(object.pathConstraints),
  }
}
