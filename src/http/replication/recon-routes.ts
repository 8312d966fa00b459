import { buffer } from 'node:stream/consumers'
import { Type } from 'typebox'
import type { Repositories } from '../../artifacts/repositories/repositories.ts'
import type { Clock } from '../../core/clock.ts'
import { Semaphore } from '../../core/concurrency.ts'
import { AppError } from '../../core/errors.ts'
import { MAX_MESSAGE_BYTES } from '../../remotes/cluster/recon/recon-message.ts'
import { answerRecon } from '../../replication/recon/answer.ts'
import type { Fingerprints } from '../../replication/recon/fingerprints.ts'
import { checkBodySum } from '../body-sum.ts'
import { clientGone } from '../client-gone.ts'
import { keepBodiesRaw, openBody } from '../raw-body.ts'
import type { Routes } from '../route.ts'
import { answerBeforeBody } from '../unread-body.ts'

interface ReconRouteDeps {
  readonly repositories: Pick<Repositories, 'get'>
  readonly fingerprintsOf: (repoId: number) => Fingerprints
  readonly clock: Clock
}

const OCTETS = 'application/octet-stream'
/** Each works for a second at most, in slices; the others wait in order. */
const ANSWERED_AT_ONCE = 2
const message = {
  200: {
    description: 'A message of the same kind: where this side differs',
    content: { [OCTETS]: { schema: Type.Unsafe<Buffer>({ type: 'string', format: 'binary' }) } },
  },
}

/** One round of reconciliation (docs/design/sync-protocol.md, Reconciliation). */
export const reconRoutes =
  ({ repositories, fingerprintsOf, clock }: ReconRouteDeps): Routes =>
  async (app) => {
    const turns = new Semaphore(ANSWERED_AT_ONCE)
    keepBodiesRaw(app)
    answerBeforeBody(app, clock)
    app.post(
      '/sync/v1/repos/:projectId/:repoName/recon',
      {
        schema: {
          tags: ['cluster to cluster'],
          summary: 'Where two repositories differ',
          params: Type.Object({ projectId: Type.String(), repoName: Type.String() }),
          response: message,
        },
        config: { access: 'REPLICATION_READ' },
      },
      async (request, reply) => {
        const { projectId, repoName } = request.params
        // A body of unknown length is not read to find out that it is too long.
        if (!(Number(request.headers['content-length']) <= MAX_MESSAGE_BYTES)) throw noMessage()
        const { id } = await repositories.get(projectId, repoName)
        const gone = clientGone(reply)
        const question = await buffer(openBody(request, reply))
        checkBodySum(request.headers, question)
        using _turn = await turns.acquire()
        gone.throwIfAborted()
        return reply.type(OCTETS).send(await answerRecon(question, fingerprintsOf(id), gone))
      },
    )
  }

const noMessage = () =>
  new AppError(
    'REQUEST_CONTENT_INVALID',
    `Invalid request content: send a message of at most ${MAX_MESSAGE_BYTES} bytes, with its length`,
  )
