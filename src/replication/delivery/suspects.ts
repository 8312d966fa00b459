import type { ShardKey } from '../../metadata/replication/exec-shards.ts'

/**
 * Artifacts that may be what breaks the connection each time they are sent, so that one of them does not hold up all the others until the
 * link gives up. Memory only: whoever begins anew counts anew.
 */
export interface Suspects {
  of(shard: ShardKey): Care
}

/** How one shard is to be gone about. */
export interface Care {
  /** Artifacts go one by one, so that the one shows that breaks the connection. */
  readonly isCareful: boolean
  /** The connection broke with several artifacts on their way, and nothing had arrived since it was made. */
  broke(): void
  /** It broke with this one alone. */
  brokeAlone(path: string, reason: string): void
  /** It did so often enough that others are tried before it. */
  isSuspect(path: string): boolean
  /** It did so although another one had just got through, or there was no other, time after time: why it FAILED. */
  verdictOn(path: string): string | undefined
  condemn(path: string): void
  /** One got through. After a batch of them artifacts go together again. */
  passed(): void
}

const BREAKS = 3
const ALONE = 3
/** Without another one to compare it with. */
const ALONE_AND_LAST = 6
const MOST_SHARDS = 1_000

interface State {
  breaks: number
  /** Artifacts that still go one by one. */
  careful: number
  readonly alone: Map<string, { times: number; reason: string; condemned: boolean }>
}

/** @param carefulFor artifacts that go one by one once a shard is gone about with care: as many as a batch has. */
export function createSuspects(carefulFor: number): Suspects {
  const shards = new Map<string, State>()
  return {
    of({ recordId, linkId, shardNo }) {
      const name = `${recordId}/${linkId}/${shardNo}`
      const known = () => shards.get(name)
      const state = () => {
        const found = known() ?? { breaks: 0, careful: 0, alone: new Map() }
        if (!shards.has(name)) {
          const [oldest] = shards.keys()
          if (shards.size >= MOST_SHARDS) shards.delete(oldest!)
          shards.set(name, found)
        }
        return found
      }
      return {
        get isCareful() {
          return (known()?.careful ?? 0) > 0
        },
        broke() {
          const found = state()
          if (++found.breaks >= BREAKS) found.careful = carefulFor
        },
        brokeAlone(path, reason) {
          const { alone } = state()
          const { times = 0, condemned = false } = alone.get(path) ?? {}
          alone.set(path, { times: times + 1, reason, condemned })
        },
        isSuspect: (path) => (known()?.alone.get(path)?.times ?? 0) >= ALONE,
        verdictOn(path) {
          const found = known()?.alone.get(path)
          if (found === undefined || !(found.condemned || found.times >= ALONE_AND_LAST)) return undefined
          return `the connection broke each of the ${found.times} times that it was sent by itself: ${found.reason}`
        },
        condemn(path) {
          const found = state().alone.get(path)
          if (found !== undefined) found.condemned = true
        },
        passed() {
          const found = known()
          if (found === undefined) return
          found.breaks = 0
          if (--found.careful <= 0) shards.delete(name)
        },
      }
    },
  }
}
