import type { Digest } from '../../core/digest.ts'

export type FlightOutcome = 'arrived' | 'failed'

/**
 * Contents on their way to one target, so that two runs do not send one blob twice. Memory of one process; a content that is sent
 * twice all the same does no harm.
 */
export interface InFlight {
  /**
   * `mine`: nobody is sending it; the caller does, and says how it went by `settle`, whatever happens. A promise: somebody else is
   * sending it; after `failed` claim again. It never rejects. Who claims twice waits for itself.
   */
  claim(digest: Digest): 'mine' | Promise<FlightOutcome>
  /** Missing is fine. */
  settle(digest: Digest, outcome: FlightOutcome): void
  readonly size: number
}

interface Flight {
  readonly outcome: Promise<FlightOutcome>
  readonly land: (outcome: FlightOutcome) => void
}

/** @param most digests that are kept in mind; whoever claims another one is told `mine`, whether it is or not. */
export function createInFlight(most = 100_000): InFlight {
  const flights = new Map<Digest, Flight>()
  return {
    claim(digest) {
      const flight = flights.get(digest)
      if (flight !== undefined) return flight.outcome
      if (flights.size < most) {
        const { promise, resolve } = Promise.withResolvers<FlightOutcome>()
        flights.set(digest, { outcome: promise, land: resolve })
      }
      return 'mine'
    },
    settle(digest, outcome) {
      flights.get(digest)?.land(outcome)
      flights.delete(digest)
    },
    get size() {
      return flights.size
    },
  }
}
