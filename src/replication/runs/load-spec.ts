import type { MetadataDatabase } from '../../metadata/database.ts'
import { findRecord } from '../../metadata/replication/records.ts'
import type { RunSnapshot } from '../../tasks/record.ts'
import { pathsOf, type TaskObject } from '../../tasks/task.ts'
import { runNumberOf } from './link-key.ts'
import type { RunObject, RunSpec } from './run-spec.ts'

/** What a run does, from the snapshot in its record. Undefined: there is no such run, or it is closed. */
export async function loadSpec(db: MetadataDatabase, recordId: string): Promise<RunSpec | undefined> {
  const record = await findRecord(db.read, recordId)
  if (record === undefined || record.status !== 'RUNNING') return undefined
  const { task, objects } = JSON.parse(record.snapshot) as RunSnapshot
  const { setting } = task
  return {
    recordId,
    taskKey: record.task_key,
    run: runNumberOf(recordId),
    project: task.project,
    conflictStrategy: setting.conflictStrategy,
    errorStrategy: setting.errorStrategy,
    includeMetadata: setting.includeMetadata,
    rateLimit: Math.max(0, setting.rateLimit),
    createsRepositories: setting.automaticCreateRemoteRepo,
    keepsDetails: task.record,
    objects: joined(objects),
    targets: task.targets,
  }
}

/** Objects with the same way become one, with the union of their paths: a link belongs to one object. */
function joined(objects: readonly TaskObject[]): RunObject[] {
  const byWay = new Map<string, RunObject>()
  for (const object of objects) {
    const { localRepo, remoteProject, remoteRepo, repoType } = object
    const way = JSON.stringify([localRepo, remoteProject, remoteRepo])
    const known = byWay.get(way)
    const paths = pathsOf(object)
    const both = known === undefined ? paths : known.paths && paths && [...new Set([...known.paths, ...paths])]
    byWay.set(way, { localRepo, remoteProject, remoteRepo, repoType, paths: both })
  }
  return [...byWay.values()]
}
