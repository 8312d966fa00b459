import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { ConnectionError } from 'fastify'
import { failure } from './envelope.ts'

/** [HTTP status, message] of what the HTTP parser refuses before there is a request. */
const PARSER_FAULTS: Readonly<Record<string, readonly [number, string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'the request did not arrive in time'],
  HPE_HEADER_OVERFLOW: [431, 'the headers are too large'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'the chunk extensions are too large'],
}
const NOT_HTTP = [400, 'this is not HTTP/1.1'] as const
const REQUEST_CONTENT_INVALID = 250106

/** Answers what is no HTTP request with the same envelope as anything else, and closes the connection. */
export function answerConnectionError(error: ConnectionError, socket: Socket, traceId: string): void {
  if (error.code === 'ECONNRESET' || !socket.writable || isAnswering(socket)) {
    socket.destroy()
    return
  }
  const [status, why] = PARSER_FAULTS[error.code] ?? NOT_HTTP
  const body = JSON.stringify(failure(REQUEST_CONTENT_INVALID, `Invalid request content: ${why}`, traceId))
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Trace-Id: ${traceId}`,
    'Connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}

/** Text written now would become a part of the answer to an earlier request. */
const isAnswering = (socket: Socket): boolean => {
  const answer = Reflect.get(socket, '_httpMessage') as ServerResponse | null | undefined
  return answer?.headersSent === true
}
