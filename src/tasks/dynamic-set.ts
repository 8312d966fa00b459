import type { Reader } from '../metadata/database.ts'
import { type ReplicableRepository, replicableRepositories } from '../metadata/replication/task-facts.ts'
import type { DynamicSet, TaskObject } from './task.ts'

/**
 * What a dynamic set stands for at this moment, ascending by project and name. Every repository goes to one of its own name.
 */
export async function objectsOfSet(reader: Reader, set: DynamicSet): Promise<TaskObject[]> {
  const found = await replicableRepositories(reader, set.of === 'all' ? undefined : set.project)
  return found.map((repository) => objectOf(repository, set))
}

const objectOf = ({ project, name, type }: ReplicableRepository, set: DynamicSet): TaskObject => ({
  localProject: project,
  localRepo: name,
  remoteProject: set.of === 'all' ? project : set.remoteProject,
  remoteRepo: name,
  repoType: type,
  packageConstraints: null,
  pathConstraints: null,
})
