import type { Clock } from '../../core/clock.ts'
import { createTokenBucket, type TokenBucket } from './token-bucket.ts'

/**
 * A bucket of tokens, one per byte, and those nested in it: process → remote → task → stream. Whoever takes needs tokens of its own
 * bucket and of all above. Buckets that wait for the same one above get equal shares of it, by bytes.
 */
export interface RateLimit {
  /** Waits until `bytes` may be sent. Undefined when there is nothing to wait for. @throws the signal's reason. */
  take(bytes: number, signal: AbortSignal): Promise<void> | undefined
  /**
   * The bucket of this name inside this one, made when it is not there: whoever names it shares it until all have closed it.
   * `bytesPerSecond` undefined: no limit of its own; the last one who says it sets it. `weight`: how many shares of what is above it gets
   * while others wait; one, if nothing is said.
   */
  nested(name: string, bytesPerSecond: number | undefined, weight?: number): RateLimit
  /** From here on. A lease from a limit that several processes share sets this process's part of it here. */
  setRate(bytesPerSecond: number | undefined): void
  /** Once per `nested`. Those that wait in it go on waiting. */
  close(): void
}

interface RateLimiterOptions {
  readonly clock: Clock
  readonly bytesPerSecond?: number | undefined
}

/** A large take goes in slices of this many milliseconds of the lowest limit above it: others get their turn in between. */
const SLICE_MS = 20
const MOST_SLICE_BYTES = 256 * 1024

interface Waiter {
  readonly bytes: number
  readonly go: () => void
}
/** A bucket in the tree. */
interface Level {
  readonly tokens: TokenBucket
  readonly above: Level | undefined
  readonly nested: Map<string, Level>
  readonly waiters: Waiter[]
  /** Those nested in it with somebody waiting in or below them. */
  readonly waiting: Set<Level>
  readonly weight: number
  /** Bytes that went through, by weight and the count of its neighbours: what it did not use while it had nothing to send is not owed to it. */
  served: number
  /** Where that count stands for those nested in it. */
  reached: number
  holders: number
}

/** The outermost bucket: the process. */
export function createRateLimiter({ clock, bytesPerSecond }: RateLimiterOptions): RateLimit {
  const root = createLevel(clock, undefined, bytesPerSecond)
  let wakeAt = Number.POSITIVE_INFINITY
  let asleep: AbortController | undefined

  /** Lets go whoever may, then sleeps until the next one may. */
  function serve(): void {
    for (let leaf = nextIn(root); leaf !== undefined; leaf = nextIn(root)) {
      const waiter = leaf.waiters[0]!
      dequeue(leaf, waiter)
      charge(leaf, waiter.bytes)
      waiter.go()
    }
    const dueAt = clock.now() + waitIn(root)
    // Waking too early costs little; a timer per take would cost more.
    if (dueAt < wakeAt || dueAt === Number.POSITIVE_INFINITY) sleepUntil(dueAt)
  }
  function sleepUntil(dueAt: number): void {
    asleep?.abort()
    asleep = undefined
    wakeAt = dueAt
    if (dueAt === Number.POSITIVE_INFINITY) return
    const mine = new AbortController()
    asleep = mine
    const wake = () => {
      if (asleep !== mine) return
      wakeAt = Number.POSITIVE_INFINITY
      serve()
    }
    clock.sleep(dueAt - clock.now(), mine.signal).then(wake, () => {})
  }

  function takeSlice(leaf: Level, bytes: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const give = () => {
        dequeue(leaf, waiter)
        reject(signal.reason)
        serve()
      }
      const go = () => {
        signal.removeEventListener('abort', give)
        resolve()
      }
      const waiter = { bytes, go }
      signal.addEventListener('abort', give, { once: true })
      enqueue(leaf, waiter)
      serve()
    })
  }
  async function takeSlices(leaf: Level, bytes: number, signal: AbortSignal): Promise<void> {
    for (let left = bytes; left > 0; ) {
      const slice = Math.min(left, sliceBytes(leaf))
      await takeSlice(leaf, slice, signal)
      left -= slice
    }
  }

  function handle(level: Level): RateLimit {
    return {
      take(bytes, signal) {
        if (!isLimited(level)) return undefined
        if (bytes > sliceBytes(level) || !isOpen(level)) return takeSlices(level, bytes, signal)
        charge(level, bytes)
        return undefined
      },
      nested(name, rate, weight = 1) {
        let inner = level.nested.get(name)
        if (inner === undefined) {
          inner = createLevel(clock, level, rate, weight)
          level.nested.set(name, inner)
        }
        inner.holders++
        const limit = handle(inner)
        limit.setRate(rate)
        return limit
      },
      setRate(rate) {
        level.tokens.setRate(rate)
        serve()
      },
      close() {
        if (--level.holders > 0) return
        for (const [name, other] of level.above?.nested ?? []) if (other === level) level.above?.nested.delete(name)
      },
    }
  }
  return handle(root)
}

function createLevel(clock: Clock, above: Level | undefined, bytesPerSecond: number | undefined, weight = 1): Level {
  const tokens = createTokenBucket(clock, bytesPerSecond)
  return {
    tokens,
    above,
    nested: new Map(),
    waiters: [],
    waiting: new Set(),
    weight,
    served: 0,
    reached: 0,
    holders: 0,
  }
}

/** The level itself, then all above it. */
function* upwards(leaf: Level): Generator<Level> {
  for (let level: Level | undefined = leaf; level !== undefined; level = level.above) yield level
}

function isLimited(leaf: Level): boolean {
  for (const { tokens } of upwards(leaf)) if (tokens.limited) return true
  return false
}
/** Tokens all the way up, and nobody who came first. */
function isOpen(leaf: Level): boolean {
  for (const { tokens, waiters, waiting } of upwards(leaf)) {
    if (waiters.length > 0 || waiting.size > 0 || tokens.waitMs() > 0) return false
  }
  return true
}
function sliceBytes(leaf: Level): number {
  let least = MOST_SLICE_BYTES
  for (const { tokens } of upwards(leaf)) least = Math.min(least, tokens.bytesIn(SLICE_MS))
  return Math.max(1, Math.floor(least))
}
function charge(leaf: Level, bytes: number): void {
  for (const level of upwards(leaf)) {
    level.tokens.take(bytes)
    const { above } = level
    if (above === undefined) return
    // One that its own limit kept back does not get more than a slice of it later.
    level.served = Math.max(level.served, above.reached - MOST_SLICE_BYTES)
    above.reached = Math.max(above.reached, level.served)
    level.served += bytes / level.weight
  }
}

/** Where the one waits that has had least, of those in or below `level` that no limit keeps. */
function nextIn(level: Level): Level | undefined {
  if (level.tokens.waitMs() > 0) return undefined
  if (level.waiters.length > 0) return level
  let served = Number.POSITIVE_INFINITY
  let next: Level | undefined
  for (const inner of level.waiting) {
    const leaf = inner.served < served ? nextIn(inner) : undefined
    if (leaf === undefined) continue
    served = inner.served
    next = leaf
  }
  return next
}
/** Milliseconds until somebody in or below `level` may go; infinite when nobody waits. */
function waitIn(level: Level): number {
  let least = level.waiters.length > 0 ? 0 : Number.POSITIVE_INFINITY
  for (const inner of level.waiting) least = Math.min(least, waitIn(inner))
  return Math.max(least, level.tokens.waitMs())
}

function enqueue(leaf: Level, waiter: Waiter): void {
  leaf.waiters.push(waiter)
  for (const level of upwards(leaf)) {
    const { above } = level
    if (above === undefined || above.waiting.has(level)) return
    level.served = Math.max(level.served, above.reached)
    above.waiting.add(level)
  }
}
function dequeue(leaf: Level, waiter: Waiter): void {
  leaf.waiters.splice(leaf.waiters.indexOf(waiter), 1)
  for (const level of upwards(leaf)) {
    if (level.waiters.length > 0 || level.waiting.size > 0) return
    level.above?.waiting.delete(level)
  }
}
