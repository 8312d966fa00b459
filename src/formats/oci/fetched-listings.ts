import type { ImageUpstreams } from '../../artifacts/images/image-upstreams.ts'
import type { Clock } from '../../core/clock.ts'
import type { ContentName } from '../../core/content-name.ts'
import { hasCode } from '../../core/errors.ts'
import { statusOf } from '../../remotes/oci/registry-failure.ts'
import type { ReferrerDescriptor } from '../../remotes/oci/registry-listings.ts'
import type { Place } from './manifest-store.ts'
import { askUpstreams } from './upstream-questions.ts'

/** Lists of upstreams. */
export interface FetchedListings {
  /** Unordered. Undefined: no upstream knows the image. @throws AppError UPSTREAM_FAILED. */
  tags(place: Place, signal: AbortSignal): Promise<readonly string[] | undefined>
  /** Undefined: no upstream knows the image. @throws AppError UPSTREAM_FAILED. */
  referrers(
    place: Place,
    subject: ContentName,
    artifactType: string | undefined,
    signal: AbortSignal,
  ): Promise<readonly ReferrerDescriptor[] | undefined>
}

interface FetchedListingDeps {
  readonly clock: Pick<Clock, 'now'>
  readonly upstreams: Pick<ImageUpstreams, 'of'>
  /** How long what an upstream said counts, in ms. */
  readonly keptMs: number
}

/** Pages of one list of tags are asked for one after the other. */
const MOST_KEPT = 100
const MOST_TAGS = 200_000

export function createFetchedListings({ clock, upstreams, keptMs }: FetchedListingDeps): FetchedListings {
  const kept = new Map<string, { readonly until: number; readonly tags: readonly string[] }>()

  return {
    async tags(place, signal) {
      const { repository, image } = place
      const key = `${repository.id}:${repository.modifiedAt}:${image}`
      const known = kept.get(key)
      if (known !== undefined && clock.now() < known.until) return known.tags
      const tags = await askUpstreams(await upstreams.of(repository), ({ client }) =>
        unlessUnknown(async () => {
          const all: string[] = []
          for await (const page of client.listTags(client.repositoryOf(image), signal)) {
            all.push(...page)
            if (all.length > MOST_TAGS) break
          }
          return all
        }),
      )
      if (tags === undefined) return undefined
      kept.delete(key)
      kept.set(key, { until: clock.now() + keptMs, tags })
      const [oldest] = kept.keys()
      if (kept.size > MOST_KEPT && oldest !== undefined) kept.delete(oldest)
      return tags
    },
    async referrers({ repository, image }, subject, artifactType, signal) {
      return askUpstreams(await upstreams.of(repository), ({ client }) =>
        unlessUnknown(() => client.listReferrers(client.repositoryOf(image), subject, artifactType, signal)),
      )
    },
  }
}

async function unlessUnknown<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask()
  } catch (error) {
    if (hasCode(error, 'UPSTREAM_FAILED') && statusOf(error) === 404) return undefined
    throw error
  }
}
