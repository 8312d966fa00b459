import type { Clock } from '../core/clock.ts'
import type { Ids } from '../core/ids.ts'
import { insertPermissions, setPermissionRepositories } from '../metadata/access/permissions.ts'
import type { Transaction } from '../metadata/database.ts'
import type { Action } from './grants.ts'

/** Every new repository has them; users and roles are added to them (core.md 4). */
const BUILT_IN: Readonly<Record<string, readonly Action[]>> = {
  repo_admin: ['MANAGE'],
  repo_user: ['DELETE', 'READ', 'WRITE'],
  repo_viewer: ['READ'],
}

/** In the transaction that makes the repository. Nobody has them yet, so no remembered grant is void. */
export async function createBuiltInPermissions(
  trx: Transaction,
  repository: { readonly id: number; readonly project: string },
  { clock, ids }: { readonly clock: Clock; readonly ids: Ids },
  by: string,
): Promise<void> {
  const now = clock.now()
  const made = Object.entries(BUILT_IN).map(([name, actions]) => ({
    id: ids.id(),
    ...{ resourceType: 'REPO' as const, project: repository.project, homeRepo: repository.id, name },
    ...{ include: [], exclude: [], actions },
    ...{ createdBy: by, createdAt: now, modifiedBy: by, modifiedAt: now },
  }))
  await insertPermissions(trx, made)
  for (const { id } of made) await setPermissionRepositories(trx, id, [repository.id])
}
