import { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import type { Clock } from '../core/clock.ts'
import type { App } from './route.ts'

/** What we still take of a body that was refused, so that the client gets to read the answer; then the connection is cut. */
const DRAIN_BYTES = 64 * 1024 * 1024
const DRAIN_MS = 5_000

/**
 * Answers that come before the body was read, i.e. refusals. Closing at once would reset the connection under a client that
 * still sends, and it would never see the answer: so the answer goes out, then we read and drop for a while, then close.
 * For scopes whose bodies are raw.
 */
export function answerBeforeBody(app: App, clock: Clock): void {
  app.addHook('onSend', (request, reply, payload, next) => {
    if (request.raw.complete || typeof payload !== 'string') return next(null, payload)
    reply.header('connection', 'close')
    if (waitsForInvitation(request)) return next(null, payload)
    reply.header('content-length', Buffer.byteLength(payload))
    next(null, Readable.from(thenDrain(payload, request, clock), { objectMode: false }))
  })
}

/** A client that asked by `Expect: 100-continue` sends nothing until somebody begins to read. */
const waitsForInvitation = ({ headers, raw }: FastifyRequest): boolean =>
  headers.expect !== undefined && raw.readableFlowing === null

/** The answer is complete with its last byte; the end of this stream is what closes the connection. */
async function* thenDrain(answer: string, { raw }: FastifyRequest, clock: Clock): AsyncGenerator<string> {
  yield answer
  await dropRest(raw, clock)
}

/** Reads and drops what is left of a body, for a while. */
export async function dropRest(body: Readable, clock: Clock): Promise<void> {
  if (body.readableEnded || body.destroyed) return
  const stop = new AbortController()
  await Promise.race([drained(body, DRAIN_BYTES), clock.sleep(DRAIN_MS, stop.signal).catch(() => {})])
  stop.abort()
}

function drained(body: Readable, limitBytes: number): Promise<void> {
  return new Promise((resolve) => {
    let bytes = 0
    const done = () => resolve()
    body.on('error', done).on('end', done).on('close', done)
    body.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes >= limitBytes) done()
    })
    body.resume()
  })
}
