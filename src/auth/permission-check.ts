import { AppError } from '../core/errors.ts'
import { type NodePath, ROOT } from '../core/paths.ts'
import type { ResourceType } from '../metadata/access/granted-rights.ts'
import { findUser } from '../metadata/access/users.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import { decide, WHOLE } from './access.ts'
import type { Action } from './grants.ts'
import { ANONYMOUS, type Principal } from './principal.ts'
import { accessRepositoryNotFound, placesOf } from './right-places.ts'
import type { Rights } from './rights.ts'

export interface PermissionQuestion {
  /** `anonymous`: nobody in particular. */
  readonly userId: string
  readonly resourceType: ResourceType
  readonly action: Action
  readonly project: string | undefined
  readonly repoName: string | undefined
  /** Of NODE. */
  readonly path: NodePath | undefined
}

/** Whether somebody else may do something, by the same decision that requests meet. */
export interface PermissionCheck {
  /**
   * A user that is not there may do nothing.
   * @throws AppError PERMISSION_CHECK_FAILED when the question lacks a name, ACCESS_PROJECT_NOT_FOUND, ACCESS_REPOSITORY_NOT_FOUND.
   */
  allows(question: PermissionQuestion): Promise<boolean>
}

export function createPermissionCheck({
  db,
  rights,
}: {
  readonly db: MetadataDatabase
  readonly rights: Pick<Rights, 'grantsOf' | 'repositoryFacts'>
}): PermissionCheck {
  async function principalOf(userId: string): Promise<Principal> {
    if (userId === ANONYMOUS.userId) return ANONYMOUS
    const user = await findUser(db.read, userId)
    if (user === undefined) return { userId, admin: false, standing: 'missing' }
    return { userId, admin: user.admin, standing: user.locked ? 'locked' : undefined }
  }

  async function decideIn(
    principal: Principal,
    action: Action,
    repo: { project: string; repoName: string },
    at: NodePath,
  ) {
    const { project: projectId, repoName } = repo
    await placesOf(db.read, projectId, [repoName])
    const { repository, grants } = await rights.repositoryFacts(principal, projectId, repoName)
    if (repository === undefined) throw accessRepositoryNotFound(projectId, repoName)
    const extent = at === ROOT ? WHOLE.extent : 'node'
    return decide(
      principal,
      action,
      { kind: 'repository', projectId, repoName, ...repository, path: at, extent },
      grants,
    )
  }

  return {
    async allows({ userId, resourceType, action, project, repoName, path }) {
      const principal = await principalOf(userId)
      const named = <T>(value: T | undefined, field: string): T => {
        if (value !== undefined) return value
        const why = `a question about a ${resourceType} names its ${field}`
        throw new AppError('PERMISSION_CHECK_FAILED', `Permission check failed: ${why}`, { field })
      }
      switch (resourceType) {
        case 'SYSTEM':
        case 'REPLICATION': {
          const kind = resourceType === 'SYSTEM' ? 'system' : 'replication'
          return decide(principal, action, { kind }, await rights.grantsOf(principal)) === 'allow'
        }
        case 'PROJECT': {
          const projectId = named(project, 'projectId')
          await placesOf(db.read, projectId, [])
          return decide(principal, action, { kind: 'project', projectId }, await rights.grantsOf(principal)) === 'allow'
        }
        case 'REPO':
        case 'NODE': {
          const repo = { project: named(project, 'projectId'), repoName: named(repoName, 'repoName') }
          const at = resourceType === 'NODE' ? named(path, 'path') : ROOT
          return (await decideIn(principal, action, repo, at)) === 'allow'
        }
      }
    },
  }
}
