import type { Clock } from '../../core/clock.ts'
import { type Concurrency, createConcurrency } from '../limits/concurrency.ts'
import { createInFlight, type InFlight } from '../limits/in-flight.ts'
import { createRateLimiter, type RateLimit } from '../limits/rate-limiter.ts'

/** What this process knows of one target, shared by all links to it. */
export interface RemoteState {
  readonly concurrency: Concurrency
  readonly inFlight: InFlight
  /** Streams that are open. */
  streams: number
}

export interface RemoteStates {
  of(clusterId: string): RemoteState
  /** The bucket of a task, towards all its targets; to be closed by whoever asked. `bytesPerSecond` 0: no limit of its own. */
  rate(taskKey: string, bytesPerSecond: number): RateLimit
}

export interface StreamSettings {
  /** To begin with. */
  readonly streams: number
  readonly maxStreams: number
  /** Of all that this process sends; 0: no limit. */
  readonly bytesPerSecond: number
}

const limitOf = (bytesPerSecond: number) => (bytesPerSecond === 0 ? undefined : bytesPerSecond)

export function createRemoteStates(
  clock: Clock,
  { streams, maxStreams, bytesPerSecond }: StreamSettings,
): RemoteStates {
  const states = new Map<string, RemoteState>()
  const limiter = createRateLimiter({ clock, bytesPerSecond: limitOf(bytesPerSecond) })
  return {
    of(clusterId) {
      const known = states.get(clusterId)
      if (known !== undefined) return known
      const state = {
        concurrency: createConcurrency({ clock, start: streams, max: maxStreams }),
        inFlight: createInFlight(),
        streams: 0,
      }
      states.set(clusterId, state)
      return state
    },
    rate: (taskKey, bytesPerSecond) => limiter.nested(taskKey, limitOf(bytesPerSecond)),
  }
}
