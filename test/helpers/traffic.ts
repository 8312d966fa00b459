import type { Api } from './api.ts'
import { parseSamples, sumOf } from './prometheus.ts'

/** What a server's own `/metrics` count since its start. */
export interface Traffic {
  /** Requests of other clusters (`/sync/…`) that it answered. */
  readonly syncRequests: number
  /** Bytes of all requests that it received, headers included. */
  readonly receivedBytes: number
  /** Bytes of blobs that it sent to other clusters. */
  readonly replicatedBytes: number
}

export async function trafficOf(api: Api, signal: AbortSignal): Promise<Traffic> {
  const samples = parseSamples(await api.metrics(signal))
  const all = () => true
  return {
    syncRequests: sumOf(samples, 'entrepot_http_requests_total', ({ route = '' }) => route.startsWith('/sync/')),
    receivedBytes: sumOf(samples, 'entrepot_http_received_bytes_total', all),
    replicatedBytes: sumOf(samples, 'entrepot_replicated_bytes_total', all),
  }
}
