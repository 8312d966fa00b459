import type { FastifyRequest } from 'fastify'
import { AppError } from '../core/errors.ts'

/** Such bodies name one thing. */
const MAX_BYTES = 64 * 1024

/**
 * The JSON body of a GET, which some clients of the older API send (replication.md 2.10) and many proxies drop: undefined when
 * there is none. @throws AppError REQUEST_CONTENT_INVALID.
 */
export async function readGetBody(request: FastifyRequest): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request.raw as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_BYTES) throw unreadable(`the body of a GET may have ${MAX_BYTES} bytes`)
    chunks.push(chunk)
  }
  if (bytes === 0) return undefined
  try {
    return JSON.parse(Buffer.concat(chunks).toString())
  } catch {
    throw unreadable('it is not JSON')
  }
}

const unreadable = (why: string) => new AppError('REQUEST_CONTENT_INVALID', `Invalid request content: ${why}`)
