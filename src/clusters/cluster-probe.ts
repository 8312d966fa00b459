import type { KeyPair } from '../remotes/transport/credentials.ts'
import type { OpenWay } from '../remotes/transport/http-client.ts'

/** How to reach a cluster and be known there. */
export interface ProbeTarget {
  readonly url: string
  readonly username: string | undefined
  readonly password: string | undefined
  /** In place of a password. */
  readonly keys?: KeyPair | undefined
  /** PEM trust anchor for this cluster alone. */
  readonly certificate: string | undefined
  /** Connections that the cluster opened, in place of its address. */
  readonly way?: OpenWay | undefined
}

/** Who answered. */
export interface ClusterGreeting {
  /** Identity that the cluster gave itself on its first start; equal to ours: we are talking to ourselves. */
  readonly clusterId: string
  readonly name: string
}

/** Port to other clusters. An adapter limits each call in time by itself. */
export interface ClusterProbe {
  /**
   * Greets the cluster with these credentials.
   * @throws AppError CLUSTER_CONNECT_ERROR (retryable when it may pass), CLUSTER_SSL_ERROR, CLUSTER_VERSION_UNSUPPORTED,
   * UNAUTHENTICATED, PERMISSION_DENIED. Messages hold no secret.
   */
  probe(target: ProbeTarget, signal: AbortSignal): Promise<ClusterGreeting>
}

/**
 * Asks a registry of somebody else whether it is there and takes the login.
 * @throws AppError, retryable when it may pass. Messages hold no secret.
 */
export type RegistryProbe = (target: ProbeTarget, signal: AbortSignal) => Promise<void>
