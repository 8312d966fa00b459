import { createServer } from 'node:http'
import type { Socket } from 'node:net'
import type { Principal } from '../auth/principal.ts'
import type { Random } from '../core/ids.ts'
import { PING_PATH } from '../remotes/tunnel/tunnel-protocol.ts'
import type { AccessDeps } from './access-control.ts'
import type { App } from './route.ts'

/**
 * Answers the requests that our centre sends through connections that we opened to it. They may do what a cluster may do to another
 * one under `/sync/v1`, and nothing else.
 */
export interface TunnelServer {
  /** @param onUse called once, with the first request that is more than a question whether we are there. */
  serve(socket: Socket, onUse: () => void): void
  /** Waits for the requests that run, but not beyond the signal. */
  close(signal: AbortSignal): Promise<void>
}

/** Lets those requests in. */
export interface TunnelDoor {
  /** Stands for the credentials of the centre; made anew by each process, it never leaves it. */
  readonly key: string
  /** Around the authentication of everybody else. */
  authenticate(inner: AccessDeps['authenticate']): AccessDeps['authenticate']
}

/** The centre: whoever holds the other end of a connection that we opened to the address in our configuration. */
const CENTRE: Principal = Object.freeze({
  userId: 'edge-centre',
  admin: true,
  covers: (action, resource) =>
    resource.kind === 'login' || (resource.kind === 'replication' && (action === 'VIEW' || action === 'WRITE')),
} satisfies Principal)

const PREFIX = '/sync/v1/'
/** Calls of an edge to its centre, not the other way round. */
const NOT_HERE = ['/sync/v1/edges/', '/sync/v1/tunnel']
const MAX_HEADER_BYTES = 128 * 1024
const HEADERS_MS = 60_000
/** Of a connection that was used; it closes then, and another one is opened. */
const KEEP_ALIVE_MS = 30_000

export function createTunnelDoor(random: Random): TunnelDoor {
  const key = `Tunnel ${random.bytes(32).toString('base64url')}`
  return {
    key,
    authenticate: (inner) => async (authorization, source) =>
      authorization === key ? CENTRE : inner(authorization, source),
  }
}

export function createTunnelServer(app: App, { key }: TunnelDoor): TunnelServer {
  const uses = new WeakMap<Socket, () => void>()
  const sockets = new Set<Socket>()
  let running = 0
  let drained: (() => void) | undefined
  const server = createServer(
    {
      keepAlive: true,
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      requestTimeout: 0,
    },
    (request, response) => {
      const { url = '', method } = request
      if (url === PING_PATH && method === 'GET') {
        response.writeHead(204).end()
        return
      }
      uses.get(request.socket)?.()
      if (!url.startsWith(PREFIX) || NOT_HERE.some((path) => url.startsWith(path))) {
        response.writeHead(403).end()
        return
      }
      running++
      response.once('close', () => {
        running--
        if (running === 0) drained?.()
      })
      request.headers.authorization = key
      app.routing(request, response)
    },
  )
  server.on('clientError', (_error, socket) => socket.destroy())

  return {
    serve(socket, onUse) {
      sockets.add(socket)
      uses.set(socket, onUse)
      socket.once('close', () => sockets.delete(socket))
      server.emit('connection', socket)
    },
    async close(signal) {
      server.closeIdleConnections()
      if (running > 0 && !signal.aborted) {
        await new Promise<void>((resolve) => {
          drained = resolve
          signal.addEventListener('abort', () => resolve(), { once: true })
        })
      }
      for (const socket of sockets) socket.destroy()
    },
  }
}
