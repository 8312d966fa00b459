import type { FastifyRequest } from 'fastify'
import { isAnonymous } from '../../auth/principal.ts'
import type { Rights } from '../../auth/rights.ts'
import { AppError } from '../../core/errors.ts'
import { normalisePath } from '../../core/paths.ts'
import { parseImageName } from '../../formats/oci/coordinates.ts'
import type { ImagePlace } from '../../formats/oci/operation.ts'
import { grantedScopes } from './granted-scopes.ts'
import { parseImageUrl } from './image-url.ts'

/** The image that a mount takes its blob from: `?mount=…&from={project}/{repo}/{image}`. Undefined: the request is no mount, or names none. */
export function mountSourceIn({ method, params, query }: FastifyRequest): ImagePlace | undefined {
  const { '*': rest = '' } = params as Readonly<Record<string, string>>
  const { mount, from } = query as Readonly<Record<string, unknown>>
  const isUpload = method === 'POST' && parseImageUrl(rest)?.operations.POST === 'startUpload'
  if (!isUpload || mount === undefined || typeof from !== 'string') return undefined
  const [projectId = '', repoName = '', ...parts] = from.split('/')
  const image = parseImageName(parts.join('/'))
  const isName = image !== undefined && [projectId, repoName].every((name) => /^[\w.-]{1,100}$/.test(name))
  return isName ? { projectId, repoName, image } : undefined
}

/**
 * Clients ask for a token when the challenge says what for. Without this one for the target alone would never mount anything.
 * @throws AppError PERMISSION_DENIED when the source is beyond the token, and its user would get one that reaches it.
 */
export async function requireTokenForSource(
  request: FastifyRequest,
  rights: Pick<Rights, 'repositoryFacts'>,
): Promise<void> {
  const { principal } = request
  const source = mountSourceIn(request)
  if (source === undefined || principal.covers === undefined || principal.appId !== undefined || isAnonymous(principal))
    return
  const { projectId, repoName, image } = source
  const place = {
    projectId,
    repoName,
    path: normalisePath(image),
    extent: 'node',
    id: undefined,
    public: false,
  } as const
  if (principal.covers('DOWNLOAD', { kind: 'repository', ...place })) return
  const asked = { kind: 'image', project: projectId, repo: repoName, image, words: ['pull'] } as const
  const reachable = await grantedScopes([asked], { ...principal, covers: undefined }, rights)
  if (reachable.length === 0) return
  const what = `Access denied: the token does not reach ${projectId}/${repoName}/${image}, the source of the mount`
  throw new AppError('PERMISSION_DENIED', what, { beyondToken: true })
}
