import { Type } from 'typebox'
import type { Clock } from '../../core/clock.ts'
import { FRAMES_MEDIA_TYPE } from '../../remotes/cluster/frames/frame-limits.ts'
import type { SyncTarget } from '../../replication/target/sync-target.ts'
import { clientGone } from '../client-gone.ts'
import { keepBodiesRaw } from '../raw-body.ts'
import type { Routes } from '../route.ts'
import { answerBeforeBody } from '../unread-body.ts'
import { createOpenStreams } from './open-streams.ts'
import { createStreamExchange, type StreamExchange } from './stream-exchange.ts'

interface StreamRouteDeps {
  readonly target: Pick<SyncTarget, 'receive'>
  /** Of the content in one ENTRY. */
  readonly inlineMaxBytes: number
  readonly clock: Clock
}

/** A source opens a few for each remote that it writes to. */
const MAX_STREAMS_PER_USER = 64

const frames = {
  200: {
    description: 'Frames of the target, while the request is open',
    content: { [FRAMES_MEDIA_TYPE]: { schema: Type.Unsafe<Buffer>({ type: 'string', format: 'binary' }) } },
  },
}

/** The stream of a link (docs/design/sync-protocol.md, Frames): body and answer are frames, at the same time, for as long as it takes. */
export const streamRoutes =
  ({ target, inlineMaxBytes, clock }: StreamRouteDeps): Routes =>
  async (app) => {
    keepBodiesRaw(app)
    answerBeforeBody(app, clock)
    const running = new Set<StreamExchange>()
    const open = createOpenStreams(MAX_STREAMS_PER_USER)
    app.addHook('preClose', async () => {
      for (const exchange of running) exchange.stop()
    })
    app.post(
      '/sync/v1/links/:linkKey/stream',
      {
        schema: {
          tags: ['cluster to cluster'],
          summary: 'Write for a link',
          response: frames,
          params: Type.Object({ linkKey: Type.String({ pattern: '^[0-9a-f]{32}$' }) }),
        },
        config: { access: 'REPLICATION_WRITE' },
      },
      async (request, reply) => {
        using _stream = open.enter(request.principal.userId)
        const exchange = createStreamExchange(request, reply, inlineMaxBytes, clock)
        running.add(exchange)
        try {
          await target
            .receive(request.params.linkKey, exchange.frames(), exchange.reply, clientGone(reply))
            .catch(exchange.refuse)
        } finally {
          running.delete(exchange)
          await exchange.close()
        }
        return reply
      },
    )
  }
