import { decide } from '../../auth/access.ts'
import type { Principal } from '../../auth/principal.ts'
import type { Rights } from '../../auth/rights.ts'
import { normalisePath } from '../../core/paths.ts'
import type { ImagePlace } from '../../formats/oci/operation.ts'

/**
 * Whether whoever asks a VIRTUAL repository may read one of its members there. A registry's token names the VIRTUAL one and no member: it
 * covers what its user may read by way of it.
 */
export async function mayReadMember(
  rights: Pick<Rights, 'repositoryFacts'>,
  principal: Principal,
  { projectId, repoName, image }: ImagePlace,
): Promise<boolean> {
  const user: Principal = principal.appId === undefined ? { ...principal, covers: undefined } : principal
  const { repository, grants } = await rights.repositoryFacts(user, projectId, repoName)
  const place = { projectId, repoName, path: normalisePath(image), extent: 'node' } as const
  const known = { kind: 'repository', id: undefined, public: false, ...repository, ...place } as const
  return decide(user, 'READ', known, grants) === 'allow'
}
