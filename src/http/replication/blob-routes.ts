import { buffer } from 'node:stream/consumers'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Clock } from '../../core/clock.ts'
import { type Digest, digestFromBytes } from '../../core/digest.ts'
import { AppError } from '../../core/errors.ts'
import type { SyncTarget } from '../../replication/target/sync-target.ts'
import { checkBodySum } from '../body-sum.ts'
import { clientGone } from '../client-gone.ts'
import { answers, ok } from '../envelope.ts'
import { keepBodiesRaw, openBody } from '../raw-body.ts'
import type { Routes } from '../route.ts'
import { answerBeforeBody } from '../unread-body.ts'

const OCTETS = 'application/octet-stream'
const DIGEST_BYTES = 32
/** Of one `POST /blobs/missing`. */
export const MAX_DIGESTS = 10_000

const bitmap = {
  200: {
    description: 'Bit n, most significant first, is 1 when the bytes of digest n are not here',
    content: { [OCTETS]: { schema: Type.Unsafe<Buffer>({ type: 'string', format: 'binary' }) } },
  },
}

/** What a source asks about blobs before it sends any (docs/design/sync-protocol.md). */
export const blobRoutes =
  ({
    target,
    clock,
  }: {
    readonly target: Pick<SyncTarget, 'missing' | 'missingInStorage' | 'stored'>
    readonly clock: Clock
  }): Routes =>
  async (app) => {
    keepBodiesRaw(app)
    answerBeforeBody(app, clock)
    app.post(
      '/sync/v1/blobs/missing',
      {
        schema: {
          tags: ['cluster to cluster'],
          summary: 'Which of these blobs are not here',
          querystring: Type.Object({
            in: Type.Optional(Type.String({ description: 'storage: the storage itself is looked at, too' })),
          }),
          response: bitmap,
        },
        config: { access: 'REPLICATION_WRITE' },
      },
      async (request, reply) => {
        const digests = await digestsOf(request, reply)
        const inStorage = request.query.in === 'storage'
        const bits = inStorage ? target.missingInStorage(digests, clientGone(reply)) : target.missing(digests)
        return reply.type(OCTETS).send(await bits)
      },
    )
    app.post(
      '/sync/v1/blobs/check',
      {
        schema: {
          tags: ['cluster to cluster'],
          summary: 'Read the stored bytes of these blobs again, for a few seconds',
          response: answers(Type.Unknown()),
        },
        config: { access: 'REPLICATION_WRITE' },
      },
      async (request, reply) => ok(await target.stored.check(await digestsOf(request, reply), clientGone(reply))),
    )
  }

async function digestsOf(request: FastifyRequest, reply: FastifyReply): Promise<Digest[]> {
  // A body of unknown length is not read to find out that it is too long.
  const sizeBytes = Number(request.headers['content-length'])
  if (!(sizeBytes % DIGEST_BYTES === 0 && sizeBytes <= MAX_DIGESTS * DIGEST_BYTES)) throw notDigests()
  const body = await buffer(openBody(request, reply))
  checkBodySum(request.headers, body)
  return Array.from({ length: sizeBytes / DIGEST_BYTES }, (_, n) =>
    digestFromBytes(body.subarray(n * DIGEST_BYTES, (n + 1) * DIGEST_BYTES)),
  )
}

const notDigests = () =>
  new AppError(
    'REQUEST_CONTENT_INVALID',
    `Invalid request content: send at most ${MAX_DIGESTS} SHA-256 of ${DIGEST_BYTES} bytes each, with their length`,
  )
