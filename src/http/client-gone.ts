import type { FastifyReply } from 'fastify'

/**
 * Aborts when the client goes away before it has its answer. Not Fastify's `request.signal`: that one also aborts when a streamed
 * body was read to its end, which is when our work begins.
 */
export function clientGone(reply: FastifyReply): AbortSignal {
  const gone = new AbortController()
  const check = () => {
    if (!reply.raw.writableFinished) gone.abort(new Error('the client went away'))
  }
  if (reply.raw.closed) check()
  else reply.raw.once('close', check)
  return gone.signal
}
