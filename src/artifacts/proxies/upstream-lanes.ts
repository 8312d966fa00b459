import type { Clock } from '../../core/clock.ts'
import { Semaphore } from '../../core/concurrency.ts'
import { hasCode } from '../../core/errors.ts'
import { NotConnected } from '../../remotes/transport/failures.ts'
import { upstreamFailed } from './upstream-answer.ts'

/** Each upstream has a number of downloads at once, and one that is dead holds up nobody but its own. */
export interface UpstreamLanes {
  /**
   * Runs `begin` when there is room; the room is given back when what it began has ended.
   * @throws AppError UPSTREAM_FAILED at once when too many wait, or the upstream could not be connected to a moment ago.
   */
  enter<T>(url: string, begin: () => Promise<T>, ended: (begun: T) => Promise<unknown>): Promise<T>
}

/** Beyond it nobody waits: the answer would come after the client gave up. */
const MAX_WAITING = 256
/** After an attempt that found nobody there. */
const PAUSE_MS = 5_000

interface Lane {
  readonly room: Semaphore
  waiting: number
  downUntil: number
  why: string
}

export function createUpstreamLanes(clock: Pick<Clock, 'now'>, downloadsAtOnce: number): UpstreamLanes {
  /** As many as there are servers in configurations. */
  const lanes = new Map<string, Lane>()
  const laneOf = (host: string): Lane => {
    const lane = lanes.get(host) ?? { room: new Semaphore(downloadsAtOnce), waiting: 0, downUntil: 0, why: '' }
    lanes.set(host, lane)
    return lane
  }
  const refuseDown = (host: string, { downUntil, why }: Lane) => {
    if (clock.now() < downUntil) throw upstreamFailed(host, `${why}; it is asked again in a few seconds`)
  }
  return {
    async enter(url, begin, ended) {
      const { host } = new URL(url)
      const lane = laneOf(host)
      refuseDown(host, lane)
      if (lane.waiting >= MAX_WAITING) throw upstreamFailed(host, `${MAX_WAITING} downloads wait for it already`)
      lane.waiting++
      const held = await lane.room.acquire()
      lane.waiting--
      try {
        refuseDown(host, lane)
        const begun = await begin()
        void ended(begun).then(held[Symbol.dispose], held[Symbol.dispose])
        return begun
      } catch (error) {
        held[Symbol.dispose]()
        if (hasCode(error, 'UPSTREAM_FAILED') && error.cause instanceof NotConnected) {
          lane.downUntil = clock.now() + PAUSE_MS
          lane.why = error.cause.message
        }
        throw error
      }
    },
  }
}
