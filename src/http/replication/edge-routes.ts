import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { EdgeRegistry } from '../../clusters/edges/edge-registry.ts'
import { AppError } from '../../core/errors.ts'
import type { TunnelHub } from '../../remotes/tunnel/tunnel-hub.ts'
import { EDGE_HEADER, TUNNEL_ANSWER, TUNNEL_PATH, TUNNEL_UPGRADE } from '../../remotes/tunnel/tunnel-protocol.ts'
import type { EdgePulls } from '../../tasks/edges/edge-pulls.ts'
import { answers, ok } from '../envelope.ts'
import type { App, Routes } from '../route.ts'

export interface EdgeRouteDeps {
  readonly registry: EdgeRegistry
  readonly pulls: EdgePulls
  readonly hub: TunnelHub
  /** Only a process that runs tasks has a use for connections. */
  readonly runsTasks: 'yes' | 'no'
}

const config = { access: 'AUTHENTICATED' } as const
const tags = ['cluster to cluster']
const NameParams = Type.Object({ name: Type.String() })

/** What edges call at their centre (docs/design/edges.md). */
export const edgeRoutes =
  ({ registry, pulls, hub, runsTasks }: EdgeRouteDeps): Routes =>
  async (app) => {
    app.post(
      '/sync/v1/edges/:name/heartbeat',
      {
        schema: {
          tags,
          summary: 'An edge is there',
          params: NameParams,
          body: Type.Object({ clusterId: Type.String(), name: Type.String() }),
          response: answers(Type.Null()),
        },
        config,
      },
      async ({ params, body, principal }) => {
        await registry.report(await registry.get(params.name, principal), body)
        return ok(null)
      },
    )
    app.post(
      '/sync/v1/edges/:name/pulls',
      {
        schema: {
          tags,
          summary: 'Begin what waits for an edge',
          params: NameParams,
          body: Type.Object({ key: Type.Optional(Type.String({ description: 'Of one task' })) }),
          response: answers(Type.Unknown()),
        },
        config,
      },
      async ({ params, body, principal }) => {
        const edge = await registry.get(params.name, principal)
        return ok({ tasks: await pulls.pull(edge.id, body.key) })
      },
    )

    const upgrades = takeUpgrades(app)
    app.post(
      TUNNEL_PATH,
      { schema: { tags, summary: 'Lend a connection', response: answers(Type.Null()) }, config },
      async (request, reply) => {
        const edge = await registry.get(edgeNamed(request), request.principal)
        const socket = upgrades.get(request.raw)
        if (socket === undefined) {
          throw new AppError('REQUEST_CONTENT_INVALID', `Invalid request content: send Upgrade: ${TUNNEL_UPGRADE}`)
        }
        if (runsTasks === 'no') {
          const why = 'this process runs no tasks; connect to one with the role worker'
          throw new AppError('METHOD_NOT_ALLOWED', `Method not allowed, reason: ${why}`)
        }
        lend(reply, socket, (free) => hub.add(edge.id, free))
      },
    )
  }

/** Sockets of requests that ask for a tunnel; they pass the same checks as all others before they are one. */
function takeUpgrades(app: App): WeakMap<IncomingMessage, Socket> {
  const sockets = new WeakMap<IncomingMessage, Socket>()
  // Other protocols are not offered: such requests are answered as if they had not asked.
  Object.assign(app.server, {
    shouldUpgradeCallback: ({ headers }: IncomingMessage) => headers.upgrade?.toLowerCase() === TUNNEL_UPGRADE,
  })
  app.server.on('upgrade', (request: IncomingMessage, stream, head: Buffer) => {
    const socket = stream as Socket
    socket.on('error', () => {})
    // Nothing may come before our answer.
    if (head.length > 0) return socket.destroy()
    const response = new ServerResponse(request)
    response.shouldKeepAlive = false
    response.assignSocket(socket)
    response.once('finish', () => socket.end())
    sockets.set(request, socket)
    app.routing(request, response)
  })
  return sockets
}

function lend(reply: FastifyReply, socket: Socket, add: (socket: Socket) => boolean): void {
  reply.hijack()
  reply.raw.detachSocket(socket)
  if (socket.destroyed) return
  socket.setTimeout(0)
  socket.setNoDelay(true)
  socket.setKeepAlive(true, KEEP_ALIVE_MS)
  socket.write(TUNNEL_ANSWER)
  add(socket)
}

const KEEP_ALIVE_MS = 30_000

function edgeNamed({ headers }: FastifyRequest): string {
  const given = headers[EDGE_HEADER]
  if (typeof given !== 'string' || given === '') {
    throw new AppError('HEADER_MISSING', `Header [${EDGE_HEADER}] is missing`, { name: EDGE_HEADER })
  }
  try {
    return decodeURIComponent(given)
  } catch {
    throw new AppError('REQUEST_CONTENT_INVALID', `Invalid request content: ${EDGE_HEADER} is not percent-encoded`)
  }
}
