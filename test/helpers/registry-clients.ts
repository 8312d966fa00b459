import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../../src/core/clock.ts'
import type { ContentName } from '../../src/core/content-name.ts'
import { pulledFrom } from '../../src/core/pull-source.ts'
import type { PushSource } from '../../src/remotes/oci/blob-uploads.ts'
import { createRegistryClient, type RegistryClient, type RegistryDeps } from '../../src/remotes/oci/registry-client.ts'
import type { Registry } from '../../src/remotes/oci/registry-connection.ts'
import { streamOf } from './blobs.ts'
import { seededRandom } from './ids.ts'

/** Longer sleeps watch a connection for its silence. */
const LONGEST_PAUSE_MS = 10_000
const CONNECT_TIMEOUT_MS = 100_000

export interface HurryingClock extends Clock {
  readonly pausesMs: number[]
  pass(ms: number): void
}

/** Pauses between tries are over at once, and time has passed all the same; the time-outs of connections never come. */
export function hurryingClock(): HurryingClock {
  let nowMs = Date.UTC(2026, 0, 1)
  const pausesMs: number[] = []
  return {
    pausesMs,
    now: () => nowMs,
    pass: (ms) => {
      nowMs += ms
    },
    async sleep(ms, signal) {
      signal.throwIfAborted()
      if (ms > LONGEST_PAUSE_MS) {
        await new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
        )
      }
      pausesMs.push(ms)
      nowMs += ms
      await setImmediate()
      signal.throwIfAborted()
    },
  }
}

/** A client of a registry on this machine, in a hurry. */
export const registryClient = (registry: Registry, deps: Partial<RegistryDeps> = {}): RegistryClient =>
  createRegistryClient(registry, {
    ...{ clock: hurryingClock(), random: seededRandom(), rules: { allowPrivate: true } },
    ...deps,
    limits: { connectTimeoutMs: CONNECT_TIMEOUT_MS, ...deps.limits },
  })

export const contentName = (bytes: Buffer | string): ContentName =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}` as ContentName

/** @param onOpen hears of each time that the bytes are asked for. */
export const pushSource = (bytes: Buffer, onOpen: (start: number) => void = () => {}): PushSource => ({
  sizeBytes: bytes.length,
  async open({ start, end }) {
    onOpen(start)
    return pulledFrom(streamOf(bytes.subarray(start, end)))
  },
})
