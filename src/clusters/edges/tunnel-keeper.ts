import type { Socket } from 'node:net'
import type { Clock } from '../../core/clock.ts'
import type { Random } from '../../core/ids.ts'

/** Keeps some connections to the centre open for it to use, and opens others as these are used. */
export interface TunnelKeeper {
  readonly waiting: number
  readonly open: number
  /** Until the signal; then those that wait are closed, those in use go on. */
  run(signal: AbortSignal): Promise<void>
}

export interface TunnelKeeperDeps {
  readonly clock: Clock
  readonly random: Random
  /** That wait to be used. */
  readonly idle: number
  readonly most: number
  readonly retryDelaysMs: readonly number[]
  open(signal: AbortSignal): Promise<Socket>
  /** Answers what comes on it. `onUse`: once, with the first request. */
  serve(socket: Socket, onUse: () => void): void
  onTrouble(error: unknown): void
}

/** A connection that ends sooner without having been used is a failure: the next one waits. */
const SHORT_LIFE_MS = 5_000

export function createTunnelKeeper(deps: TunnelKeeperDeps): TunnelKeeper {
  const { clock, random, most, retryDelaysMs } = deps
  const waiting = new Set<Socket>()
  const used = new Set<Socket>()
  let changed = Promise.withResolvers<void>()
  let opening = 0
  let failures = 0
  /** Connections that were begun since the newest failure: what breaks together is one failure. */
  let generation = 0

  const failed = (of: number) => {
    if (of !== generation) return
    failures++
    generation++
  }
  const tell = () => {
    changed.resolve()
    changed = Promise.withResolvers<void>()
  }
  function keep(socket: Socket, begun: number): void {
    const over = new AbortController()
    const proven = () => {
      failures = 0
      tell()
    }
    waiting.add(socket)
    clock.sleep(SHORT_LIFE_MS, over.signal).then(proven, () => {})
    socket.once('close', () => {
      const isShort = !over.signal.aborted
      over.abort()
      used.delete(socket)
      if (waiting.delete(socket) && isShort) failed(begun)
      tell()
    })
    deps.serve(socket, () => {
      if (!waiting.delete(socket)) return
      over.abort()
      used.add(socket)
      proven()
    })
  }
  async function openOne(signal: AbortSignal): Promise<void> {
    const begun = generation
    opening++
    try {
      keep(await deps.open(signal), begun)
    } catch (error) {
      if (signal.aborted) return
      failed(begun)
      deps.onTrouble(error)
    } finally {
      opening--
      tell()
    }
  }
  /** Doubles, with jitter: many edges come back after a restart of their centre. */
  function pauseMs(): number {
    const delay = retryDelaysMs[Math.min(failures, retryDelaysMs.length) - 1]!
    return Math.ceil(delay * (0.5 + random.next()))
  }

  return {
    get waiting() {
      return waiting.size
    },
    get open() {
      return waiting.size + used.size
    },
    async run(signal) {
      const onAbort = () => {
        for (const socket of waiting) socket.destroy()
        tell()
      }
      signal.addEventListener('abort', onAbort, { once: true })
      const attempts = new Set<Promise<void>>()
      while (!signal.aborted) {
        const next = changed.promise
        // After a failure a single connection tells whether the centre is there again.
        const wanted = (failures > 0 ? 1 : deps.idle) - waiting.size
        const room = most - waiting.size - used.size
        const missing = Math.min(wanted, room) - opening
        if (missing <= 0) {
          await next
          continue
        }
        if (failures > 0) await clock.sleep(pauseMs(), signal).catch(() => {})
        for (let count = 0; count < missing && !signal.aborted; count++) {
          const attempt = openOne(signal).finally(() => attempts.delete(attempt))
          attempts.add(attempt)
        }
      }
      await Promise.all(attempts)
      onAbort()
    },
  }
}
