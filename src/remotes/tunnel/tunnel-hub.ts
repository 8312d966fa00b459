import { Agent as HttpAgent } from 'node:http'
import type { Socket } from 'node:net'
import type { Clock } from '../../core/clock.ts'
import { NotConnected, TunnelElsewhere } from '../transport/failures.ts'
import type { OpenWay } from '../transport/http-client.ts'
import { createTunnelPool, type TunnelLimits, type TunnelPool } from './tunnel-pool.ts'

/** All connections that edges opened to this process. Requests to an edge go out through them. */
export interface TunnelHub extends Disposable {
  /** False: there are too many, the socket was closed. */
  add(clusterId: string, socket: Socket): boolean
  /** The way to an edge; it may be asked for before the edge came. */
  way(edge: { readonly id: string; readonly name: string }): OpenWay
  /** Edges with a connection here. */
  here(): string[]
  /** Connections of an edge: all, and those that wait. */
  count(clusterId: string): { readonly open: number; readonly waiting: number }
  /** Takes no more, closes those that wait. */
  close(): void
}

interface HubDeps {
  readonly clock: Clock
  readonly limits: TunnelLimits
  /** Another process of ours holds connections of the edge. */
  isElsewhere(clusterId: string): Promise<boolean>
  /** The first connection of an edge is here. */
  onArrival?: () => void
}

interface Edge {
  readonly pool: TunnelPool
  way: OpenWay | undefined
}

/** As many calls at once as a cluster gets that can be connected to; streams have connections of their own. */
const CALLS_AT_ONCE = 16

export function createTunnelHub({ clock, limits, isElsewhere, onArrival }: HubDeps): TunnelHub {
  const edges = new Map<string, Edge>()
  let isClosed = false

  function edgeOf(clusterId: string): Edge {
    const known = edges.get(clusterId)
    if (known !== undefined) return known
    const made = { pool: createTunnelPool(clock, limits), way: undefined }
    edges.set(clusterId, made)
    return made
  }
  async function connectionTo({ id, name }: { readonly id: string; readonly name: string }): Promise<Socket> {
    const { pool } = edgeOf(id)
    if (pool.open === 0 && (await isElsewhere(id))) {
      throw new TunnelElsewhere(`edge [${name}] is connected to another process of this cluster`)
    }
    const socket = await pool.take()
    if (socket === undefined) throw new NotConnected(`edge [${name}] holds no free connection to this cluster`)
    return socket
  }
  function agentFor(edge: { readonly id: string; readonly name: string }, maxSockets: number): HttpAgent {
    const agent = new HttpAgent({ keepAlive: true, maxSockets })
    agent.createConnection = (_options, created) => {
      connectionTo(edge).then(
        (socket) => created?.(null, socket),
        (error: Error) => created?.(error, undefined as never),
      )
      return undefined
    }
    return agent
  }

  return {
    add(clusterId, socket) {
      if (isClosed) {
        socket.destroy()
        return false
      }
      const { pool } = edgeOf(clusterId)
      const isFirst = pool.open === 0
      const isAdded = pool.add(socket)
      if (isFirst) onArrival?.()
      return isAdded
    },
    way(named) {
      const edge = edgeOf(named.id)
      edge.way ??= { calls: agentFor(named, CALLS_AT_ONCE), streams: agentFor(named, Number.POSITIVE_INFINITY) }
      return edge.way
    },
    here: () => [...edges].filter(([, { pool }]) => pool.open > 0).map(([id]) => id),
    count(clusterId) {
      const pool = edges.get(clusterId)?.pool
      return { open: pool?.open ?? 0, waiting: pool?.waiting ?? 0 }
    },
    close() {
      isClosed = true
      for (const { pool } of edges.values()) pool.closeIdle()
    },
    [Symbol.dispose]() {
      isClosed = true
      for (const { pool, way } of edges.values()) {
        way?.calls.destroy()
        way?.streams.destroy()
        pool[Symbol.dispose]()
      }
    },
  }
}
