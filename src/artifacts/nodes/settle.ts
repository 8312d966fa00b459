import { hasCode } from '../../core/errors.ts'
import type { Hlc, HlcClock } from '../../core/hlc.ts'

/** Each attempt that fails means that somebody else's succeeded; with this many writers of one path at once, one may lose out. */
const MAX_ATTEMPTS = 100

/**
 * Runs a transaction again when somebody else wrote the same path between its reads and its writes (`node-writer.ts`).
 * `work` looks at everything anew.
 */
export async function settle<T>(work: () => Promise<T>): Promise<T> {
  for (let attempts = 1; ; attempts++) {
    try {
      return await work()
    } catch (error) {
      if (!hasCode(error, 'NODE_EXISTED') || !error.retryable || attempts === MAX_ATTEMPTS) throw error
    }
  }
}

/** A stamp for a local change of what was stamped `above`, maybe by a cluster whose clock is ahead. */
export function stampAbove(clock: HlcClock, above: Hlc | undefined): Hlc {
  if (above !== undefined) clock.observe(above)
  return clock.next()
}

/** The same over many nodes, for a change of all of them at once. */
export function stampOver(clock: HlcClock, nodes: readonly { readonly hlc: Hlc }[]): Hlc {
  let above: Hlc | undefined
  for (const { hlc } of nodes) if (above === undefined || hlc > above) above = hlc
  return stampAbove(clock, above)
}
