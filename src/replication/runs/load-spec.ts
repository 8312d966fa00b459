import { parsePlatform } from '../../core/platform.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { findRecord } from '../../metadata/replication/records.ts'
import type { RunSnapshot } from '../../tasks/record.ts'
import { packagesOf, pathsOf, type TaskObject, type TaskPlan } from '../../tasks/task.ts'
import { runNumberOf } from './link-key.ts'
import type { RunObject, RunSpec } from './run-spec.ts'

/** What a run does, from the snapshot in its record. Undefined: there is no such run, or it is closed. */
export async function loadSpec(db: MetadataDatabase, recordId: string): Promise<RunSpec | undefined> {
  const record = await findRecord(db.read, recordId)
  if (record === undefined || record.status !== 'RUNNING') return undefined
  return specOf(recordId, record.task_key, JSON.parse(record.snapshot) as RunSnapshot)
}

/** What a run needs to know of a task; all of it is decided by users. */
export interface RunnableTask extends Pick<RunSnapshot, 'objects' | 'retry'> {
  readonly task: Omit<TaskPlan, 'objects'>
}

/** What a task is, as a run of it does it. */
export function specOf(recordId: string, taskKey: string, { task, objects, retry }: RunnableTask): RunSpec {
  const { setting } = task
  return {
    recordId,
    taskKey,
    run: runNumberOf(recordId),
    conflictStrategy: setting.conflictStrategy,
    errorStrategy: setting.errorStrategy,
    includeMetadata: setting.includeMetadata,
    propagateDelete: setting.propagateDelete,
    deleteGuard: setting.deleteGuard,
    rateLimit: Math.max(0, setting.rateLimit),
    checksStorage: setting.storageConsistencyCheck,
    createsRepositories: setting.automaticCreateRemoteRepo,
    platforms: setting.platforms?.length ? setting.platforms.flatMap((text) => parsePlatform(text) ?? []) : undefined,
    keepsDetails: task.record,
    includesPermissions: task.includePermission === true ? extentOf(task) : undefined,
    objects: joined(objects, task.project),
    targets: task.targets,
    follows: task.replicaType === 'REAL_TIME' ? { backfill: setting.backfill } : undefined,
    retry: retry && new Map(Object.entries(retry.links)),
    imports: task.imports,
  }
}

const extentOf = ({ dynamic }: RunnableTask['task']) => (dynamic?.of === 'all' ? 'server' : 'repositories')

/** Objects with the same way become one, with the union of what they select: a link belongs to one object. */
function joined(objects: readonly TaskObject[], project: string): RunObject[] {
  const byWay = new Map<string, RunObject>()
  for (const object of objects) {
    const { localProject = project, localRepo, remoteProject, remoteRepo, repoType } = object
    const way = JSON.stringify([localProject, localRepo, remoteProject, remoteRepo])
    const known = byWay.get(way)
    const own = { paths: pathsOf(object), packages: packagesOf(object) }
    const selection = known === undefined ? own : union(known, own)
    byWay.set(way, { localProject, localRepo, remoteProject, remoteRepo, repoType, ...selection })
  }
  return [...byWay.values()]
}

type Selection = Pick<RunObject, 'paths' | 'packages'>
const isWhole = ({ paths, packages }: Selection): boolean => paths === undefined && packages === undefined

function union(a: Selection, b: Selection): Selection {
  if (isWhole(a) || isWhole(b)) return { paths: undefined, packages: undefined }
  return { paths: concat(a.paths, b.paths), packages: concat(a.packages, b.packages) }
}
const concat = <T>(a: readonly T[] | undefined, b: readonly T[] | undefined): readonly T[] | undefined =>
  a === undefined || b === undefined ? (a ?? b) : [...a, ...b]
