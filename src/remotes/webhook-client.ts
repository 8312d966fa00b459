import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Clock } from '../core/clock.ts'
import { checkHost, guardedLookupFor, type OutgoingRules } from './outgoing-url.ts'
import { LinkDown } from './transport/failures.ts'
import { asFailure } from './transport/http-client.ts'

/** Tells servers of others what happened here. */
export interface WebhookClient {
  /**
   * One POST of JSON over a connection of its own. Redirects are not followed: the address was checked, where it leads was not.
   * @returns the HTTP status. @throws LinkDown, NotOurProtocol; AppError PARAMETER_INVALID for an address that is not allowed any more.
   */
  post(call: WebhookCall, signal: AbortSignal): Promise<number>
}
export interface WebhookCall {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** For all of it, from the first packet to the last. */
const TIMEOUT_MS = 10_000
/** Of an answer: nobody looks at it, but a receiver that is cut off may take that for a failure. */
const MAX_ANSWER_BYTES = 64 * 1024

export function createWebhookClient({
  clock,
  rules,
}: {
  readonly clock: Clock
  readonly rules: OutgoingRules
}): WebhookClient {
  const lookup = guardedLookupFor(rules)
  return {
    async post({ url, headers, body }, signal) {
      const parsed = new URL(url)
      checkHost('webhook.url', parsed, rules.allowPrivate)
      const over = new AbortController()
      const late = new AbortController()
      clock.sleep(TIMEOUT_MS, over.signal).then(
        () => late.abort(new LinkDown(`${parsed.host}: no whole answer within ${TIMEOUT_MS} ms`)),
        () => {},
      )
      const options = {
        ...{ method: 'POST', agent: false, lookup, signal: AbortSignal.any([signal, late.signal]) },
        headers: { ...headers, 'content-type': 'application/json', 'content-length': body.length },
      }
      const request = (parsed.protocol === 'https:' ? httpsRequest : httpRequest)(parsed, options)
      const answer = Promise.withResolvers<number>()
      request.once('response', (response) => void answer.resolve(statusOf(response)))
      request.on('error', answer.reject)
      request.end(body)
      try {
        return await answer.promise
      } catch (error) {
        signal.throwIfAborted()
        throw late.signal.aborted ? late.signal.reason : asFailure(error, parsed.host)
      } finally {
        over.abort()
        request.destroy()
      }
    },
  }
}

async function statusOf(response: IncomingMessage): Promise<number> {
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_ANSWER_BYTES) break
  }
  return response.statusCode ?? 0
}
