import type { ContentName } from '../../core/content-name.ts'
import { hasCode } from '../../core/errors.ts'
import { ociError } from './errors.ts'
import { OCI_INDEX } from './media-types.ts'
import type { ImageReply, ImageRequest, Operation } from './operation.ts'
import { nextLink, sliceOf } from './paging.ts'

/** As the specification's index of referrers has it. */
export interface Referrer {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly artifactType?: string | undefined
  readonly annotations?: Readonly<Record<string, string>> | undefined
}

const MOST_TAGS = 10_000
const MOST_REFERRERS = 1_000
/** Of one list that is put together here. */
const MOST_PAGES = 100

/** All tags that a repository says by itself. Undefined: it does not know the image. */
export async function tagNamesIn(list: Operation, request: ImageRequest): Promise<readonly string[] | undefined> {
  const names: string[] = []
  let last: string | undefined
  try {
    for (let page = 0; page < MOST_PAGES; page++) {
      const query = last === undefined ? {} : { last }
      const reply = await list({ ...request, query })
      const { tags } = (reply as { body: { tags: readonly string[] } }).body
      names.push(...tags)
      last = tags.at(-1)
      if (last === undefined || reply.headers?.link === undefined) break
    }
  } catch (error) {
    if (!hasCode(error, 'REPOSITORY_NOT_FOUND', 'PACKAGE_NOT_FOUND')) throw error
    return names.length === 0 ? undefined : names
  }
  return names
}

/** @param names in any order, some maybe twice; undefined: nobody knows the image. @throws AppError NAME_UNKNOWN. */
export function answerTags(request: ImageRequest, names: readonly string[] | undefined): ImageReply {
  const { repository, image, base } = request
  if (names === undefined) {
    throw ociError('NAME_UNKNOWN', `There is no image [${image}] in [${repository.project}/${repository.name}]`, {
      name: image,
    })
  }
  const { limit, last } = sliceOf(request, MOST_TAGS)
  const rest = [...new Set(names)].filter((tag) => last === undefined || byLetter(tag, last) > 0).sort(byLetter)
  const tags = rest.slice(0, limit)
  const more =
    rest.length > limit && limit > 0 ? nextLink(`${base}/tags/list`, { n: String(limit), last: tags.at(-1) }) : {}
  return { status: 200, headers: more, body: { name: `${repository.project}/${repository.name}/${image}`, tags } }
}

/** All that a repository says is about a manifest. */
export async function referrersIn(list: Operation, request: ImageRequest): Promise<readonly Referrer[]> {
  const found: Referrer[] = []
  let last: string | undefined
  for (let page = 0; page < MOST_PAGES; page++) {
    const { artifactType } = request.query
    const kind: Record<string, string> = artifactType === undefined ? {} : { artifactType }
    const reply = await list({ ...request, query: last === undefined ? kind : { ...kind, last } })
    const { body } = reply as { body: string | Buffer }
    const { manifests } = JSON.parse(body.toString()) as { manifests: readonly Referrer[] }
    found.push(...manifests)
    const next = /[?&]last=([^&>]+)/.exec(String(reply.headers?.link ?? ''))?.[1]
    if (next === undefined) break
    last = decodeURIComponent(next)
  }
  return found
}

/** Each once, by digest. */
export function answerReferrers(
  request: ImageRequest,
  subject: ContentName,
  artifactType: string | undefined,
  referrers: readonly Referrer[],
): ImageReply {
  const { limit, last } = sliceOf(request, MOST_REFERRERS)
  const all = [...new Map(referrers.map((one) => [one.digest, one])).values()].sort((a, b) =>
    byCode(a.digest, b.digest),
  )
  const rest = all.filter(({ digest }) => last === undefined || digest > last)
  const manifests = rest.slice(0, Math.max(limit, 0))
  const after = { artifactType, n: String(Math.max(limit, 1)), last: manifests.at(-1)?.digest }
  const more = rest.length > limit && limit > 0 ? nextLink(`${request.base}/referrers/${subject}`, after) : {}
  const filtered = artifactType === undefined ? {} : { 'oci-filters-applied': 'artifactType' }
  return {
    status: 200,
    headers: { 'content-type': OCI_INDEX, ...filtered, ...more },
    body: JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }),
  }
}

/** As `tagNames` has them. */
const byLetter = (a: string, b: string): number => byCode(lower(a), lower(b)) || byCode(a, b)
const lower = (text: string): string => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
const byCode = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
