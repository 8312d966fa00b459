import type { IncomingHttpHeaders } from 'node:http'
import type { Clock } from '../../core/clock.ts'
import { asksForInvitation, keepBodiesRaw } from '../raw-body.ts'
import type { App } from '../route.ts'
import { answerBeforeBody } from '../unread-body.ts'

/** In this scope bodies are bytes, whatever their sender calls them; those of refused requests are dealt with. */
export function keepFileBodies(app: App, clock: Clock): void {
  keepBodiesRaw(app)
  answerBeforeBody(app, clock)
  // Without this a header that is no media type would be refused.
  app.addHook('onRequest', (request, _reply, next) => {
    delete request.raw.headers['content-type']
    next()
  })
}

/** Bytes of the body, as announced. Node has refused a length that is no number. */
export const announcedBytes = ({ 'content-length': length }: IncomingHttpHeaders): number | undefined =>
  length === undefined ? undefined : Number(length)

/** What an upload's headers say about its body. */
export const announcedBody = (headers: IncomingHttpHeaders) => ({
  sizeBytes: announcedBytes(headers),
  sending: asksForInvitation(headers) ? ('when-invited' as const) : ('at-once' as const),
})
