import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ContentReads } from '../../artifacts/downloads/content-reads.ts'
import { digestHex } from '../../core/digest.ts'
import { unlessAborted } from '../../core/unless-aborted.ts'
import type { ArrivingReply, PassingReply } from '../../formats/oci/operation.ts'
import { clientGone } from '../client-gone.ts'
import { sendContent } from '../files/content-answer.ts'
import { needsWhole } from '../files/supplied-file.ts'
import { storedContent } from './stored-content.ts'

const BYTES = { 'content-type': 'application/octet-stream' } as const

/** Sends a content while it comes from elsewhere; whoever wants a part of it waits until it is here. */
export async function answerFetched(
  request: FastifyRequest,
  reply: FastifyReply,
  answered: ArrivingReply | PassingReply,
  contents: ContentReads,
): Promise<FastifyReply> {
  const gone = clientGone(reply)
  const { headers = {} } = answered
  if ('passing' in answered) {
    return reply.headers({ ...BYTES, ...lengthOf(answered.sizeBytes), ...headers }).send(answered.passing)
  }
  const { arrival } = answered
  if (needsWhole(request.headers)) {
    const stored = await unlessAborted(arrival.stored, gone)
    return sendContent(request, reply, storedContent({ ...stored, headers }, contents), gone, (open) => open())
  }
  const etag = arrival.digest === undefined ? {} : { etag: `"${digestHex(arrival.digest)}"` }
  return reply.headers({ ...BYTES, ...lengthOf(arrival.sizeBytes), ...etag, ...headers }).send(arrival.read(gone))
}

const lengthOf = (sizeBytes: number | undefined) => (sizeBytes === undefined ? {} : { 'content-length': sizeBytes })
