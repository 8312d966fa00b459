import type { FastifyReply } from 'fastify'

declare module 'fastify' {
  interface FastifyReply {
    /** Of `clientGone`, once somebody asked. */
    gone: AbortSignal | undefined
  }
}

/**
 * Aborts when the client goes away before it has its answer. Not Fastify's `request.signal`: that one also aborts when a streamed
 * body was read to its end, which is when our work begins.
 */
export function clientGone(reply: FastifyReply): AbortSignal {
  reply.gone ??= watch(reply)
  return reply.gone
}

function watch(reply: FastifyReply): AbortSignal {
  const gone = new AbortController()
  const check = () => {
    if (!reply.raw.writableFinished) gone.abort(new Error('the client went away'))
  }
  if (reply.raw.closed) check()
  else reply.raw.once('close', check)
  return gone.signal
}
