import { algorithmOf, type ContentName, parseContentName } from '../../core/content-name.ts'
import { digestOfBytes } from '../../core/digest.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { type ReferringVersion, referringVersions } from '../../metadata/packages/referring-versions.ts'
import { digestInvalid } from './coordinates.ts'
import { parseManifest } from './manifest.ts'
import { keyOf, type ManifestStore, type Place } from './manifest-store.ts'
import { OCI_INDEX } from './media-types.ts'
import type { ImageReply, ImageRequest, Operation } from './operation.ts'
import { nextLink, sliceOf } from './paging.ts'

export interface ReferrerDeps {
  readonly db: Pick<MetadataDatabase, 'read'>
  readonly manifests: Pick<ManifestStore, 'bytesOf'>
}

const MOST_AT_ONCE = 1_000
const ROWS_AT_ONCE = 200
/** An index is a manifest, which clients expect below 4 MiB. */
const MOST_BYTES = 3 * 1024 * 1024
const FALLBACK = /^(?:sha256-[0-9a-f]{64}|sha512-[0-9a-f]{64})$/

interface Search extends Place {
  readonly subject: Parameters<typeof referringVersions>[3]
  readonly artifactType: string | undefined
  readonly limit: number
  readonly after: string
  readonly signal: AbortSignal
}

/** "Listing Referrers". */
export const listReferrers =
  (deps: ReferrerDeps): Operation =>
  async (request) => {
    const { reference, repository, image, query, base, signal } = request
    const subject = parseContentName(reference)
    if (subject === undefined) throw digestInvalid(reference)
    const { limit, last: after = '' } = sliceOf(request, MOST_AT_ONCE)
    const artifactType = query.artifactType === '' ? undefined : query.artifactType
    const search = { repository, image, subject: { is: subject }, artifactType, limit, after, signal }
    const { descriptors, next } = await findReferrers(deps, search)
    const more =
      next === undefined
        ? {}
        : nextLink(`${base}/referrers/${subject}`, { artifactType, n: String(Math.max(limit, 1)), last: next })
    return {
      status: 200,
      headers: {
        'content-type': OCI_INDEX,
        ...(artifactType === undefined ? {} : { 'oci-filters-applied': 'artifactType' }),
        ...more,
      },
      body: indexOf(descriptors),
    }
  }

/** What a client gets that knows referrers by their tag only: `sha256-<hex>`. Undefined: it is no such tag, or there are none. */
export async function fallbackIndex(
  deps: ReferrerDeps,
  { repository, image, signal }: ImageRequest,
  tag: string,
): Promise<ImageReply | undefined> {
  if (!FALLBACK.test(tag)) return undefined
  const name = tag.replace('-', ':')
  // Of sha512 the tag has half.
  const subject = algorithmOf(name as ContentName) === 'sha256' ? { is: name } : { beginsWith: name }
  const search = { repository, image, subject, artifactType: undefined, limit: MOST_AT_ONCE, after: '', signal }
  const { descriptors } = await findReferrers(deps, search)
  if (descriptors.length === 0) return undefined
  const body = Buffer.from(indexOf(descriptors))
  const digest = digestOfBytes(body)
  return {
    status: 200,
    headers: { 'content-type': OCI_INDEX, 'docker-content-digest': digest, etag: `"${digest.slice(7)}"` },
    body,
  }
}

async function findReferrers(deps: ReferrerDeps, search: Search): Promise<{ descriptors: object[]; next?: string }> {
  const { repository, subject, artifactType, limit, signal } = search
  const descriptors: object[] = []
  let [bytes, after] = [0, search.after]
  while (limit > 0) {
    const page = { after, limit: ROWS_AT_ONCE }
    const rows = await referringVersions(deps.db.read, repository.id, keyOf(search), subject, page)
    for (const row of rows) {
      if (artifactType === undefined || row.extension.artifactType === artifactType) {
        const descriptor = await descriptorOf(deps, row, signal)
        bytes += Buffer.byteLength(JSON.stringify(descriptor))
        const isFull = descriptors.length === limit || (bytes > MOST_BYTES && descriptors.length > 0)
        if (isFull) return { descriptors, next: after }
        descriptors.push(descriptor)
      }
      after = row.digest
    }
    if (rows.length < ROWS_AT_ONCE) break
  }
  return { descriptors }
}

/** Source: OCI distribution specification 1.1, "Listing Referrers". */
async function descriptorOf(deps: ReferrerDeps, row: ReferringVersion, signal: AbortSignal): Promise<object> {
  const { digest, extension, content, sizeBytes } = row
  const { mediaType, artifactType, abridged } = extension
  const annotations =
    abridged === true
      ? parseManifest(await deps.manifests.bytesOf({ digest: content, sizeBytes }, signal), undefined).annotations
      : extension.annotations
  return { mediaType, digest, size: sizeBytes, artifactType, annotations }
}

const indexOf = (manifests: readonly object[]): string =>
  JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests })
