import { createAccountsFile } from './accounts-file.ts'
import { createClustersFile } from './clusters-file.ts'
import type { CommonFile } from './common-file.ts'
import type { CommonFilesDeps } from './common-parts.ts'
import { createPermissionsFile } from './permissions-file.ts'
import { createRolesFile } from './roles-file.ts'
import { createTasksFile } from './tasks-file.ts'
import { createTemporaryTokensFile } from './temporary-tokens-file.ts'
import { createUsersFile } from './users-file.ts'

export type { CommonFilesDeps } from './common-parts.ts'

/**
 * In the order in which they are put back, in each phase. Roles come first: they have nothing to do before the repositories, and
 * afterwards users get theirs.
 */
export function createCommonFiles(deps: CommonFilesDeps): readonly CommonFile[] {
  return [
    createRolesFile(deps),
    createUsersFile(deps),
    createTemporaryTokensFile(deps),
    createPermissionsFile(deps),
    createAccountsFile(deps),
    createClustersFile(deps),
    createTasksFile(deps),
  ]
}
