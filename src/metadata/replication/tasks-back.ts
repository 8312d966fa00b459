import type { Reader } from '../database.ts'

/** Enabled tasks here that bring a repository to the cluster which writes into it. */
export interface TasksBack {
  /** One of them replaces what differs over there. */
  readonly overwrites: boolean
  /** One of them follows changes as they come. */
  readonly realTime: boolean
}

interface Source {
  /** Id of the installation that writes here. */
  readonly peerId: string
  /** Undefined: it did not say, so that nothing is known to go back there. */
  readonly project: string | undefined
  readonly repo: string | undefined
}

export async function tasksBack(
  reader: Reader,
  repository: { readonly id: number; readonly project: string; readonly name: string },
  { peerId, project, repo }: Source,
): Promise<TasksBack> {
  if (project === undefined || repo === undefined) return { overwrites: false, realTime: false }
  const rows = await reader
    .selectFrom('replication_task')
    .innerJoin('task_target', 'task_target.task_key', 'replication_task.key')
    .innerJoin('cluster', 'cluster.id', 'task_target.cluster_id')
    .where('cluster.peer_id', '=', peerId)
    .where('replication_task.enabled', '=', 1)
    .where('replication_task.replica_type', 'in', ['SCHEDULED', 'REAL_TIME'])
    .where((eb) =>
      eb.or([
        eb.exists(
          eb
            .selectFrom('task_object')
            .select('task_object.ord')
            .whereRef('task_object.task_key', '=', 'replication_task.key')
            .where('replication_task.project', '=', repository.project)
            .where('task_object.local_repo', '=', repository.name)
            .where('task_object.remote_project', '=', project)
            .where('task_object.remote_repo', '=', repo),
        ),
        // Objects that are looked up when they are needed have a link once they had a run.
        eb.exists(
          eb
            .selectFrom('link')
            .select('link.id')
            .whereRef('link.task_key', '=', 'replication_task.key')
            .whereRef('link.cluster_id', '=', 'cluster.id')
            .where('link.repo_id', '=', repository.id)
            .where('link.remote_project', '=', project)
            .where('link.remote_repo', '=', repo),
        ),
      ]),
    )
    .select(['replication_task.replica_type as type', 'replication_task.setting as setting'])
    .execute()
  const strategyOf = (setting: string) => (JSON.parse(setting) as { conflictStrategy?: unknown }).conflictStrategy
  return {
    overwrites: rows.some(({ setting }) => strategyOf(setting) === 'OVERWRITE'),
    realTime: rows.some(({ type }) => type === 'REAL_TIME'),
  }
}
