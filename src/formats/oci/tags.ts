import type { MetadataDatabase } from '../../metadata/database.ts'
import { findPackage } from '../../metadata/packages/packages.ts'
import { tagNames } from '../../metadata/packages/tag-names.ts'
import { hasLoose } from '../../metadata/storage/loose-blobs.ts'
import { ociError } from './errors.ts'
import { keyOf, type Place } from './manifest-store.ts'
import type { Operation } from './operation.ts'
import { nextLink, sliceOf } from './paging.ts'

const MOST_AT_ONCE = 10_000

/** "Listing Tags". */
export function listTags({ db }: { readonly db: Pick<MetadataDatabase, 'read'> }): Operation {
  /** Also while it is being pushed for the first time, and when the last manifest was just deleted. */
  async function isThere(place: Place): Promise<boolean> {
    const { repository, image } = place
    if ((await findPackage(db.read, repository.id, keyOf(place))) !== undefined) return true
    return hasLoose(db.read, repository.id, image)
  }
  return async (request) => {
    const { repository, image, base } = request
    const { limit, last: after } = sliceOf(request, MOST_AT_ONCE)
    const key = keyOf(request)
    const found = limit === 0 ? [] : await tagNames(db.read, repository.id, key, { after, limit: limit + 1 })
    if (found.length === 0 && !(await isThere(request))) {
      throw ociError('NAME_UNKNOWN', `There is no image [${image}] in [${repository.project}/${repository.name}]`, {
        name: image,
      })
    }
    const tags = found.slice(0, limit)
    const more = found.length > limit ? nextLink(`${base}/tags/list`, { n: String(limit), last: tags.at(-1) }) : {}
    const name = `${repository.project}/${repository.name}/${image}`
    return { status: 200, headers: more, body: { name, tags } }
  }
}
