import { AppError } from '../core/errors.ts'
import type { Reader } from '../metadata/database.ts'
import { findProject } from '../metadata/repositories/projects.ts'
import { listRepositories } from '../metadata/repositories/repositories.ts'

/** A repository that a role or a permission is about. */
export interface RightPlace {
  readonly id: number
  readonly name: string
}

/**
 * The repositories of these names, each once, in the order given.
 * @throws AppError ACCESS_PROJECT_NOT_FOUND, ACCESS_REPOSITORY_NOT_FOUND.
 */
export async function placesOf(reader: Reader, project: string, repoNames: readonly string[]): Promise<RightPlace[]> {
  if ((await findProject(reader, project)) === undefined) throw accessProjectNotFound(project)
  if (repoNames.length === 0) return []
  const known = new Map((await listRepositories(reader, { project })).map(({ id, name }) => [name, id]))
  return [...new Set(repoNames)].map((name) => {
    const id = known.get(name)
    if (id === undefined) throw accessRepositoryNotFound(project, name)
    return { id, name }
  })
}

export const accessProjectNotFound = (project: string): AppError =>
  new AppError('ACCESS_PROJECT_NOT_FOUND', `Project [${project}] not found`, { project })
export const accessRepositoryNotFound = (project: string, name: string): AppError =>
  new AppError('ACCESS_REPOSITORY_NOT_FOUND', `Repository [${project}/${name}] not found`, { project, name })
