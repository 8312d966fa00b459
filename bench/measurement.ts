import type { Usage } from './process-usage.ts'

/** A promise about one number. The words come from docs/performance.md. */
export interface Goal {
  readonly text: string
  readonly met: boolean
}

/** What one scenario found. */
export interface Measurement {
  readonly scenario: string
  readonly what: string
  readonly value: number
  readonly unit: string
  /** The same with the raw server, in the same run. */
  readonly raw?: number
  /** Requests of `/sync` that the target answered. */
  readonly targetRequests?: number
  /** Of a run: from the client's request to the moment when the client saw its end. */
  readonly seenMs?: number
  readonly goals: readonly Goal[]
  readonly a?: Usage
  readonly b?: Usage
}

const LARGEST_RSS_BYTES = 300e6

/** Both servers stay under 300 MB of memory, whatever they do. */
export function memoryGoal(usages: readonly Usage[]): Goal {
  const peak = Math.max(...usages.map(({ peakRssBytes }) => peakRssBytes))
  return { text: 'peak RSS < 300 MB', met: peak < LARGEST_RSS_BYTES }
}

export const atMost = (what: string, value: number, limit: number): Goal => ({
  text: `${what} ≤ ${limit}`,
  met: value <= limit,
})
