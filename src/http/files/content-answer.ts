import type { ServerResponse } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { FileBody } from '../../artifacts/downloads/content-reads.ts'
import { AppError } from '../../core/errors.ts'
import type { ByteRange } from '../../storage/blob-store.ts'
import { freeBytes, freeing, isGiven } from '../../storage/given-chunks.ts'
import { parseByteRange } from './byte-range.ts'
import { checkPreconditions, rangeApplies, type Validators } from './preconditions.ts'

/** Stored bytes as HTTP has them: what ranges and conditions are about. */
export interface Content extends Validators {
  /** For people, when a condition does not hold. */
  readonly what: string
  readonly sizeBytes: number
  /** Of the whole; `accept-ranges`, lengths, `etag` and dates are not among them. */
  readonly headers: Readonly<Record<string, string>>
  open(range: ByteRange | undefined, signal: AbortSignal): Promise<FileBody>
  /** What `open` would find, for answers without a body. */
  check(signal: AbortSignal): Promise<void>
}
/** Runs `open`, which begins to read the bytes, once everything else about the request is known to be right. */
export type Begin = (open: () => Promise<FileBody>) => Promise<FileBody>

/** GET. @throws AppError PRECONDITION_FAILED, RANGE_INVALID, and what `open` throws. */
export async function sendContent(
  { headers }: FastifyRequest,
  reply: FastifyReply,
  content: Content,
  gone: AbortSignal,
  begin: Begin,
): Promise<FastifyReply> {
  if (conditionsHold(headers, reply, content) === 'answered') return reply
  const range = rangeApplies(headers, content) ? rangeOf(headers.range, content, reply) : undefined
  const body = await begin(() => content.open(range, gone))
  freeWhenSent(reply.raw, body)
  reply.headers(headersOf(content))
  if (range === undefined) return reply.header('content-length', content.sizeBytes).send(body)
  return reply
    .code(206)
    .header('content-length', range.end - range.start)
    .header('content-range', `bytes ${range.start}-${range.end - 1}/${content.sizeBytes}`)
    .send(body)
}

/** What is sent and nobody else has leaves no garbage behind, however large it is. */
function freeWhenSent(response: ServerResponse, body: FileBody): void {
  if (Buffer.isBuffer(body)) {
    if (isGiven(body)) response.once('finish', () => freeBytes(body))
    return
  }
  const free = freeing(body)
  const write: (chunk: Buffer, sent: () => void) => boolean = response.write.bind(response)
  // Streams are piped: each chunk comes by itself, and is the system's once its write has ended.
  response.write = (chunk: Buffer) => write(chunk, () => free(chunk))
}

/** HEAD. @throws AppError PRECONDITION_FAILED, and what `check` throws. */
export async function announceContent(
  { headers }: FastifyRequest,
  reply: FastifyReply,
  content: Content,
  gone: AbortSignal,
): Promise<FastifyReply> {
  if (conditionsHold(headers, reply, content) === 'answered') return reply
  await content.check(gone)
  reply.headers(headersOf(content))
  return reply.header('content-length', content.sizeBytes).send()
}

/** Answers 304 itself. @throws AppError PRECONDITION_FAILED. */
function conditionsHold(headers: FastifyRequest['headers'], reply: FastifyReply, content: Content) {
  const verdict = checkPreconditions(headers, content)
  if (verdict === 'proceed') return 'go on'
  if (verdict === 'failed') {
    throw new AppError('PRECONDITION_FAILED', `${content.what} is not in the state the request asks for`, {})
  }
  reply.code(304).headers(stateHeaders(content)).send()
  return 'answered'
}

function rangeOf(header: string | undefined, { sizeBytes }: Content, reply: FastifyReply) {
  try {
    return parseByteRange(header, sizeBytes)
  } catch (error) {
    reply.header('content-range', `bytes */${sizeBytes}`)
    throw error
  }
}

/** Made once for a content that is asked for again and again. */
const known = new WeakMap<Content, Readonly<Record<string, string>>>()
function headersOf(content: Content): Readonly<Record<string, string>> {
  const before = known.get(content)
  if (before !== undefined) return before
  const made = { ...stateHeaders(content), 'accept-ranges': 'bytes', ...content.headers }
  known.set(content, made)
  return made
}

const stateHeaders = ({ etag, modifiedAt }: Validators) => ({
  etag,
  ...(modifiedAt === undefined ? {} : { 'last-modified': new Date(modifiedAt).toUTCString() }),
  'cache-control': 'no-cache',
})
