import type { FastifyRequest } from 'fastify'

/** More are refused by name later. */
const MAX_LOOKED_AT = 100

/**
 * Who makes a repository show others has to be allowed to read them: the answer would else tell which there are. What is not in the
 * shape of the contract is left to the check of the configuration. @throws AppError PERMISSION_DENIED.
 */
export async function authoriseMembers(
  request: FastifyRequest,
  project: string,
  configuration: unknown,
): Promise<void> {
  const list = (configuration as { repositoryList?: unknown } | null | undefined)?.repositoryList
  if (!Array.isArray(list)) return
  for (const member of list.slice(0, MAX_LOOKED_AT)) {
    const { projectId = project, name } = (member ?? {}) as { projectId?: unknown; name?: unknown }
    if (typeof projectId !== 'string' || typeof name !== 'string') continue
    await request.authorise('READ', { projectId, repoName: name })
  }
}
