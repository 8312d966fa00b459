import type { BlobOrder, ImageArrivals } from '../../artifacts/images/image-arrivals.ts'
import type { ImageBlobs } from '../../artifacts/images/image-blobs.ts'
import type { ImageUpstreams } from '../../artifacts/images/image-upstreams.ts'
import type { Arrival, StoredContent } from '../../artifacts/proxies/arrival.ts'
import { createRecentKeys } from '../../artifacts/proxies/recent-keys.ts'
import { upstreamFailed } from '../../artifacts/proxies/upstream-answer.ts'
import { cacheRuleOf } from '../../artifacts/proxies/upstream-channel.ts'
import { verifiedStream } from '../../artifacts/proxies/verified-stream.ts'
import type { Clock } from '../../core/clock.ts'
import { type ContentName, digestNamed } from '../../core/content-name.ts'
import { hasCode, messageOf } from '../../core/errors.ts'
import { unlessAborted } from '../../core/unless-aborted.ts'
import type { FetchedBlob } from '../../remotes/oci/registry-blobs.ts'
import type { ManifestCompletion } from './manifest-completion.ts'
import type { Place } from './manifest-store.ts'
import { askUpstreams } from './upstream-questions.ts'

/** A blob of a repository that fetches. */
export type BroughtBlob =
  | { readonly how: 'stored'; readonly content: StoredContent }
  | { readonly how: 'arriving'; readonly arrival: Arrival<StoredContent> }
  | { readonly how: 'passing'; readonly blob: FetchedBlob }
  | { readonly how: 'absent' }

/** What an upstream says of a blob, without its bytes. */
export interface AnnouncedBlob {
  readonly sizeBytes: number | undefined
}

export interface FetchedBlobs {
  /** Of a blob that is not here. Equal questions at once become one download, which goes on when those who asked go away. */
  bring(place: Place, name: ContentName, signal: AbortSignal): Promise<BroughtBlob>
  /** Undefined: no upstream has it. */
  announce(place: Place, name: ContentName, signal: AbortSignal): Promise<AnnouncedBlob | undefined>
  rest(): Promise<void>
}

export interface FetchedBlobDeps {
  readonly clock: Pick<Clock, 'now'>
  readonly blobs: Pick<ImageBlobs, 'get'>
  readonly upstreams: Pick<ImageUpstreams, 'of'>
  readonly arrivals: ImageArrivals
  readonly completion: Pick<ManifestCompletion, 'arrived'>
  readonly absentMs: number
  /** Of the process. */
  readonly signal: AbortSignal
  warn(message: string, about: Readonly<Record<string, unknown>>): void
}

const RECENT_KEYS = 10_000

export function createFetchedBlobs(deps: FetchedBlobDeps): FetchedBlobs {
  const { blobs, upstreams, arrivals, completion } = deps
  const running = new Map<string, { readonly found: Promise<BroughtBlob>; readonly ended: Promise<unknown> }>()
  /** By image: how many are on their way. */
  const coming = new Map<string, number>()
  const absent = createRecentKeys(deps.clock, deps.absentMs, RECENT_KEYS)

  async function ask<T>(
    place: Place,
    question: (order: BlobOrder, client: ClientOf, repository: string) => Promise<T | undefined>,
    name: ContentName,
  ) {
    const all = await upstreams.of(place.repository)
    return askUpstreams(all, ({ channel, client }) =>
      question({ place, name, channel, from: client.url }, client, client.repositoryOf(place.image)),
    )
  }

  async function find(place: Place, name: ContentName): Promise<BroughtBlob> {
    const here = await storedOf(place, name)
    if (here !== undefined) return { how: 'stored', content: here }
    const found = await ask<BroughtBlob>(
      place,
      async (order, client, repository) => {
        if (await arrivals.isHere(order)) {
          if (!(await client.hasBlob(repository, name, deps.signal))) return undefined
          const content = await arrivals.adopt(order)
          if (content !== undefined) return { how: 'stored', content }
        }
        const blob = await client.getBlob(repository, name, {}, deps.signal)
        return blob && { how: 'arriving', arrival: arrivals.store(order, blob, deps.signal) }
      },
      name,
    )
    return found ?? { how: 'absent' }
  }
  async function storedOf(place: Place, name: ContentName): Promise<StoredContent | undefined> {
    try {
      const { digest, sizeBytes } = await blobs.get(place, name)
      return { digest, sizeBytes }
    } catch (error) {
      if (hasCode(error, 'BLOB_UNKNOWN')) return undefined
      throw error
    }
  }

  function once(place: Place, name: ContentName): Promise<BroughtBlob> {
    const key = keyAt(place, name)
    const known = running.get(key)
    if (known !== undefined) return known.found
    const image = imageKey(place)
    coming.set(image, (coming.get(image) ?? 0) + 1)
    const found = find(place, name)
    const ended = found
      .then(async (begun) => {
        if (begun.how === 'absent') absent.add(key)
        else if (begun.how === 'arriving') await begun.arrival.stored
        return begun.how
      })
      .catch((error: unknown) => {
        const { project, name: repo } = place.repository
        const about = { project, repo, image: place.image, blob: name, reason: messageOf(error) }
        if (!deps.signal.aborted) deps.warn('a blob could not be fetched', about)
        return 'absent' as const
      })
      .then((how) => {
        running.delete(key)
        const others = (coming.get(image) ?? 1) - 1
        if (others === 0) coming.delete(image)
        else coming.set(image, others)
        if (how !== 'absent') completion.arrived(place, name, others)
      })
    running.set(key, { found, ended })
    return found
  }

  return {
    async bring(place, name, signal) {
      const key = keyAt(place, name)
      if (absent.has(key)) return { how: 'absent' }
      if (cacheRuleOf(place.repository).keeps === 'always') return unlessAborted(once(place, name), signal)
      const found = await ask(place, (_order, client, repository) => client.getBlob(repository, name, {}, signal), name)
      if (found !== undefined) return { how: 'passing', blob: checked(found, name, place) }
      absent.add(key)
      return { how: 'absent' }
    },
    async announce(place, name, signal) {
      if (absent.has(keyAt(place, name))) return undefined
      const found = await ask(place, (_order, client, repository) => client.getBlob(repository, name, {}, signal), name)
      found?.stream.on('error', () => {}).destroy()
      return found && { sizeBytes: found.sizeBytes }
    },
    async rest() {
      await Promise.all([...running.values()].map(({ ended }) => ended))
    },
  }
}

type ClientOf = Awaited<ReturnType<ImageUpstreams['of']>>[number]['client']

const imageKey = ({ repository, image }: Place): string => `${repository.id}/${image}`
/** A change of the repository makes new keys. */
const keyAt = (place: Place, name: ContentName): string => `${imageKey(place)}:${place.repository.modifiedAt}@${name}`

function checked({ stream, sizeBytes }: FetchedBlob, name: ContentName, { repository }: Place): FetchedBlob {
  const failed = (why: unknown) => upstreamFailed(`of repository [${repository.project}/${repository.name}]`, why)
  return { sizeBytes, stream: verifiedStream(stream, { sizeBytes, digest: digestNamed(name) }, failed) }
}
