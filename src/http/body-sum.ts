import type { IncomingHttpHeaders } from 'node:http'
import { broken } from '../remotes/cluster/frames/frame-limits.ts'
import { BODY_SUM_HEADER, sumOfBody } from '../remotes/cluster/frames/sealed-blocks.ts'
import type { App } from './route.ts'

/** Whole bodies between clusters carry a sum, since what TCP and TLS check ends at every proxy on the way. */
export function sumAnswers(app: App): void {
  app.addHook('onSend', (request, reply, payload, next) => {
    const isWhole = typeof payload === 'string' || Buffer.isBuffer(payload)
    if (isWhole && request.url.startsWith('/sync/v1/')) reply.header(BODY_SUM_HEADER, sumOfBody(payload))
    next(null, payload)
  })
}

/** @throws AppError ARTIFACT_BROKEN when the body came with a sum, and is not what was sent. */
export function checkBodySum(headers: IncomingHttpHeaders, body: Buffer): void {
  const said = headers[BODY_SUM_HEADER]
  if (said !== undefined && said !== sumOfBody(body)) throw broken('its body changed on the way')
}
