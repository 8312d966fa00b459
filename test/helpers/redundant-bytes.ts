import { connectApi } from './api.ts'
import type { SeenRequest } from './faulty-proxy.ts'
import { parseSamples, sumOf } from './prometheus.ts'
import type { ServerProcess } from './server-process.ts'

const REDUNDANT = 'entrepot_sync_redundant_bytes_total'

/** Counters begin at 0 when a process starts: each is noted just before its process is killed, and at the end. */
export function redundantBytes() {
  let sum = 0
  let known = false
  return {
    async note(target: ServerProcess, signal: AbortSignal): Promise<void> {
      using api = connectApi(target)
      const samples = parseSamples(await api.metrics(signal))
      known ||= samples.some(({ name }) => name === REDUNDANT)
      sum += sumOf(samples, REDUNDANT, () => true)
    },
    /** Undefined: no target told. @param others bytes that it does not count. */
    total: (others: number) => (known ? sum + others : undefined),
  }
}

/** Bytes of parts of large files that the target had answered with success before, seen from outside. */
export function partsSentAgain(seen: readonly SeenRequest[]): number {
  const stored = new Set<string>()
  let bytes = 0
  for (const { method, path, status, bodyBytes } of seen) {
    if (method !== 'PUT' || !path.includes('/parts/')) continue
    if (stored.has(path)) bytes += bodyBytes
    if (status === 200) stored.add(path)
  }
  return bytes
}
