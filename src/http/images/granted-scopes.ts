import { decide } from '../../auth/access.ts'
import type { Action } from '../../auth/grants.ts'
import type { Principal } from '../../auth/principal.ts'
import type { TokenScope } from '../../auth/principal-scope.ts'
import type { Rights } from '../../auth/rights.ts'
import { normalisePath } from '../../core/paths.ts'
import { ACTION_OF, type AskedScope } from './scope-words.ts'

/** What was asked for, as far as the caller may do it. Somebody else may yet take it away: rights are looked at again for each request. */
export async function grantedScopes(
  asked: readonly AskedScope[],
  principal: Principal,
  rights: Pick<Rights, 'repositoryFacts'>,
): Promise<TokenScope[]> {
  const granted: TokenScope[] = []
  for (const scope of asked) {
    if (scope.kind === 'catalog') {
      // The catalog shows all that the user may read, which is more than a limited login may.
      if (principal.covers === undefined) granted.push({ catalog: true })
      continue
    }
    const { project, repo, image, words } = scope
    const actions: readonly Action[] = words.map((word) => ACTION_OF[word])
    const { repository, grants } = await rights.repositoryFacts(principal, project, repo)
    const place = { projectId: project, repoName: repo, path: normalisePath(image), extent: 'node' } as const
    const resource = { kind: 'repository', id: undefined, public: false, ...repository, ...place } as const
    const allowed = actions.filter((action) => decide(principal, action, resource, grants) === 'allow')
    if (allowed.length > 0) granted.push({ repository: { project, repo, name: image }, actions: allowed })
  }
  return granted
}

const WORD_OF = new Map<Action, string>(Object.entries(ACTION_OF).map(([word, action]) => [action, word]))

/** As clients write it. */
export const scopeText = (scopes: readonly TokenScope[]): string =>
  scopes
    .map((scope) => {
      if ('catalog' in scope) return 'registry:catalog:*'
      const { project, repo, name } = scope.repository
      return `repository:${project}/${repo}/${name}:${scope.actions.map((action) => WORD_OF.get(action)).join(',')}`
    })
    .join(' ')
