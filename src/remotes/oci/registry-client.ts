import type { Random } from '../../core/ids.ts'
import { SERVER_HEADER } from '../../core/server-mark.ts'
import { asFailure, collect } from '../transport/http-client.ts'
import { createBlobUploads } from './blob-uploads.ts'
import { repositoryAt } from './registry-address.ts'
import { createRegistryBlobs, type RegistryBlobs } from './registry-blobs.ts'
import {
  type ConnectionDeps,
  type ConnectionLimits,
  createRegistryConnection,
  type Registry,
} from './registry-connection.ts'
import type { RateLimit } from './registry-failure.ts'
import { createRegistryListings, type RegistryListings } from './registry-listings.ts'
import { createRegistryManifests, type RegistryManifests } from './registry-manifests.ts'
import { createRegistryPushes, type PushLimits, type RegistryPushes } from './registry-pushes.ts'
import { createRegistrySession, type Patience } from './registry-session.ts'

/**
 * A registry of somebody else, by the OCI distribution specification 1.1. One client has one pool of connections and one set of tokens:
 * keep it as long as its registry is used, and dispose it then.
 *
 * Failures are AppError UPSTREAM_FAILED whose `detail` is a `RegistryFailureDetail`, DIGEST_MISMATCH, or PARAMETER_INVALID for a name that no
 * repository has; `retryable` says whether the same may work later. What may pass at once (429, 5xx, a broken connection) was tried again.
 */
export interface RegistryClient extends RegistryManifests, RegistryBlobs, RegistryPushes, RegistryListings, Disposable {
  /** Scheme, host, port and prefix. */
  readonly url: string
  /** The name that an image has there: with the prefix of the URL before it. @throws AppError PARAMETER_INVALID. */
  repositoryOf(image: string): string
  /** That it is a registry, and takes the login. `server`: which of our kind (`core/server-mark.ts`). */
  check(signal: AbortSignal): Promise<{ readonly server: string | undefined }>
  /** What it last said of how often we may ask; undefined: nothing. */
  rateLimit(): RateLimit | undefined
}

export interface RegistryDeps extends ConnectionDeps {
  readonly random: Random
  readonly limits?: Partial<ConnectionLimits & PushLimits>
  readonly patience?: Patience
}

const MiB = 1024 * 1024
const LIMITS: ConnectionLimits & PushLimits = {
  connections: 32,
  connectTimeoutMs: 10_000,
  // Some copy a blob to where it belongs before they answer.
  silenceMs: 120_000,
  wholeBytes: 64 * MiB,
  partBytes: 64 * MiB,
}

export function createRegistryClient(registry: Registry, deps: RegistryDeps): RegistryClient {
  const { clock, random, rules, patience } = deps
  const limits = { ...LIMITS, ...deps.limits }
  const connection = createRegistryConnection(registry, limits, deps)
  const session = createRegistrySession(registry, {
    ...{ clock, random, rules, connection },
    ...(patience === undefined ? {} : { patience }),
  })
  const manifests = createRegistryManifests(session)
  const blobs = createRegistryBlobs(session)
  return {
    ...manifests,
    ...blobs,
    ...createRegistryPushes({ session, uploads: createBlobUploads({ session, rules }), blobs, limits }),
    ...createRegistryListings({ session, manifests, rules }),
    url: registry.url,
    repositoryOf: (image) => repositoryAt(registry.url, image),
    async check(signal) {
      const call = { method: 'GET', to: '/v2/', what: 'GET of /v2/', scopes: [], accepts: [200] } as const
      const server = (await session.send(call, signal)).headers[SERVER_HEADER]
      return { server: typeof server === 'string' ? server : undefined }
    },
    rateLimit: session.rateLimit,
    [Symbol.dispose]: () => session[Symbol.dispose](),
  }
}

/** For `resolveRegistry`: whether anything answers HTTP at an address, with the registry's own trust anchor. */
export function knocking({ certificate, proxy }: Omit<Registry, 'url'>, deps: ConnectionDeps) {
  return async (origin: URL, signal: AbortSignal): Promise<void> => {
    using connection = createRegistryConnection({ url: origin.href, certificate, proxy }, LIMITS, deps)
    const answer = await connection.ask(new URL('/v2/', origin), { method: 'GET', headers: {} }, signal)
    try {
      await collect(answer, MiB)
    } catch (error) {
      throw asFailure(error, origin.host)
    }
  }
}
