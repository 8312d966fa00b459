import { hasUpstream } from '../../artifacts/proxies/upstream-channel.ts'
import { type Member, membersOf } from '../../artifacts/views/virtual-members.ts'
import { parseContentName } from '../../core/content-name.ts'
import { type AppError, type ErrorCode, hasCode } from '../../core/errors.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { requireName } from './blobs.ts'
import { digestInvalid } from './coordinates.ts'
import { ociError } from './errors.ts'
import { answerReferrers, answerTags, referrersIn, tagNamesIn } from './merged-lists.ts'
import type { ImageReply, ImageRequest, Operation, Operations } from './operation.ts'

type Reading = Pick<Operations, 'getManifest' | 'getBlob' | 'listTags' | 'listReferrers'>

export interface VirtualDeps {
  readonly db: Pick<MetadataDatabase, 'read'>
  /** Of what is here. */
  readonly own: Reading
  /** Of repositories that fetch. */
  readonly fetching: Reading
}

const ABSENT: readonly ErrorCode[] = ['VERSION_NOT_FOUND', 'BLOB_UNKNOWN', 'REPOSITORY_NOT_FOUND', 'PACKAGE_NOT_FOUND']

/**
 * A VIRTUAL repository shows its members as one: what users brought, in the order of the members, then what members fetch, in their order.
 * Members that the caller may not read are passed over, as if they did not have it.
 */
export function virtualOperations({ db, own, fetching }: VirtualDeps): Reading {
  async function readable(request: ImageRequest): Promise<Repository[]> {
    const members = await membersOf(db.read, request.repository)
    const found: Repository[] = []
    for (const member of members) if (await mayRead(request, member)) found.push(member.repository)
    return found
  }

  /** The first that has it. @throws AppError of an upstream when nobody has it and one could not be asked. */
  async function first(
    name: 'getManifest' | 'getBlob',
    request: ImageRequest,
    unknown: () => AppError,
  ): Promise<ImageReply> {
    const members = await readable(request)
    const ways = [
      ...members.filter(({ category }) => category !== 'REMOTE').map((repository) => [own[name], repository] as const),
      ...members.filter(hasUpstream).map((repository) => [fetching[name], repository] as const),
    ]
    let failure: unknown
    for (const [operation, repository] of ways) {
      try {
        return await operation({ ...request, repository })
      } catch (error) {
        if (hasCode(error, 'UPSTREAM_FAILED', 'TOO_MANY_REQUESTS')) failure ??= error
        else if (!hasCode(error, ...ABSENT)) throw error
      }
    }
    throw failure ?? unknown()
  }

  /** From all that could be asked. */
  async function all<T>(
    name: 'listTags' | 'listReferrers',
    request: ImageRequest,
    read: (operation: Operation, request: ImageRequest) => Promise<T | undefined>,
  ): Promise<T[]> {
    const found: T[] = []
    let failure: unknown
    for (const repository of await readable(request)) {
      const operation = (hasUpstream(repository) ? fetching : own)[name]
      try {
        const some = await read(operation, { ...request, repository })
        if (some !== undefined) found.push(some)
      } catch (error) {
        if (!hasCode(error, 'UPSTREAM_FAILED', 'TOO_MANY_REQUESTS')) throw error
        failure ??= error
      }
    }
    if (found.length === 0 && failure !== undefined) throw failure
    return found
  }

  return {
    getManifest: (request) => first('getManifest', request, () => unknownIn(request, 'MANIFEST_UNKNOWN', 'manifest')),
    getBlob(request) {
      requireName(request.reference)
      return first('getBlob', request, () => unknownIn(request, 'BLOB_UNKNOWN', 'blob'))
    },
    async listTags(request) {
      const found = await all('listTags', request, tagNamesIn)
      return answerTags(request, found.length === 0 ? undefined : found.flat())
    },
    async listReferrers(request) {
      const subject = parseContentName(request.reference)
      if (subject === undefined) throw digestInvalid(request.reference)
      const found = await all('listReferrers', request, referrersIn)
      return answerReferrers(request, subject, request.query.artifactType || undefined, found.flat())
    },
  }
}

/** On the way to it, too. */
async function mayRead({ mayRead: may, image }: ImageRequest, { repository, through }: Member): Promise<boolean> {
  for (const { project, name } of [...through, repository]) {
    if (!(await may({ projectId: project, repoName: name, image }))) return false
  }
  return true
}

function unknownIn(
  { image, reference, repository }: ImageRequest,
  code: 'MANIFEST_UNKNOWN' | 'BLOB_UNKNOWN',
  what: string,
) {
  const named = reference.slice(0, 160)
  const place = `[${repository.project}/${repository.name}]`
  return ociError(code, `No member of ${place} that you may read has ${what} [${named}] of image [${image}]`, {
    ...{ name: image, reference: named },
  })
}
