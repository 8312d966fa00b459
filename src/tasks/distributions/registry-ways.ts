import { createHash } from 'node:crypto'
import { isSameRegistry, type Registries, type RegistryChange } from '../../clusters/registries.ts'
import type { ClusterRow } from '../../metadata/replication/clusters.ts'
import type { GivenRegistry } from './given-target.ts'

/** How registries of one package type are found (`formats/foreign.ts`). */
export interface RegistryWays {
  /** @throws AppError PARAMETER_INVALID, CLUSTER_CONNECT_ERROR, CLUSTER_SSL_ERROR. */
  reach(given: Omit<GivenRegistry, 'kind' | 'ping'>, signal: AbortSignal): Promise<ReachedAddress>
  /** Where it would be, without connecting. @throws AppError PARAMETER_INVALID. */
  assumedUrl(address: string, signal: AbortSignal): Promise<string>
}

/** An address that answered, and took the login. */
export interface ReachedAddress {
  readonly url: string
  /** Which of our kind it is (`core/server-mark.ts`); undefined: another kind. */
  readonly server: string | undefined
}

/** What is stored of a registry. */
export interface ReachedRegistry extends RegistryChange {
  /** Undefined also when nobody asked. */
  readonly server: string | undefined
}

/**
 * Connects, unless it is told not to. A stored password is sent only where it was meant for.
 * @param known what is stored under that name. @throws as `RegistryWays`.
 */
export async function reachRegistry(
  ways: RegistryWays,
  { address, username, certificate, ping, password: given }: Omit<GivenRegistry, 'kind'>,
  known: ClusterRow | undefined,
  registries: Pick<Registries, 'passwordOf'>,
  signal: AbortSignal,
): Promise<ReachedRegistry> {
  const assumed = await ways.assumedUrl(address, signal)
  const isSame = known !== undefined && isSameRegistry(known.url, assumed)
  const isKnown = isSame && known.username === (username ?? null)
  const password = given ?? (isKnown ? registries.passwordOf(known) : undefined)
  const login = { username, password, certificate }
  if (ping) return { ...(await ways.reach({ address, ...login }, signal)), ...login, isReached: true }
  // An address without a scheme got one when it was stored.
  const url = isSame && !address.includes('://') ? known.url : assumed
  return { url, ...login, isReached: false, server: undefined }
}

/** Of a registry that has no node yet. */
export const idToCome = (taskName: string): string => createHash('sha256').update(taskName).digest('hex').slice(0, 24)
