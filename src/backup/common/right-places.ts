import { AppError } from '../../core/errors.ts'
import type { RequestFields } from '../../core/request-fields.ts'
import { listRolesIn, type Role } from '../../metadata/access/roles.ts'
import { knownProjects } from '../../metadata/backup/right-rows.ts'
import type { RoleName } from '../../metadata/backup/user-rows.ts'
import type { Reader } from '../../metadata/database.ts'
import { repositoriesNamed } from '../../metadata/repositories/named-repositories.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { optionalRepositoryIn, projectIn } from './common-fields.ts'

/** Projects and repositories that records name, as they are here. */
export interface Places {
  /** @throws AppError ACCESS_PROJECT_NOT_FOUND. */
  project(name: string): void
  /** Undefined: there is none of that name. */
  repository(project: string, name: string): Repository | undefined
  /** 0 for a whole project. @throws AppError ACCESS_PROJECT_NOT_FOUND, ACCESS_REPOSITORY_NOT_FOUND. */
  repoId(project: string, name: string | null): number
}

interface NamedPlace {
  readonly project: string
  readonly repos: readonly string[]
}

/** Two statements for any number of places. */
export async function findPlaces(reader: Reader, named: readonly NamedPlace[]): Promise<Places> {
  const projects = await knownProjects(reader, [...new Set(named.map(({ project }) => project))])
  const distinct = new Map(
    named.flatMap(({ project, repos }) => repos.map((name) => [`${project}/${name}`, { project, name }] as const)),
  )
  const repositories = new Map<string, Repository>()
  for (const one of await repositoriesNamed(reader, [...distinct.values()])) {
    repositories.set(`${one.project}/${one.name}`, one)
  }
  const places: Places = {
    project(name) {
      if (!projects.has(name)) {
        throw new AppError('ACCESS_PROJECT_NOT_FOUND', `Project [${name}] not found`, { project: name })
      }
    },
    repository: (project, name) => repositories.get(`${project}/${name}`),
    repoId(project, name) {
      places.project(project)
      if (name === null) return 0
      const found = places.repository(project, name)
      if (found !== undefined) return found.id
      throw new AppError('ACCESS_REPOSITORY_NOT_FOUND', `Repository [${project}/${name}] not found`, { project, name })
    },
  }
  return places
}

/** Roles that are here, by what names them in a backup. */
export async function findRoles(reader: Reader, named: readonly RoleName[]): Promise<ReadonlyMap<string, Role>> {
  const roles = await listRolesIn(reader, [...new Set(named.map(({ projectId }) => projectId))])
  return new Map(roles.map((role) => [roleKey({ ...role, projectId: role.project }), role]))
}

/** For people, too: `project/repository/role`. */
export const roleKey = ({ projectId, repoName, roleId }: RoleName): string =>
  repoName === null ? `${projectId}: ${roleId}` : `${projectId}/${repoName}: ${roleId}`

/** @throws AppError of `projectIn`, PARAMETER_INVALID. */
export function roleNameIn(fields: RequestFields): RoleName {
  const projectId = projectIn(fields)
  return { projectId, repoName: optionalRepositoryIn(fields), roleId: fields.requiredText('roleId') }
}
