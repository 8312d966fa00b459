import { type TSchema, Type } from 'typebox'
import type { Clock } from '../../core/clock.ts'
import { FRAME_BYTES } from '../../remotes/cluster/frames/frame-limits.ts'
import { type HelloAnswer, SYNC_PROTOCOL } from '../../remotes/cluster/messages.ts'
import { checkedDigest } from '../../replication/target/checked.ts'
import type { SyncTarget } from '../../replication/target/sync-target.ts'
import { clientGone } from '../client-gone.ts'
import { decodedBody } from '../decoded-body.ts'
import { answers, ok } from '../envelope.ts'
import { keepBodiesRaw } from '../raw-body.ts'
import type { App, Routes } from '../route.ts'
import { answerBeforeBody } from '../unread-body.ts'
import { MAX_DIGESTS } from './blob-routes.ts'

interface SyncRouteDeps {
  readonly target: SyncTarget
  readonly identity: { readonly clusterId: string; readonly name: string }
  readonly limits: { readonly batchFiles: number; readonly inlineMaxBytes: number; readonly partSizeBytes: number }
  readonly clock: Clock
}

const WRITE = 'REPLICATION_WRITE'
const tags = ['cluster to cluster']

const FEATURES: HelloAnswer['features'] = {
  zstd: true,
  segments: true,
  duplex: true,
  deletes: true,
  packages: true,
  permissions: true,
  plans: true,
  checks: true,
  earlierRuns: true,
  sealed: true,
}

const nullable = (schema: TSchema) => Type.Union([schema, Type.Null()])
const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' })
const Size = Type.Integer({ minimum: 0 })
const SourceId = Type.String({ minLength: 1, maxLength: 64 })
const LinkParams = Type.Object({ linkKey: Type.String({ pattern: '^[0-9a-f]{32}$' }) })

/** `/sync/v1`: what other clusters call (docs/design/sync-protocol.md). */
export const syncRoutes =
  ({ target, identity, limits, clock }: SyncRouteDeps): Routes =>
  async (app) => {
    const { inlineMaxBytes, partSizeBytes } = limits
    const transfer = { frameBytes: FRAME_BYTES, inlineMaxBytes, partSizeBytes }
    const hello = (): HelloAnswer => ({
      ...{ protocols: [SYNC_PROTOCOL], ...identity, now: clock.now(), features: FEATURES },
      limits: { ...transfer, batchItems: limits.batchFiles, missingDigests: MAX_DIGESTS },
    })
    const OpenBody = Type.Object({
      protocol: Type.Optional(Type.Integer({ description: 'Of the source; sources of protocol 1 do not tell' })),
      sourceId: SourceId,
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
      dryRun: Type.Optional(Type.Boolean()),
    })
    app.get(
      '/sync/v1/hello',
      {
        schema: { tags, summary: 'Who this cluster is and what it speaks', response: answers(Type.Unknown()) },
        config: { access: 'AUTHENTICATED' },
      },
      async () => ok(hello()),
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
      async ({ params, body, principal }) => {
        return ok({ ...(await target.open(params.linkKey, body as never, principal.userId)), hello: hello() })
      },
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
          const digest = checkedDigest(request.params.sha256)
          const { body, sizeBytes } = decodedBody(request, reply)
          return ok(await target.blobs.put(digest, body, sizeBytes, clientGone(reply)))
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
          const { body } = decodedBody(request, reply)
          return ok(await target.uploads.putPart(checkedDigest(uploadId), part, body, clientGone(reply)))
        },
      )
    })
  }
