import type { Clock } from '../core/clock.ts'
import { AppError, type ErrorCode, messageOf } from '../core/errors.ts'
import { createClusterClient } from '../remotes/cluster/cluster-client.ts'
import { LinkDown, NotOurProtocol, RemoteRefusal } from '../remotes/transport/failures.ts'
import type { ClusterProbe } from './cluster-probe.ts'

const TIMEOUT_MS = 10_000

/** Greets clusters by `GET /sync/v1/hello`. */
export const createSyncProbe = (clock: Clock): ClusterProbe => ({
  async probe(target, signal) {
    using client = createClusterClient(target, clock)
    try {
      const { clusterId, name } = await client.hello(AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]))
      return { clusterId, name }
    } catch (error) {
      signal.throwIfAborted()
      throw asProbeError(error)
    }
  },
})

function asProbeError(error: unknown): Error {
  const retryable = error instanceof LinkDown || (error instanceof RemoteRefusal && error.retryable)
  return new AppError(codeOf(error), messageOf(error), {}, { cause: error, retryable })
}

function codeOf(error: unknown): ErrorCode {
  if (error instanceof NotOurProtocol) return error.tls ? 'CLUSTER_SSL_ERROR' : 'CLUSTER_VERSION_UNSUPPORTED'
  if (error instanceof RemoteRefusal && error.status === 401) return 'UNAUTHENTICATED'
  if (error instanceof RemoteRefusal && error.status === 403) return 'PERMISSION_DENIED'
  return 'CLUSTER_CONNECT_ERROR'
}
