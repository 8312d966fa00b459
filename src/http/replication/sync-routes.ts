import { type TSchema, Type } from 'typebox'
import type { Clock } from '../../core/clock.ts'
import { type HelloAnswer, SYNC_PROTOCOL } from '../../remotes/cluster/messages.ts'
import { checkedDigest } from '../../replication/target/checked.ts'
import type { SyncTarget } from '../../replication/target/sync-target.ts'
import { clientGone } from '../client-gone.ts'
import { answers, ok } from '../envelope.ts'
import { keepBodiesRaw, openBody } from '../raw-body.ts'
import type { App, Routes } from '../route.ts'
import { answerBeforeBody } from '../unread-body.ts'

interface SyncRouteDeps {
  readonly target: SyncTarget
  readonly identity: { readonly clusterId: string; readonly name: string }
  readonly limits: HelloAnswer['limits']
  readonly clock: Clock
}

const READ = 'REPLICATION_READ'
const WRITE = 'REPLICATION_WRITE'
const tags = ['cluster to cluster']

const Lane = Type.Integer({ minimum: -(2 ** 31), maximum: 2 ** 31 - 1 })
const nullable = (schema: TSchema) => Type.Union([schema, Type.Null()])
const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' })
const Size = Type.Integer({ minimum: 0 })
const Stream = {
  sourceId: Type.String({ minLength: 1, maxLength: 64 }),
  project: Type.String(),
  repo: Type.String(),
  epoch: Type.String(),
  stream: Type.String({ minLength: 1, maxLength: 128 }),
  fence: Type.Integer({ minimum: 0 }),
  run: Type.Integer({ minimum: 0 }),
}
const LinkParams = Type.Object({ linkKey: Type.String({ pattern: '^[0-9a-f]{32}$' }) })

/** `/sync/v1`: what other clusters call (docs/design/sync-protocol.md). */
export const syncRoutes =
  ({ target, identity, limits, clock }: SyncRouteDeps): Routes =>
  async (app) => {
    const OpenBody = Type.Object({
      sourceId: Stream.sourceId,
      repository: Type.Object({
        project: Type.String(),
        repo: Type.String(),
        type: Type.String(),
        category: Type.String(),
        public: Type.Boolean(),
        description: nullable(Type.String()),
        configuration: Type.Record(Type.String(), Type.Unknown()),
        projectDescription: Type.String(),
        create: Type.Boolean(),
      }),
      scope: Type.Array(Type.Object({ lo: Type.String(), hi: nullable(Type.String()) }), { maxItems: 10_000 }),
      known: nullable(Type.Object({ epoch: Type.String(), seq: Size, mark: Type.String() })),
    })
    const Offer = Type.Object({
      path: Type.String(),
      sha256: Sha256,
      sizeBytes: Size,
      metaLanes: Type.Tuple([Lane, Lane, Lane, Lane]),
      expiresAt: nullable(Type.Integer()),
    })
    const Entry = Type.Object({
      path: Type.String(),
      sha256: Sha256,
      sizeBytes: Size,
      md5: nullable(Type.String()),
      metadata: nullable(
        Type.Array(Type.Object({ key: Type.String(), value: Type.Unknown() }, { additionalProperties: true })),
      ),
      origin: Stream.sourceId,
      hlc: Type.String(),
      expiresAt: nullable(Type.Integer()),
      createdBy: Type.String(),
      createdAt: Type.Integer(),
      modifiedBy: Type.String(),
      modifiedAt: Type.Integer(),
      expect: nullable(Type.String()),
      conflict: Type.Boolean(),
    })
    const batch = (item: TSchema) => Type.Array(item, { maxItems: limits.batchFiles })

    app.get(
      '/sync/v1/hello',
      {
        schema: { tags, summary: 'Who this cluster is and what it speaks', response: answers(Type.Unknown()) },
        config: { access: 'AUTHENTICATED' },
      },
      async () => ok({ protocols: [SYNC_PROTOCOL], ...identity, now: clock.now(), limits } satisfies HelloAnswer),
    )
    app.post(
      '/sync/v1/links/:linkKey/open',
      {
        schema: {
          tags,
          summary: 'Begin to write for a link',
          response: answers(Type.Unknown()),
          params: LinkParams,
          body: OpenBody,
        },
        config: { access: WRITE },
      },
      async ({ params, body, principal }) => ok(await target.open(params.linkKey, body as never, principal.userId)),
    )
    app.post(
      '/sync/v1/links/:linkKey/compare',
      {
        schema: {
          tags,
          summary: 'Which of these files differ, which blobs are missing',
          response: answers(Type.Unknown()),
          params: LinkParams,
          body: Type.Object({ ...Stream, includeMetadata: Type.Boolean(), offers: batch(Offer) }),
        },
        config: { access: READ },
      },
      async ({ params, body }) => ok(await target.compare(params.linkKey, body as never)),
    )
    app.post(
      '/sync/v1/links/:linkKey/apply',
      {
        schema: {
          tags,
          summary: 'Make files visible',
          response: answers(Type.Unknown()),
          params: LinkParams,
          body: Type.Object({ ...Stream, entries: batch(Entry) }),
        },
        config: { access: WRITE },
      },
      async ({ params, body }) => ok(await target.apply(params.linkKey, body as never)),
    )
    app.post(
      '/sync/v1/uploads',
      {
        schema: {
          tags,
          summary: 'Begin or go on with a large blob',
          response: answers(Type.Unknown()),
          body: Type.Object({ sha256: Sha256, sizeBytes: Type.Integer({ minimum: 1 }) }),
        },
        config: { access: WRITE },
      },
      async ({ body }, reply) =>
        ok(await target.uploads.open(checkedDigest(body.sha256), body.sizeBytes, clientGone(reply))),
    )
    app.post(
      '/sync/v1/uploads/:uploadId/complete',
      {
        schema: {
          tags,
          summary: 'End a large blob',
          response: answers(Type.Unknown()),
          params: Type.Object({ uploadId: Sha256 }),
        },
        config: { access: WRITE },
      },
      async ({ params }, reply) => ok(await target.uploads.complete(checkedDigest(params.uploadId), clientGone(reply))),
    )
    await app.register(async (raw: App) => {
      keepBodiesRaw(raw)
      answerBeforeBody(raw, clock)
      raw.put(
        '/sync/v1/blobs/pack',
        { schema: { tags, summary: 'Many small blobs', response: answers(Type.Unknown()) }, config: { access: WRITE } },
        async (request, reply) => ok(await target.blobs.putPack(openBody(request, reply), clientGone(reply))),
      )
      raw.put(
        '/sync/v1/blobs/:sha256',
        {
          schema: {
            tags,
            summary: 'One blob',
            response: answers(Type.Unknown()),
            params: Type.Object({ sha256: Sha256 }),
          },
          config: { access: WRITE },
        },
        async (request, reply) => {
          const length = request.headers['content-length']
          const sizeBytes = length === undefined ? undefined : Number(length)
          return ok(
            await target.blobs.put(
              checkedDigest(request.params.sha256),
              openBody(request, reply),
              sizeBytes,
              clientGone(reply),
            ),
          )
        },
      )
      raw.put(
        '/sync/v1/uploads/:uploadId/parts/:part',
        {
          schema: {
            tags,
            summary: 'One part of a large blob',
            response: answers(Type.Unknown()),
            params: Type.Object({ uploadId: Sha256, part: Type.Integer({ minimum: 0 }) }),
          },
          config: { access: WRITE },
        },
        async (request, reply) => {
          const { uploadId, part } = request.params
          return ok(
            await target.uploads.putPart(checkedDigest(uploadId), part, openBody(request, reply), clientGone(reply)),
          )
        },
      )
    })
  }
