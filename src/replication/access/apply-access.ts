import type { Clock } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import type { Ids } from '../../core/ids.ts'
import { raiseAccessStamp } from '../../metadata/access/access-facts.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { findRepository } from '../../metadata/repositories/repositories.ts'
import type { AccessAnswer, AccessRequest, CopiedProject } from '../../remotes/cluster/access-messages.ts'
import { applyPermissions } from './apply-permissions.ts'
import { applyRoles } from './apply-roles.ts'
import { applyUsers } from './apply-users.ts'
import { checkAccessRequest } from './check-access.ts'
import { type Copying, noCounts, summed } from './copying.ts'

interface ApplyAccessDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly ids: Ids
}

/**
 * The target's side of users, roles and permissions: one message is one transaction, and applying it again changes nothing. What
 * somebody here made or changed stays as it is, and so does the caller's own account; what a source gave and names no more is taken
 * back, what somebody here gave is not.
 */
export function createAccessApplier({ db, clock, ids }: ApplyAccessDeps) {
  /** @param caller stays untouched. @throws AppError PARAMETER_INVALID, REPOSITORY_NOT_FOUND. */
  return async function applyAccess(request: AccessRequest, caller: string): Promise<AccessAnswer> {
    checkAccessRequest(request)
    return db.transact(async (trx) => {
      await raiseAccessStamp(trx)
      const by = { userId: `cluster:${request.sourceId}`, at: clock.now() }
      const copying: Copying = { trx, ids, by, caller }
      const users = await applyUsers(copying, request.copiedUsers)
      let roles = noCounts()
      let permissions = noCounts()
      for (const copied of request.copiedProjects) {
        const place = {
          copied,
          sourceId: `${request.sourceId}/${copied.from}`,
          repoIds: await repoIdsOf(copying, copied),
        }
        const applied = await applyRoles(copying, place)
        roles = summed(roles, applied.counts)
        permissions = summed(permissions, await applyPermissions(copying, place, applied.roleIds))
      }
      return { users, roles, permissions }
    })
  }
}

async function repoIdsOf({ trx }: Copying, { project, repos }: CopiedProject): Promise<ReadonlyMap<string, number>> {
  const ids = new Map<string, number>()
  for (const name of repos) {
    const repository = await findRepository(trx, project, name)
    if (repository === undefined) {
      throw new AppError('REPOSITORY_NOT_FOUND', `Repository [${project}/${name}] not found at the target`, {})
    }
    ids.set(name, repository.id)
  }
  return ids
}
