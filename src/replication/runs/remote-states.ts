import type { Clock } from '../../core/clock.ts'
import { bothLimits } from '../limits/both-limits.ts'
import { type Circuit, createCircuit } from '../limits/circuit.ts'
import { type Concurrency, createConcurrency } from '../limits/concurrency.ts'
import { createFairGate, type FairGate, type TrafficKind, WEIGHTS } from '../limits/fair-gate.ts'
import { createInFlight, type InFlight } from '../limits/in-flight.ts'
import { createRateLimiter, type RateLimit } from '../limits/rate-limiter.ts'
import { createReadAhead, type ReadAhead } from '../limits/read-ahead.ts'
import { createStreamPlaces, type StreamPlaces } from '../limits/stream-places.ts'
import { createStreamShares, type StreamShares } from '../limits/stream-shares.ts'
import { outageError } from './outage-words.ts'

/** What this process knows of one target, shared by all links to it. */
export interface RemoteState {
  readonly concurrency: Concurrency
  readonly inFlight: InFlight
  readonly readAhead: ReadAhead
  /** Of streams that links keep open while they follow changes. */
  readonly places: StreamPlaces
  /** Of links that follow changes, while they bring over what exists. */
  readonly backfills: StreamPlaces
  readonly circuit: Circuit
  readonly shares: StreamShares
  readonly gate: FairGate
}

export interface RemoteStates {
  of(clusterId: string): RemoteState
  /**
   * What a task may send to one target: its own limit, which holds for all its targets together, and the target's, which holds for all
   * tasks; changes as they come (`live`) before what was there already. To be closed by whoever asked. 0, null and undefined: no limit.
   */
  rate(taskKey: string, bytesPerSecond: number, target: RateTarget, kind?: TrafficKind): RateLimit
}

export interface RateTarget {
  readonly id: string
  readonly rateLimit?: number | null | undefined
}

export interface StreamSettings {
  /** To begin with. */
  readonly streams: number
  readonly maxStreams: number
  /** Of all that this process sends; 0: no limit. */
  readonly bytesPerSecond: number
  /** How long a target that failed five times in a row is left alone at first. */
  readonly circuitPauseMs: number
}

/** Fewer than a stream has under way by itself, so that links that share a target wait for each other. */
const BATCHES_PER_STREAM = 2
/** A target serves 64 streams of one user, those of runs among them. */
const LIVE_STREAMS = 24
/** Each has a stream at least, and they are among those 64 as well. */
const BACKFILLS = 16
/** sync.md B.5. */
const READ_AHEAD_BYTES = 12 * 1024 * 1024
const limitOf = (bytesPerSecond: number) => (bytesPerSecond === 0 ? undefined : bytesPerSecond)

export function createRemoteStates(
  clock: Clock,
  { streams, maxStreams, bytesPerSecond, circuitPauseMs }: StreamSettings,
): RemoteStates {
  const states = new Map<string, RemoteState>()
  const limiter = createRateLimiter({ clock, bytesPerSecond: limitOf(bytesPerSecond) })
  const targets = createRateLimiter({ clock })
  return {
    of(clusterId) {
      const known = states.get(clusterId)
      if (known !== undefined) return known
      const concurrency = createConcurrency({ clock, start: streams, max: maxStreams })
      const state = {
        concurrency,
        inFlight: createInFlight(),
        readAhead: createReadAhead(READ_AHEAD_BYTES),
        places: createStreamPlaces(LIVE_STREAMS),
        backfills: createStreamPlaces(BACKFILLS),
        circuit: createCircuit({ clock, firstPauseMs: circuitPauseMs, reasonOf: outageError }),
        shares: createStreamShares(concurrency.limit),
        gate: createFairGate(() => BATCHES_PER_STREAM * concurrency.limit() + 1),
      }
      states.set(clusterId, state)
      return state
    },
    rate(taskKey, bytesPerSecond, { id, rateLimit }, kind = 'backfill') {
      const target = targets.nested(id, limitOf(rateLimit ?? 0))
      const ofKind = target.nested(kind, undefined, WEIGHTS[kind])
      const task = limiter.nested(taskKey, limitOf(bytesPerSecond))
      const ofTask = task.nested(kind, undefined, WEIGHTS[kind])
      return bothLimits(ofKind.nested(taskKey, undefined), ofTask, ofKind, target, task)
    },
  }
}
