import type { Extent } from '../core/path-scope.ts'
import type { NodePath } from '../core/paths.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import { findUser } from '../metadata/users.ts'
import { decide } from './access.ts'
import type { Action } from './grants.ts'
import type { Rights } from './rights.ts'

/** For what somebody set up to be done in their name later: whether they themselves could do it now. */
export type MayDo = (
  userId: string,
  action: Action,
  repository: { readonly project: string; readonly name: string },
  path: NodePath,
  extent: Exclude<Extent, 'part'>,
) => Promise<boolean>

interface HolderRightsDeps {
  readonly db: Pick<MetadataDatabase, 'read'>
  readonly rights: Pick<Rights, 'repositoryFacts'>
}

/** A user who is gone or locked may do nothing, also in what is public. */
export const createHolderRights =
  ({ db, rights }: HolderRightsDeps): MayDo =>
  async (userId, action, { project, name }, path, extent) => {
    const account = await findUser(db.read, userId)
    if (account === undefined || account.locked) return false
    const principal = { userId, admin: account.admin }
    const { repository, grants } = await rights.repositoryFacts(principal, project, name)
    if (repository === undefined) return false
    const resource = {
      kind: 'repository',
      projectId: project,
      repoName: name,
      ...repository,
      path,
      extent,
    } as const
    return decide(principal, action, resource, grants) === 'allow'
  }
