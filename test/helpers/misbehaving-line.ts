import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../src/core/ids.ts'
import type { Fault, FaultyProxy, SeenRequest } from './faulty-proxy.ts'
import { afterBytes, type StopPlace } from './stop-places.ts'

/** What a line, or a proxy on the way, does to requests. */
export const MISCHIEFS = ['cut', 'hang', 'delay', 'lost answer', 'flipped bit', 'error 500', 'busy 429'] as const
export type Mischief = (typeof MISCHIEFS)[number]

export interface MisbehavingLine {
  /** How often each was done so far, to a request that had enough bytes for it. */
  readonly done: ReadonlyMap<Mischief, number>
  /** All at once as it should be; what hangs is cut. */
  stop(): void
}
export interface MisbehaviourPlan {
  readonly kinds: readonly Mischief[]
  readonly random: Random
  /** How likely a request has bad luck, 0 to 1. */
  share(request: SeenRequest): number
  /** How long a hanging line is silent, in ms; then it breaks. */
  readonly longestHangMs: number
  /** Requests whose bytes stay as they are. */
  spares?(request: SeenRequest): boolean
}

/** Streams carry the most, so most of what goes wrong is within their first bytes; other bodies are shorter. */
const FAR_BYTES = 400_000
const NEAR_BYTES = 300
const LONGEST_DELAY_MS = 300

/** From now on a line does to requests, by chance, what the plan names, until it is stopped. */
export function misbehave(line: FaultyProxy, plan: MisbehaviourPlan): MisbehavingLine {
  const { kinds, random, longestHangMs } = plan
  const done = new Map<Mischief, number>(kinds.map((kind) => [kind, 0]))
  const over = new AbortController()
  const below = (limit: number) => Math.floor(random.next() * limit)
  const side = (): StopPlace['of'] => (below(2) === 0 ? 'request' : 'answer')
  const count = (kind: Mischief) => done.set(kind, done.get(kind)! + 1)
  const waits = (kind: Mischief, ms: number, then: 'cut' | 'go on') => async () => {
    count(kind)
    await sleep(ms, undefined, { signal: over.signal }).catch(() => undefined)
    return then
  }
  /** An offset that bodies of this kind often have. */
  const somewhere = (request: SeenRequest, of: StopPlace['of']) => {
    const isLong = of === 'request' && /stream|parts|blobs\/[0-9a-f]/.test(request.path)
    return isLong && below(3) > 0 ? below(FAR_BYTES) : below(NEAR_BYTES)
  }
  const stopped = (kind: Mischief, request: SeenRequest, ms: number, then: 'cut' | 'go on'): Fault => {
    const of = side()
    return { at: afterBytes(of, somewhere(request, of)), reached: waits(kind, ms, then) }
  }
  const faults: Record<Mischief, (request: SeenRequest) => Fault> = {
    cut: (request) => stopped('cut', request, 0, 'cut'),
    hang: (request) => stopped('hang', request, below(longestHangMs), 'cut'),
    delay: (request) => stopped('delay', request, below(LONGEST_DELAY_MS), 'go on'),
    'lost answer': () => ({ afterAnswer: async () => void count('lost answer') }),
    'flipped bit': (request) => {
      const of = side()
      return { flip: { of, at: somewhere(request, of), bit: below(8), flipped: () => count('flipped bit') } }
    },
    'error 500': () => {
      count('error 500')
      return { answer: 500, body: 'oops' }
    },
    'busy 429': () => {
      count('busy 429')
      return { answer: 429, headers: { 'retry-after': '1' } }
    },
  }
  line.script((request) => {
    if (random.next() >= plan.share(request)) return undefined
    const kind = kinds[below(kinds.length)]!
    return kind === 'flipped bit' && plan.spares?.(request) ? undefined : faults[kind](request)
  })
  return {
    done,
    stop() {
      line.script(() => undefined)
      over.abort()
    },
  }
}
