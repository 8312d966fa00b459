import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { giveChunks } from '../storage/given-chunks.ts'
import type { App } from './route.ts'

/** In this scope no body is read or parsed, whatever its content type; handlers take it by `openBody`. */
export function keepBodiesRaw(app: App): void {
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, rawBody: true }
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null, undefined))
}

/**
 * The body as it arrives. Call it once the request is known to be welcome: only now a client that asked by
 * `Expect: 100-continue` is told to send. Ends with an error when the client hangs up.
 */
export function openBody(request: FastifyRequest, reply: FastifyReply): Readable {
  inviteBody(request, reply)
  return giveChunks(request.raw)
}

export function inviteBody(request: FastifyRequest, reply: FastifyReply): void {
  if (asksForInvitation(request.headers) && !reply.raw.headersSent) reply.raw.writeContinue()
}

export const asksForInvitation = ({ expect }: IncomingHttpHeaders): boolean => /^100-continue$/i.test(expect ?? '')
