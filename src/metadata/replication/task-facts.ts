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
