import type { Clock } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import type { Random } from '../../core/ids.ts'
import type { MetadataDatabase } from '../../metadata/database.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import { parseRegistryAddress, registryUrl } from '../../remotes/oci/registry-address.ts'
import { createRegistryClient, type RegistryClient } from '../../remotes/oci/registry-client.ts'
import type { OutgoingRules } from '../../remotes/outgoing-url.ts'
import type { RepositoryPasswords } from '../proxies/repository-passwords.ts'
import { upstreamFailed } from '../proxies/upstream-answer.ts'
import { channelsOf, type UpstreamChannel } from '../proxies/upstream-channel.ts'

/** A registry that a repository fetches from. */
export interface ImageUpstream {
  readonly channel: UpstreamChannel
  /** Its pool of connections and tokens serve all requests for this channel. */
  readonly client: RegistryClient
}

export interface ImageUpstreams extends Disposable {
  /** In the order in which they are asked. @throws AppError UPSTREAM_FAILED for an address that is no registry's. */
  of(repository: Repository): Promise<ImageUpstream[]>
}

interface ImageUpstreamDeps {
  readonly db: Pick<MetadataDatabase, 'read'>
  readonly clock: Clock
  readonly random: Random
  readonly rules: OutgoingRules
  readonly passwords: Pick<RepositoryPasswords, 'read'>
  /** This server in `Via`. */
  readonly name: string
  /** At a time, to one registry. */
  readonly connections: number
}

/** A client waits for us: who is told to come later is told so soon. */
const PATIENCE = { attempts: 2, longestPauseMs: 5_000 }
/** Of repositories; the one that was used longest ago is made anew when it is wanted. */
const MOST_KEPT = 500

interface Kept {
  /** A change of the repository makes them anew. */
  readonly modifiedAt: number
  readonly upstreams: readonly ImageUpstream[]
}

export function createImageUpstreams(deps: ImageUpstreamDeps): ImageUpstreams {
  const { db, clock, random, rules, passwords, connections } = deps
  const kept = new Map<number, Kept>()

  function connect(channel: UpstreamChannel): ImageUpstream {
    const { username, password, proxy, connectTimeoutMs, readTimeoutMs } = channel
    const registry = { url: urlOf(channel), username, password, proxy, headers: { via: `1.1 ${deps.name}` } }
    const limits = { connections, connectTimeoutMs, silenceMs: readTimeoutMs }
    return { channel, client: createRegistryClient(registry, { clock, random, rules, limits, patience: PATIENCE }) }
  }
  function urlOf({ url }: UpstreamChannel): string {
    try {
      const address = parseRegistryAddress('url', url, rules)
      return registryUrl(address, address.scheme ?? 'https')
    } catch (error) {
      throw upstreamFailed(url, messageOf(error))
    }
  }
  function forget(repoId: number): void {
    for (const { client } of kept.get(repoId)?.upstreams ?? []) client[Symbol.dispose]()
    kept.delete(repoId)
  }

  return {
    async of(repository) {
      const { id, modifiedAt } = repository
      const known = kept.get(id)
      if (known?.modifiedAt === modifiedAt) {
        kept.delete(id)
        kept.set(id, known)
        return [...known.upstreams]
      }
      const channels = await channelsOf(db.read, passwords, repository)
      const raced = kept.get(id)
      if (raced?.modifiedAt === modifiedAt) return [...raced.upstreams]
      forget(id)
      const upstreams = channels.map(connect)
      kept.set(id, { modifiedAt, upstreams })
      const [oldest] = kept.keys()
      if (kept.size > MOST_KEPT && oldest !== undefined) forget(oldest)
      return [...upstreams]
    },
    [Symbol.dispose]() {
      for (const repoId of [...kept.keys()]) forget(repoId)
    },
  }
}
