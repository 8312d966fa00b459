import type { Reader } from '../database.ts'

/** What a task request can be judged by: whether its project exists, and which of the named repositories are live in it. */
export interface ProjectFacts {
  readonly exists: boolean
  readonly repositories: readonly { readonly name: string; readonly type: string; readonly category: string }[]
}

export async function findProjectFacts(
  reader: Reader,
  project: string,
  repositories: readonly string[],
): Promise<ProjectFacts> {
  const row = await reader.selectFrom('project').select('name').where('name', '=', project).executeTakeFirst()
  if (row === undefined || repositories.length === 0) return { exists: row !== undefined, repositories: [] }
  const found = await reader
    .selectFrom('repository')
    .select(['name', 'type', 'category'])
    .where('project', '=', project)
    .where('name', 'in', repositories)
    .where('deleted_at', 'is', null)
    .execute()
  return { exists: true, repositories: found }
}

export interface ReplicableRepository {
  readonly project: string
  readonly name: string
  readonly type: string
}

/** Live repositories that have files of their own, ascending by project and name. @param project undefined: of all projects. */
export async function replicableRepositories(
  reader: Reader,
  project: string | undefined,
): Promise<ReplicableRepository[]> {
  return reader
    .selectFrom('repository')
    .select(['project', 'name', 'type'])
    .where('deleted_at', 'is', null)
    .where('category', '!=', 'VIRTUAL')
    .$if(project !== undefined, (query) => query.where('project', '=', project!))
    .orderBy('project')
    .orderBy('name')
    .execute()
}
