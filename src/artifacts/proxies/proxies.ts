import type { Readable } from 'node:stream'
import type { Clock } from '../../core/clock.ts'
import { type AppError, hasCode, messageOf } from '../../core/errors.ts'
import type { NodePath } from '../../core/paths.ts'
import { unlessAborted } from '../../core/unless-aborted.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import { findNode, type NodeRecord } from '../../metadata/nodes/nodes.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { findProxyFile, type ProxyFile, renewProxyFile, sweepProxies } from '../../metadata/storage/proxy-files.ts'
import { nodeNotFound } from '../nodes/nodes.ts'
import type { Arrival } from './arrival.ts'
import { createRecentKeys } from './recent-keys.ts'
import type { RepositoryPasswords } from './repository-passwords.ts'
import { type UpstreamFile, upstreamFailed } from './upstream-answer.ts'
import { cacheRuleOf, channelsOf, type UpstreamChannel } from './upstream-channel.ts'
import type { Fetched, FetchOrder, UpstreamFetch } from './upstream-fetch.ts'
import type { UpstreamLanes } from './upstream-lanes.ts'
import { verifiedStream } from './verified-stream.ts'

/** Where a file comes from. */
export type Supply =
  /** `kept`: no upstream has a say · `hit`: fresh enough · `renewed`: the upstream says it is the same · `stale`: it could not say. */
  | { readonly kind: 'stored'; readonly file: NodeRecord; readonly how: 'kept' | 'hit' | 'renewed' | 'stale' }
  /** On its way here. */
  | { readonly kind: 'arriving'; readonly arrival: Arrival }
  /** On its way through: it is not kept. The body breaks when it is not what was announced. */
  | { readonly kind: 'passing'; readonly file: UpstreamFile; readonly body: Readable }

/** What REMOTE and COMPOSITE repositories have beyond what is stored (docs/design/proxies.md). */
export interface Proxies {
  /**
   * The file at a path of a repository that fetches. Equal questions at once become one download, which goes on when those who
   * asked go away. @param stored what is there now, undefined: nothing. @param via request header `Via`.
   * @throws AppError NODE_NOT_FOUND; UPSTREAM_FAILED when it cannot be had and nothing is stored.
   */
  supply(
    repository: Repository,
    path: NodePath,
    stored: NodeRecord | undefined,
    via: string | undefined,
    signal: AbortSignal,
  ): Promise<Supply>
  /** What an upstream says about a file that is not stored. @throws AppError as `supply`. */
  announce(repository: Repository, path: NodePath, via: string | undefined, signal: AbortSignal): Promise<UpstreamFile>
  /** Until the signal; then cuts the downloads and resolves when they have ended. */
  run(signal: AbortSignal): Promise<void>
  /** Forgets what belongs to files and repositories that are gone. */
  sweep(signal: AbortSignal): Promise<void>
}

interface ProxiesDeps {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly passwords: Pick<RepositoryPasswords, 'read'>
  readonly upstream: UpstreamFetch
  readonly lanes: UpstreamLanes
  /** This server in `Via`: unique among all. */
  readonly name: string
  /** How long an upstream's "I do not have it" counts, in ms. */
  readonly absentMs: number
  readonly warn: (message: string, about: Readonly<Record<string, unknown>>) => void
}

/** With something older at hand nobody waits longer for an upstream to answer. */
const PATIENCE_MS = 2_000
const RECENT_KEYS = 10_000
const SWEPT_AT_ONCE = 1_000

const placeOf = ({ project, name }: Repository): string => `of repository [${project}/${name}]`

type Found = Fetched | { readonly kind: 'stored'; readonly file: NodeRecord }

export function createProxies(deps: ProxiesDeps): Proxies {
  const { db, clock, passwords, upstream, lanes, name, absentMs, warn } = deps
  const stop = new AbortController()
  const running = new Map<string, { readonly found: Promise<Found>; readonly ended: Promise<unknown> }>()
  const absent = createRecentKeys(clock, absentMs, RECENT_KEYS)
  /** Not to be asked about again for a moment: it failed, or has it no more. */
  const quiet = createRecentKeys(clock, absentMs, RECENT_KEYS)

  /** A change of the repository makes new keys. */
  const keyOf = ({ id, modifiedAt }: Repository, path: NodePath) => `${id}:${modifiedAt}:${path}`

  function viaOf(incoming: string | undefined): string {
    if (incoming?.split(',').some((hop) => hop.trim().endsWith(` ${name}`)))
      throw upstreamFailed('itself', 'the way to the file leads back to this server')
    return incoming === undefined ? `1.1 ${name}` : `${incoming}, 1.1 ${name}`
  }

  /** One channel after the other; one that fails does not keep the others from being asked. */
  async function askChannels<T>(
    channels: readonly UpstreamChannel[],
    ask: (channel: UpstreamChannel) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    let failure: AppError | undefined
    for (const channel of channels) {
      try {
        const answer = await ask(channel)
        if (answer !== undefined) return answer
      } catch (error) {
        if (!hasCode(error, 'UPSTREAM_FAILED')) throw error
        failure ??= error
      }
    }
    if (failure !== undefined) throw failure
    return undefined
  }

  async function fetchFrom(
    channel: UpstreamChannel,
    order: Omit<FetchOrder, 'channel' | 'known'>,
    known: ProxyFile | undefined,
  ): Promise<Fetched | undefined> {
    // Validators of another server mean nothing to this one.
    const same = known?.channel === channel.name && known.url === channel.url ? known : undefined
    const fetched = await lanes.enter(
      channel.url,
      () => upstream.fetch({ ...order, channel, known: same }, stop.signal),
      async (begun) => (begun.kind === 'arriving' ? begun.arrival.stored : undefined),
    )
    return fetched.kind === 'absent' ? undefined : fetched
  }

  async function find(
    repository: Repository,
    path: NodePath,
    stored: NodeRecord | undefined,
    known: ProxyFile | undefined,
    via: string,
  ): Promise<Found> {
    // It may have come between the caller's look and this one.
    const now = await findNode(db.read, repository.id, path, clock.now())
    if (now !== undefined && !now.folder && now.id !== stored?.id) return { kind: 'stored', file: now }
    const channels = await channelsOf(db.read, passwords, repository)
    const key = keyOf(repository, path)
    try {
      const fetched = await askChannels(channels, (channel) => fetchFrom(channel, { repository, path, via }, known))
      if (fetched === undefined) {
        ;(stored === undefined ? absent : quiet).add(key)
        return { kind: 'absent' }
      }
      if (fetched.kind === 'unchanged' && known !== undefined) {
        await db.transact((trx) => renewProxyFile(trx, repository.id, path, known.digest, clock.now()))
      }
      return fetched
    } catch (error) {
      if (stored !== undefined) quiet.add(key)
      throw error
    }
  }

  /** Everybody who asks for the same gets the same. Lives on without those who asked. */
  function findOnce(...order: Parameters<typeof find>): Promise<Found> {
    const [repository, path] = order
    const key = `${repository.id}:${path}`
    const known = running.get(key)
    if (known !== undefined) return known.found
    stop.signal.throwIfAborted()
    const found = find(...order)
    const ended = found
      .then((begun) => (begun.kind === 'arriving' ? begun.arrival.stored : undefined))
      .catch((error) => noteFailure(error, repository, path))
      .finally(() => running.delete(key))
    running.set(key, { found, ended })
    return found
  }

  function noteFailure(error: unknown, { project, name: repo }: Repository, path: NodePath): void {
    if (!stop.signal.aborted) warn('a file could not be fetched', { project, repo, path, reason: messageOf(error) })
  }

  /** What is stored has to be asked about: the upstream's word counts, unless it gives none in time. */
  async function renew(
    repository: Repository,
    path: NodePath,
    stored: NodeRecord,
    known: ProxyFile | undefined,
    via: string,
    signal: AbortSignal,
  ): Promise<Supply> {
    const stale = { kind: 'stored', file: stored, how: 'stale' } as const
    if (quiet.has(keyOf(repository, path))) return stale
    const waited = new AbortController()
    const patience = clock.sleep(PATIENCE_MS, AbortSignal.any([waited.signal, signal])).then(
      () => undefined,
      () => undefined,
    )
    try {
      const found = await Promise.race([findOnce(repository, path, stored, known, via), patience])
      signal.throwIfAborted()
      if (found === undefined || found.kind === 'absent') return stale
      if (found.kind === 'unchanged') return { ...stale, how: 'renewed' }
      return found.kind === 'stored' ? { ...found, how: 'hit' } : found
    } catch (error) {
      if (!hasCode(error, 'UPSTREAM_FAILED')) throw error
      return stale
    } finally {
      waited.abort()
    }
  }

  async function pass(
    repository: Repository,
    path: NodePath,
    via: string,
    method: 'GET' | 'HEAD',
    signal: AbortSignal,
  ) {
    const key = keyOf(repository, path)
    if (absent.has(key)) throw nodeNotFound(path)
    const both = AbortSignal.any([signal, stop.signal])
    const channels = await channelsOf(db.read, passwords, repository)
    const answer = await askChannels(channels, (channel) =>
      lanes.enter(
        channel.url,
        () => upstream.pass({ repository, channel, path, known: undefined, via }, method, both),
        (begun) =>
          new Promise<void>((resolve) => {
            if (begun === undefined || begun.body.closed) resolve()
            else begun.body.once('close', resolve)
          }),
      ),
    )
    if (answer !== undefined) return answer
    absent.add(key)
    throw nodeNotFound(path)
  }

  const proxies: Proxies = {
    async supply(repository, path, stored, incoming, signal) {
      const via = viaOf(incoming)
      const { keeps, freshMs } = cacheRuleOf(repository)
      if (keeps === 'never') {
        const { file, body } = await pass(repository, path, via, 'GET', signal)
        return {
          kind: 'passing',
          file,
          body: verifiedStream(body, file, (why) => upstreamFailed(placeOf(repository), why)),
        }
      }
      if (stored !== undefined) {
        if (freshMs === undefined) return { kind: 'stored', file: stored, how: 'hit' }
        const row = await findProxyFile(db.read, repository.id, path)
        const known = row?.digest === stored.digest ? row : undefined
        if (known !== undefined && clock.now() - known.checkedAt < freshMs)
          return { kind: 'stored', file: stored, how: 'hit' }
        return renew(repository, path, stored, known, via, signal)
      }
      if (absent.has(keyOf(repository, path))) throw nodeNotFound(path)
      const found = await unlessAborted(findOnce(repository, path, undefined, undefined, via), signal)
      if (found.kind === 'arriving') return found
      if (found.kind === 'stored') return { ...found, how: 'hit' }
      throw nodeNotFound(path)
    },

    async announce(repository, path, incoming, signal) {
      const via = viaOf(incoming)
      try {
        const { file, body } = await pass(repository, path, via, 'HEAD', signal)
        body.resume()
        return file
      } catch (error) {
        // Some servers answer GET only.
        if (!hasCode(error, 'UPSTREAM_FAILED') || cacheRuleOf(repository).keeps === 'never') throw error
        const supply = await proxies.supply(repository, path, undefined, incoming, signal)
        if (supply.kind === 'passing') throw error
        const file = supply.kind === 'stored' ? supply.file : await unlessAborted(supply.arrival.stored, signal)
        return { sizeBytes: file.sizeBytes, digest: file.digest, etag: undefined, lastModified: undefined }
      }
    },

    async run(signal) {
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      stop.abort(new Error('this server is stopping'))
      await Promise.all([...running.values()].map(({ ended }) => ended))
      upstream[Symbol.dispose]()
    },

    async sweep(signal) {
      while (!signal.aborted && (await db.transact((trx) => sweepProxies(trx, SWEPT_AT_ONCE))) === SWEPT_AT_ONCE);
    },
  }
  return proxies
}
