import { hash } from 'node:crypto'
import type { ImageUpstream, ImageUpstreams } from '../../artifacts/images/image-upstreams.ts'
import { createRecentKeys } from '../../artifacts/proxies/recent-keys.ts'
import { cacheRuleOf, hasChannel } from '../../artifacts/proxies/upstream-channel.ts'
import type { Clock } from '../../core/clock.ts'
import type { ContentName } from '../../core/content-name.ts'
import { hasCode, messageOf } from '../../core/errors.ts'
import { unlessAborted } from '../../core/unless-aborted.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { findRepositoryById } from '../../metadata/repositories/repositories.ts'
import { findProxyFile, renewProxyFile, saveProxyFile } from '../../metadata/storage/proxy-files.ts'
import type { FetchedManifest } from '../../remotes/oci/registry-manifests.ts'
import { manifestPath, type Reference } from './coordinates.ts'
import { type Manifest, parseManifest } from './manifest.ts'
import { type ManifestCompletion, SYSTEM } from './manifest-completion.ts'
import { FETCHED, type PublicationDeps, publishManifest } from './manifest-publication.ts'
import type { Place, StoredManifest } from './manifest-store.ts'
import { askUpstreams } from './upstream-questions.ts'

/** Where a manifest of a repository that fetches comes from. */
export type Brought =
  /** It is here: fresh enough · the upstream says it is the same · the upstream could not say · it came just now. */
  | { readonly how: 'hit' | 'renewed' | 'stale' | 'fetched' }
  /** It is not kept. */
  | { readonly how: 'passed'; readonly manifest: FetchedManifest }
  | { readonly how: 'absent' }

export interface FetchedManifests {
  /** Sees to it that the manifest is here, as fresh as its repository wants it. @throws AppError UPSTREAM_FAILED. */
  bring(place: Place, reference: Reference, signal: AbortSignal): Promise<Brought>
  rest(): Promise<void>
}

export interface FetchedManifestDeps extends PublicationDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly upstreams: Pick<ImageUpstreams, 'of'>
  readonly completion: ManifestCompletion
  /** How long an upstream's "I do not have it" counts, in ms. */
  readonly absentMs: number
  /** Of the process. */
  readonly signal: AbortSignal
  warn(message: string, about: Readonly<Record<string, unknown>>): void
}

/** With something older at hand nobody waits longer for an upstream to answer. */
const PATIENCE_MS = 2_000
const RECENT_KEYS = 10_000
/** A registry that says for longer that it wants no questions is asked again after this. */
const MOST_QUIET_MS = 600_000
/** Our last question was the last that it allowed for some time, which it does not say the end of. */
const SPENT_MS = 60_000

export function createFetchedManifests(deps: FetchedManifestDeps): FetchedManifests {
  const { db, clock, manifests, upstreams, completion } = deps
  const running = new Map<string, Promise<Brought>>()
  const absent = createRecentKeys(clock, deps.absentMs, RECENT_KEYS)
  /** Not to be asked about again for a moment: it failed, or has it no more. */
  const quiet = createRecentKeys(clock, deps.absentMs, RECENT_KEYS)
  /** By registry: it has had enough of our questions until then. */
  const tired = new Map<string, number>()

  async function ask<T>(
    place: Place,
    question: (upstream: ImageUpstream, repository: string) => Promise<T | undefined>,
  ) {
    const all = await upstreams.of(place.repository)
    return askUpstreams(all, async (upstream) => {
      try {
        const answer = await question(upstream, upstream.client.repositoryOf(place.image))
        if (upstream.client.rateLimit()?.remaining === 0) rest(upstream, SPENT_MS)
        return answer === undefined ? undefined : { answer, upstream }
      } catch (error) {
        const askedMs = hasCode(error, 'UPSTREAM_FAILED') ? error.detail.retryAfterMs : undefined
        if (typeof askedMs === 'number') rest(upstream, Math.min(askedMs, MOST_QUIET_MS))
        throw error
      }
    })
  }
  function rest({ client }: ImageUpstream, forMs: number): void {
    tired.set(client.url, clock.now() + forMs)
  }
  /** Whether its registries would rather not be asked about what is here. */
  async function isTired({ repository }: Place): Promise<boolean> {
    const all = await upstreams.of(repository)
    return all.every(({ client }) => clock.now() < (tired.get(client.url) ?? 0))
  }

  async function fetch(place: Place, reference: Reference): Promise<Brought> {
    const found = await ask(place, ({ client }, repository) =>
      client.getManifest(repository, textOf(reference), deps.signal),
    )
    if (found === undefined) return { how: 'absent' }
    const { answer, upstream } = found
    let manifest: Manifest
    try {
      manifest = parseManifest(answer.bytes, undefined)
    } catch (error) {
      if (!hasCode(error, 'REQUEST_CONTENT_INVALID')) throw error
      return { how: 'passed', manifest: answer }
    }
    const { repository, image } = place
    const today = await findRepositoryById(db.read, repository.id)
    if (today === undefined || !hasChannel(today, upstream.channel)) return { how: 'passed', manifest: answer }
    const version = textOf(reference)
    const publication = { version, name: nameOf(reference, answer), manifest, bytes: answer.bytes }
    const more = { by: SYSTEM, metadata: [FETCHED], absent: 'left out' } as const
    const { lacking } = await publishManifest(deps, place, publication, more, deps.signal)
    completion.note(place, version, lacking)
    // An index that names it claims it, too.
    if (reference.kind === 'digest') completion.arrived(place, reference.name, 0)
    const path = manifestPath(image, version, manifest.kind)
    const now = clock.now()
    const stored = await manifests.find(place, reference)
    const { name: channel, url } = upstream.channel
    if (stored !== undefined) {
      const origin = { channel, url, digest: stored.node.digest, etag: undefined, lastModified: undefined }
      await db.transact((trx) => saveProxyFile(trx, repository.id, path, { ...origin, fetchedAt: now, checkedAt: now }))
    }
    return { how: 'fetched' }
  }

  async function bringOrRenew(
    place: Place,
    reference: Reference,
    stored: StoredManifest | undefined,
  ): Promise<Brought> {
    // It may have come between the caller's look and this one.
    if (stored === undefined && (await manifests.find(place, reference)) !== undefined) return { how: 'hit' }
    if (stored !== undefined) {
      const found = await ask(place, ({ client }, repository) =>
        client.headManifest(repository, textOf(reference), deps.signal),
      )
      if (found === undefined) return { how: 'absent' }
      const { digest, path } = stored.node
      if (found.answer.digest === (digest as string)) {
        const now = clock.now()
        const { name: channel, url } = found.upstream.channel
        const origin = {
          channel,
          url,
          digest,
          etag: undefined,
          lastModified: undefined,
          fetchedAt: now,
          checkedAt: now,
        }
        await db.transact(async (trx) => {
          const { id } = place.repository
          if ((await findProxyFile(trx, id, path)) === undefined) await saveProxyFile(trx, id, path, origin)
          await renewProxyFile(trx, id, path, digest, now)
        })
        return { how: 'renewed' }
      }
    }
    return fetch(place, reference)
  }

  /** Everybody who asks for the same gets the same. Lives on without those who asked. */
  function once(place: Place, reference: Reference, stored: StoredManifest | undefined): Promise<Brought> {
    const key = keyAt(place, reference)
    const known = running.get(key)
    if (known !== undefined) return known
    const found = bringOrRenew(place, reference, stored)
      .then((brought) => {
        if (brought.how === 'absent') (stored === undefined ? absent : quiet).add(key)
        return brought
      })
      .catch((error: unknown) => {
        if (stored !== undefined) quiet.add(key)
        const { project, name: repo } = place.repository
        const about = { project, repo, image: place.image, reference: textOf(reference), reason: messageOf(error) }
        if (!deps.signal.aborted) deps.warn('a manifest could not be fetched', about)
        throw error
      })
      .finally(() => running.delete(key))
    running.set(key, found)
    found.catch(() => {})
    return found
  }

  /** What is here has to be asked about: the upstream's word counts, unless it gives none in time. */
  async function renew(place: Place, reference: Reference, stored: StoredManifest, signal: AbortSignal) {
    const stale: Brought = { how: 'stale' }
    if (quiet.has(keyAt(place, reference)) || (await isTired(place))) return stale
    const waited = new AbortController()
    const patience = clock.sleep(PATIENCE_MS, AbortSignal.any([waited.signal, signal])).then(
      () => undefined,
      () => undefined,
    )
    try {
      const found = await Promise.race([once(place, reference, stored), patience])
      signal.throwIfAborted()
      return found === undefined || found.how === 'absent' || found.how === 'passed' ? stale : found
    } catch (error) {
      if (!hasCode(error, 'UPSTREAM_FAILED')) throw error
      return stale
    } finally {
      waited.abort()
    }
  }

  return {
    async bring(place, reference, signal) {
      const { keeps, freshMs } = cacheRuleOf(place.repository)
      const key = keyAt(place, reference)
      if (keeps === 'never') {
        if (absent.has(key)) return { how: 'absent' }
        const found = await ask(place, ({ client }, repository) =>
          client.getManifest(repository, textOf(reference), signal),
        )
        if (found !== undefined) return { how: 'passed', manifest: found.answer }
        absent.add(key)
        return { how: 'absent' }
      }
      const stored = await manifests.find(place, reference)
      if (stored === undefined) {
        if (absent.has(key)) return { how: 'absent' }
        return unlessAborted(once(place, reference, undefined), signal)
      }
      completion.served(place, stored)
      if (reference.kind === 'digest' || freshMs === undefined) return { how: 'hit' }
      const row = await findProxyFile(db.read, place.repository.id, stored.node.path)
      const isFresh = row?.digest === stored.node.digest && clock.now() - row.checkedAt < freshMs
      return isFresh ? { how: 'hit' } : renew(place, reference, stored, signal)
    },
    async rest() {
      while (running.size > 0) await Promise.allSettled(running.values())
    },
  }
}

const textOf = (reference: Reference): string => (reference.kind === 'tag' ? reference.tag : reference.name)

/** A change of the repository makes new keys. */
const keyAt = ({ repository, image }: Place, reference: Reference): string =>
  `${repository.id}:${repository.modifiedAt}:${image}@${textOf(reference)}`

const nameOf = (reference: Reference, { bytes }: FetchedManifest): ContentName =>
  reference.kind === 'digest' ? reference.name : (`sha256:${hash('sha256', bytes)}` as ContentName)
