import type { FastifyReply } from 'fastify'
import { invalid } from '../core/errors.ts'
import type { ProtocolReply } from '../formats/protocol.ts'

/** Sends what a handler of a protocol said. */
export function answerProtocol(reply: FastifyReply, { status, headers = {}, body }: ProtocolReply): FastifyReply {
  reply.code(status).headers(headers)
  if (body === undefined) return reply.send()
  // To the type of a text the framework would add a charset, which is no part of what the handler said.
  if (typeof body === 'string') return reply.send(reply.hasHeader('content-type') ? Buffer.from(body) : body)
  if (Buffer.isBuffer(body)) return reply.send(body)
  if (!reply.hasHeader('content-type')) reply.type('application/json; charset=utf-8')
  return reply.send(JSON.stringify(body))
}

/** A parameter that comes several times has its last value. @throws AppError PARAMETER_INVALID for a NUL character, which PostgreSQL takes nowhere. */
export const lastOfEach = (query: unknown): Record<string, string> =>
  Object.fromEntries(
    Object.entries(query as Readonly<Record<string, string | string[]>>).map(([name, value]) => {
      const last = [value].flat().at(-1) ?? ''
      if (last.includes('\u0000')) throw invalid(name, 'it holds a NUL character')
      return [name, last]
    }),
  )
