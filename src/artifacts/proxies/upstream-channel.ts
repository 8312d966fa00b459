import type { Reader } from '../../metadata/database.ts'
import type { Repository } from '../../metadata/repositories/repositories.ts'
import type { Upstream } from '../../remotes/upstream/upstream-client.ts'
import { proxyChannels, remoteConfiguration } from '../repositories/repository-configuration.ts'
import { channelSlot } from './composite-configuration.ts'
import { CREDENTIALS_SLOT, PROXY_SLOT, STANDARD_TIMEOUT_MS } from './remote-configuration.ts'
import type { RepositoryPasswords } from './repository-passwords.ts'

/** One place that a repository fetches from. */
export interface UpstreamChannel extends Upstream {
  /** Unique in its repository. */
  readonly name: string
}

/** How long what was fetched counts as what the upstream has. */
export interface CacheRule {
  /** `never`: nothing is kept at all. */
  readonly keeps: 'always' | 'never'
  /** Undefined: for ever. */
  readonly freshMs: number | undefined
}

const MINUTE_MS = 60_000
const REMOTE_CHANNEL = 'remote'

/** Its content is looked for somewhere else, too. */
export const hasUpstream = ({ category, configuration }: Repository): boolean =>
  category === 'REMOTE' || (category === 'COMPOSITE' && proxyChannels(configuration).length > 0)

/** Their content is fetched by what it is, never by the path of a file. */
const FETCHED_BY_NAME: ReadonlySet<string> = new Set(['DOCKER', 'OCI'])

/** Files are looked for somewhere else, too. */
export const fetches = (repository: Repository): boolean =>
  hasUpstream(repository) && !FETCHED_BY_NAME.has(repository.type)

export function cacheRuleOf({ category, configuration }: Repository): CacheRule {
  // A channel adds to the repository: what came from it is as good as what was uploaded.
  if (category !== 'REMOTE') return { keeps: 'always', freshMs: undefined }
  const { enabled, expiration } = remoteConfiguration(configuration).cache
  return { keeps: enabled ? 'always' : 'never', freshMs: expiration > 0 ? expiration * MINUTE_MS : undefined }
}

/** In the order in which they are asked, with passwords in clear: not to be kept, logged or answered. */
export async function channelsOf(
  reader: Reader,
  passwords: Pick<RepositoryPasswords, 'read'>,
  repository: Repository,
): Promise<UpstreamChannel[]> {
  const bySlot = await passwords.read(reader, repository.id)
  if (repository.category !== 'REMOTE') {
    return proxyChannels(repository.configuration).map(({ name, url, username }) => ({
      name,
      url,
      username: username ?? undefined,
      password: bySlot.get(channelSlot(name)),
      connectTimeoutMs: STANDARD_TIMEOUT_MS,
      readTimeoutMs: STANDARD_TIMEOUT_MS,
    }))
  }
  const { url, credentials, network } = remoteConfiguration(repository.configuration)
  const { proxy } = network
  return [
    {
      name: REMOTE_CHANNEL,
      url,
      username: credentials.username ?? undefined,
      password: bySlot.get(CREDENTIALS_SLOT),
      proxy: proxy === null ? undefined : forwardProxy(proxy, bySlot.get(PROXY_SLOT)),
      connectTimeoutMs: network.connectTimeout,
      readTimeoutMs: network.readTimeout,
    },
  ]
}

const forwardProxy = (
  { host, port, username }: { readonly host: string; readonly port: number; readonly username: string | null },
  password: string | undefined,
) => ({ host, port, username: username ?? undefined, password })

/** Still asked for the same name at the same address: what comes from there may be stored. */
export function hasChannel(repository: Repository, { name, url }: UpstreamChannel): boolean {
  if (repository.category === 'REMOTE') return remoteConfiguration(repository.configuration).url === url
  return proxyChannels(repository.configuration).some((channel) => channel.name === name && channel.url === url)
}
