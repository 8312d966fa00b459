import type { Clock } from '../core/clock.ts'
import { AppError, isRetryable, messageOf } from '../core/errors.ts'
import type { MetadataDatabase } from '../metadata/database.ts'
import { type ClusterHealth, updateCluster } from '../metadata/replication/clusters.ts'
import type { ClusterTarget } from './cluster.ts'
import type { ClusterGreeting, ClusterProbe, RegistryProbe } from './cluster-probe.ts'

/** replication.md 1.5: before storing, 2 retries 1 s apart. */
const RETRIES = 2
const RETRY_DELAY_MS = 1_000

/** Tries connections to clusters. All failures are AppError CLUSTER_CONNECT_ERROR, CLUSTER_SSL_ERROR or CLUSTER_VERSION_UNSUPPORTED. */
export interface ClusterConnections {
  /** Tries again when the failure may pass. */
  connect(target: ClusterTarget, signal: AbortSignal): Promise<ClusterGreeting>
  /** Tries once and keeps what came of it as the cluster's health, also when `open` cannot say how to connect. */
  check(clusterId: string, open: () => ClusterTarget, signal: AbortSignal): Promise<ClusterGreeting>
  /** As `check`, of a registry, which does not say who it is. */
  checkRegistry(clusterId: string, open: () => ClusterTarget, signal: AbortSignal): Promise<void>
}

export interface ClusterConnectionsDependencies {
  readonly db: MetadataDatabase
  readonly clock: Clock
  readonly probe: ClusterProbe
  readonly probeRegistry: RegistryProbe
}

export function createClusterConnections(deps: ClusterConnectionsDependencies): ClusterConnections {
  const { db, clock, probe, probeRegistry } = deps
  async function greet(target: ClusterTarget, signal: AbortSignal): Promise<ClusterGreeting> {
    const { url, username, password, keys, certificate, way } = target
    try {
      return await probe.probe(
        { url, username, password, certificate, ...(keys && { keys }), ...(way && { way }) },
        signal,
      )
    } catch (error) {
      signal.throwIfAborted()
      throw asConnectError(target.name, error)
    }
  }
  /** What is found becomes the cluster's health. */
  async function keeping<T>(
    clusterId: string,
    ask: () => Promise<{ readonly found: T; readonly peer: Pick<ClusterHealth, 'peer_id'> }>,
    signal: AbortSignal,
  ): Promise<T> {
    const keep = (health: ClusterHealth) =>
      db.transact((trx) => updateCluster(trx, clusterId, { ...health, checked_at: clock.now() }))
    try {
      const { found, peer } = await ask()
      await keep({ status: 'HEALTHY', error_reason: null, ...peer })
      return found
    } catch (error) {
      signal.throwIfAborted()
      await keep({ status: 'UNHEALTHY', error_reason: messageOf(error) })
      throw error
    }
  }
  return {
    async connect(target, signal) {
      for (let retry = 0; ; retry++) {
        try {
          return await greet(target, signal)
        } catch (error) {
          if (retry === RETRIES || !isRetryable(error)) throw error
        }
        await clock.sleep(RETRY_DELAY_MS, signal)
      }
    },
    check: (clusterId, open, signal) =>
      keeping(
        clusterId,
        async () => {
          const greeting = await greet(open(), signal)
          return { found: greeting, peer: { peer_id: greeting.clusterId } }
        },
        signal,
      ),
    checkRegistry: (clusterId, open, signal) =>
      keeping(
        clusterId,
        async () => {
          const target = open()
          await probeRegistry(target, signal).catch((error: unknown) => {
            signal.throwIfAborted()
            throw asConnectError(target.name, error)
          })
          return { found: undefined, peer: {} }
        },
        signal,
      ),
  }
}

/** A refusal of our credentials over there must not look like one of the caller's here: it is a connection that failed. */
function asConnectError(name: string, error: unknown): unknown {
  if (!(error instanceof AppError)) return error
  if (error.code === 'CLUSTER_SSL_ERROR' || error.code === 'CLUSTER_VERSION_UNSUPPORTED') return error
  return new AppError(
    'CLUSTER_CONNECT_ERROR',
    `remote cluster [${name}] connect error: ${error.message}`,
    { cluster: name },
    { cause: error, retryable: error.retryable },
  )
}
