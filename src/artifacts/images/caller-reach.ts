import { decide } from '../../auth/access.ts'
import type { Action, Grants } from '../../auth/grants.ts'
import type { Principal } from '../../auth/principal.ts'
import { normalisePath } from '../../core/paths.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import type { Visible } from '../../metadata/repositories/visible-repositories.ts'

/** What the caller may do to images of many repositories, without a question for each. */
export interface CallerReach {
  /** Repositories that are worth looking at; undefined: all. */
  readonly visible: Visible | undefined
  may(action: Action, repository: Pick<Repository, 'project' | 'name' | 'id' | 'public'>, image: string): boolean
}

/** @param grants those of the principal. */
export const callerReach = (principal: Principal, grants: Grants): CallerReach => ({
  visible: principal.admin
    ? undefined
    : { projects: [...grants.administers], repoIds: [...grants.repositories.keys()] },
  may(action, { project: projectId, name: repoName, id, public: open }, image) {
    const place = { projectId, repoName, id, public: open, path: normalisePath(image) } as const
    return decide(principal, action, { kind: 'repository', ...place, extent: 'node' }, grants) === 'allow'
  },
})
