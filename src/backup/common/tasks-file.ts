import { isTag } from '../../core/content-name.ts'
import { AppError, empty, invalid } from '../../core/errors.ts'
import { REPOSITORY_TYPES } from '../../core/repository-type.ts'
import { fieldsOf } from '../../core/request-fields.ts'
import {
  clustersByName,
  pageTasksByKey,
  targetNamesOfTasks,
  tasksByName,
} from '../../metadata/backup/replication-rows.ts'
import type { Transaction } from '../../metadata/database.ts'
import type { ClusterRow } from '../../metadata/replication/clusters.ts'
import { listObjectsOfTasks, type TaskRow, updateTask } from '../../metadata/replication/tasks.ts'
import type { PackageConstraint, TaskObject, TaskPlan, TaskTarget } from '../../tasks/task.ts'
import { checkObjects } from '../../tasks/validate-object.ts'
import { checkSettingFits } from '../../tasks/validate-setting.ts'
import { COMMON_FILES } from '../records/record-files.ts'
import type { RestoreRun } from '../restore/restore-run.ts'
import { textsIn } from './common-fields.ts'
import type { CommonFile } from './common-file.ts'
import { byKey, type CommonFilesDeps } from './common-parts.ts'
import { type BatchOutcome, createTally, inBatches } from './record-batches.ts'
import { findPlaces, type Places } from './right-places.ts'
import { checkTaskName } from './task-origins.ts'
import { documentOfTask, type TaskReading, type TaskRecord, taskIn } from './task-records.ts'

const file = COMMON_FILES.task

/**
 * Tasks by name, of every API, with new keys: towards its targets a restored task is another one, so that what they know of the old one
 * neither fences it off nor lets it leave anything out. All come back switched off, with nothing planned.
 */
export function createTasksFile(deps: CommonFilesDeps): CommonFile {
  const { db, carrier, taskStore, placing } = deps
  const reading: TaskReading = { ...deps, now: deps.clock.now }

  const apply = async (run: RestoreRun, records: readonly TaskRecord[]): Promise<BatchOutcome> => {
    const { outcome, without } = await db.transact(async (trx) => {
      const places = await placesOf(trx, records)
      const clusters = await clustersByName(trx, [...new Set(records.flatMap((record) => record.clusters))])
      const known = await tasksByName(
        trx,
        records.map(({ name }) => name),
      )
      const tally = createTally()
      const without: string[] = []
      for (const record of records) {
        const stored = known.get(record.name)
        if (stored !== undefined && run.onConflict === 'SKIP') {
          tally.skipped()
          continue
        }
        try {
          if (stored !== undefined) refuseAnother(record, stored)
          await put(trx, record, planOf(record, places, clusters), stored, run.by)
          if (record.isWithoutSecret) without.push(record.name)
          tally.restored()
        } catch (error) {
          if (!(error instanceof AppError)) throw error
          tally.fail(record.name, error)
        }
      }
      return { outcome: tally.outcome(), without }
    })
    for (const name of without) {
      run.warn(`task [${name}] is restored without the secret of its webhook: it was encrypted with another key`)
    }
    return outcome
  }

  /** All that may be refused is refused before anything of the task is written. */
  async function put(
    trx: Transaction,
    record: TaskRecord,
    plan: TaskPlan,
    stored: TaskRow | undefined,
    by: string,
  ): Promise<void> {
    if (stored !== undefined) await placing.replace(trx, stored.key, plan, by)
    const key = stored?.key ?? (await taskStore.add(trx, plan, 'WAITING', by))
    const json = (origin: object | null) => (origin === null ? null : JSON.stringify(origin))
    await updateTask(trx, key, {
      ...{ v1: json(record.v1), distribution: json(record.distribution), imports: json(record.imports) },
      ...{ status: 'WAITING', fired_at: null, modified_by: record.modifiedBy, modified_at: record.modifiedAt },
      ...(stored === undefined && { created_by: record.createdBy, created_at: record.createdAt }),
    })
  }

  return {
    path: file,
    async *read(reader, signal) {
      const source = { reader, first: '', keyOf: ({ key }: TaskRow) => key }
      for await (const rows of byKey(pageTasksByKey, source, signal)) {
        const keys = rows.map(({ key }) => key)
        const objects = Map.groupBy(await listObjectsOfTasks(reader, keys), ({ task_key }) => task_key)
        const targets = Map.groupBy(await targetNamesOfTasks(reader, keys), ({ taskKey }) => taskKey)
        for (const row of rows) {
          const clusters = (targets.get(row.key) ?? []).map(({ name }) => name)
          yield documentOfTask(row, { objects: objects.get(row.key) ?? [], clusters }, carrier)
        }
      }
    },
    restoring: (run) => ({
      afterRepositories: inBatches<TaskRecord>(run, {
        file,
        nameField: 'name',
        read: (fields) => taskIn(fields, reading),
        keyOf: ({ name }) => name,
        apply: (records) => apply(run, records),
      }),
    }),
  }
}

const placesOf = (trx: Transaction, records: readonly TaskRecord[]): Promise<Places> =>
  findPlaces(
    trx,
    records
      .filter(({ project }) => project !== '')
      .map(({ project, objects }) => ({ project, repos: objects.map(localRepoOf) })),
  )
const localRepoOf = (object: TaskRecord['objects'][number]): string => {
  const name = object.raw('localRepoName')
  return typeof name === 'string' && !name.includes('\u0000') && name.isWellFormed() ? name : ''
}

/** @throws AppError PARAMETER_INVALID: what has the name is not the same task. */
function refuseAnother({ name, project, v1, distribution, imports }: TaskRecord, stored: TaskRow): void {
  if (stored.project !== project) throw invalid('name', `[${name}] is a task of project [${stored.project}] here`)
  const isSame =
    (stored.v1 === null) === (v1 === null) &&
    (stored.distribution === null) === (distribution === null) &&
    (stored.imports === null) === (imports === null)
  if (!isSame) throw invalid('name', `[${name}] is a task of another API here`)
}

/** @throws AppError of `checkObjects`; ACCESS_PROJECT_NOT_FOUND, CLUSTER_NOT_FOUND, PARAMETER_INVALID. */
function planOf(record: TaskRecord, places: Places, clusters: ReadonlyMap<string, ClusterRow>): TaskPlan {
  const { name, project, dynamic, objectType, replicaType, setting, description, recordReserveDays } = record
  if (project !== '') places.project(project)
  const objects = dynamic === undefined ? objectsOf(record, places) : []
  checkSettingFits(setting, objects)
  checkTaskName(name, record, { project, repo: objects[0]?.localRepo ?? '' })
  return {
    ...{ name, project, objectType, replicaType, objects, dynamic, setting, description, recordReserveDays },
    ...{ includePermission: record.includePermission, record: record.record, enabled: false },
    targets: targetsOf(record, clusters),
  }
}

function objectsOf({ objects, objectType, project }: TaskRecord, places: Places): TaskObject[] {
  const repositories = objects.flatMap((object) => places.repository(project, localRepoOf(object)) ?? [])
  const given = objects.map((object) =>
    Object.fromEntries(OBJECT_FIELDS.map((field) => [field, object.raw(field) ?? null])),
  )
  const facts = { repositories, builtTypes: REPOSITORY_TYPES }
  const checked = checkObjects(given, objectType, project, facts, () => {})
  return checked.map((object, n) => withTargetVersions(object, objects[n]!))
}
const OBJECT_FIELDS = [
  ...['localRepoName', 'remoteProjectId', 'remoteRepoName', 'repoType'],
  ...['packageConstraints', 'pathConstraints'],
] as const

/** Tags of versions that go to registries, which whoever judges constraints does not know. */
function withTargetVersions(object: TaskObject, given: TaskRecord['objects'][number]): TaskObject {
  const list = given.list('packageConstraints') ?? []
  const constraints = object.packageConstraints?.map((constraint, n): PackageConstraint => {
    const fields = typeof list[n] === 'object' ? fieldsOf(list[n]) : undefined
    if (fields?.raw('targetVersions') === undefined) return constraint
    return { ...constraint, targetVersions: textsIn(fields, 'targetVersions', isTag) }
  })
  return constraints === undefined ? object : { ...object, packageConstraints: constraints }
}

/** A registry belongs to the one distribution or import that has its name. */
function targetsOf(record: TaskRecord, clusters: ReadonlyMap<string, ClusterRow>): TaskTarget[] {
  const { name, replicaType, distribution, imports } = record
  if (record.clusters.length === 0) throw empty('remoteClusters')
  const isOfRegistry = distribution?.kind === 'registry' || imports !== null
  return record.clusters.map((clusterName) => {
    const cluster = clusters.get(clusterName)
    if (cluster === undefined) {
      throw new AppError('CLUSTER_NOT_FOUND', `cluster node [${clusterName}] is not found`, { cluster: clusterName })
    }
    const { id, type } = cluster
    const isFitting = isOfRegistry ? type === 'REMOTE' && clusterName === name : type !== 'REMOTE' && type !== 'CENTER'
    if (!isFitting) throw invalid('remoteClusters', `[${clusterName}] is ${type}, to which this task cannot go`)
    if (replicaType === 'EDGE_PULL' && cluster.detect_type !== 'REPORT')
      throw invalid('remoteClusters', `[${clusterName}] is no EDGE that reports, so it pulls nothing`)
    return { id, name: clusterName }
  })
}
