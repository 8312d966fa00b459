import type { Socket } from 'node:net'
import type { Clock } from '../../core/clock.ts'
import { type IdleTunnel, watchIdleTunnel } from './idle-tunnel.ts'

/** Connections that one edge opened to this process. */
export interface TunnelPool extends Disposable {
  /** Those that wait, and all. */
  readonly waiting: number
  readonly open: number
  /** False: there are too many, the socket was closed. */
  add(socket: Socket): boolean
  /** One to use and then to close; it waits for a new one for a while. Undefined: none came. */
  take(): Promise<Socket | undefined>
  /** Closes those that wait. */
  closeIdle(): void
}

export interface TunnelLimits {
  /** Connections of one edge. */
  readonly most: number
  readonly pingMs: number
  /** An answer to a ping. */
  readonly answerMs: number
  /** For a new connection when none is free. */
  readonly waitMs: number
}

export const TUNNEL_LIMITS: TunnelLimits = { most: 128, pingMs: 20_000, answerMs: 10_000, waitMs: 5_000 }

export function createTunnelPool(clock: Clock, limits: TunnelLimits): TunnelPool {
  const idle = new Set<IdleTunnel>()
  const sockets = new Set<Socket>()
  const waiters: ((socket: Socket | undefined) => void)[] = []

  function free(): IdleTunnel | undefined {
    for (const one of idle) if (one.isFree) return one
    return undefined
  }
  function use(one: IdleTunnel): Socket {
    idle.delete(one)
    return one.take()
  }
  function serve(): void {
    while (waiters.length > 0) {
      const one = free()
      if (one === undefined) return
      waiters.shift()!(use(one))
    }
  }

  return {
    get waiting() {
      return idle.size
    },
    get open() {
      return sockets.size
    },
    add(socket) {
      if (sockets.size >= limits.most) {
        socket.destroy()
        return false
      }
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      const { pingMs, answerMs } = limits
      const one = watchIdleTunnel({
        ...{ socket, clock, pingMs, answerMs, onFree: serve },
        onGone: () => idle.delete(one),
      })
      idle.add(one)
      serve()
      return true
    },
    async take() {
      const one = free()
      if (one !== undefined) return use(one)
      const got = Promise.withResolvers<Socket | undefined>()
      waiters.push(got.resolve)
      const served = new AbortController()
      clock.sleep(limits.waitMs, served.signal).then(
        () => {
          const at = waiters.indexOf(got.resolve)
          if (at >= 0) waiters.splice(at, 1)
          got.resolve(undefined)
        },
        () => {},
      )
      const socket = await got.promise
      served.abort()
      return socket
    },
    closeIdle() {
      for (const one of [...idle]) one.destroy()
    },
    [Symbol.dispose]() {
      for (const one of [...idle]) one.destroy()
      for (const socket of sockets) socket.destroy()
      for (const give of waiters.splice(0)) give(undefined)
    },
  }
}
