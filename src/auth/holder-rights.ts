import type { Extent } from '../core/path-scope.ts'
import type { NodePath } from '../core/paths.ts'
import { findPlatformAccount } from '../metadata/access/platform-accounts.ts'
import { findUser } from '../metadata/access/users.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import { decide } from './access.ts'
import type { Action } from './grants.ts'
import { coversOfApp, scopeOfAccount } from './principal-scope.ts'
import type { Rights } from './rights.ts'

/** Who set something up, and the platform account that did it for them; null: none. */
export interface Holder {
  readonly createdBy: string
  readonly appId: string | null
}

/** For what somebody set up to be done in their name later: whether they themselves could do it now, the same way. */
export type MayDo = (
  holder: Holder,
  action: Action,
  repository: { readonly project: string; readonly name: string },
  path: NodePath,
  extent: Exclude<Extent, 'part'>,
) => Promise<boolean>

interface HolderRightsDeps {
  readonly db: Pick<MetadataDatabase, 'read'>
  readonly rights: Pick<Rights, 'repositoryFacts'>
}

/** A user or a platform account that is gone or locked may do nothing, also in what is public. */
export const createHolderRights =
  ({ db, rights }: HolderRightsDeps): MayDo =>
  async ({ createdBy: userId, appId }, action, { project, name }, path, extent) => {
    const account = await findUser(db.read, userId)
    if (account === undefined || account.locked) return false
    const app = appId === null ? undefined : await findPlatformAccount(db.read, appId)
    if (appId !== null && (app === undefined || app.locked)) return false
    const covers = app && coversOfApp(scopeOfAccount(app))
    const principal = { userId, admin: account.admin, covers }
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
