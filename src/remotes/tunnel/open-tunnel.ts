import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Socket } from 'node:net'
import type { Clock } from '../../core/clock.ts'
import { guardedLookup } from '../outgoing-url.ts'
import { LinkDown, NotOurProtocol } from '../transport/failures.ts'
import { asFailure, collect, type HttpAnswer, type HttpTarget } from '../transport/http-client.ts'
import { EDGE_HEADER, TUNNEL_PATH, TUNNEL_UPGRADE } from './tunnel-protocol.ts'

export interface TunnelRequest {
  /** The centre; its URL ends without a slash. */
  readonly centre: HttpTarget
  /** Of this cluster, at the centre. */
  readonly edgeName: string
  readonly timeoutMs: number
  /** An answer that is no tunnel, as an error. */
  refusal(answer: HttpAnswer): Error
}

const MAX_REFUSAL_BYTES = 64 * 1024

/**
 * A connection to the centre on which the centre will send requests. Whoever gets it serves and closes it; the signal ends only the
 * attempt. @throws LinkDown, NotOurProtocol, `refusal`.
 */
export function openTunnel(tunnel: TunnelRequest, clock: Clock, signal: AbortSignal): Promise<Socket> {
  const { centre, edgeName, timeoutMs } = tunnel
  const url = new URL(centre.url + TUNNEL_PATH)
  const headers: Record<string, string> = {
    connection: 'upgrade',
    upgrade: TUNNEL_UPGRADE,
    'content-length': '0',
    [EDGE_HEADER]: encodeURIComponent(edgeName),
  }
  if (centre.username !== undefined) {
    headers.authorization = `Basic ${Buffer.from(`${centre.username}:${centre.password ?? ''}`).toString('base64')}`
  }
  const trust = centre.certificate === undefined ? {} : { ca: centre.certificate }
  const options: RequestOptions = { method: 'POST', agent: false, headers, lookup: guardedLookup, ...trust }
  const request = url.protocol === 'https:' ? httpsRequest(url, options) : httpRequest(url, options)
  const attempt = Promise.withResolvers<Socket>()
  const over = new AbortController()

  const giveUp = (error: unknown) => {
    attempt.reject(error)
    request.destroy()
  }
  const onAbort = () => giveUp(signal.reason)
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  clock.sleep(timeoutMs, over.signal).then(
    () => giveUp(new LinkDown(`${url.host}: no tunnel within ${timeoutMs} ms`)),
    () => {},
  )

  async function refused(response: IncomingMessage): Promise<void> {
    giveUp(tunnel.refusal(await collect(response, MAX_REFUSAL_BYTES)))
  }
  request.on('error', (error) => attempt.reject(asFailure(error, url.host)))
  request.once('response', (response) => refused(response).catch((error) => giveUp(asFailure(error, url.host))))
  request.once('upgrade', (response, stream, head) => {
    const socket = stream as Socket
    socket.on('error', () => {})
    if (response.headers.upgrade !== TUNNEL_UPGRADE) {
      socket.destroy()
      return attempt.reject(new NotOurProtocol(`${url.host} upgraded to something else than ${TUNNEL_UPGRADE}`))
    }
    socket.setNoDelay(true)
    socket.setTimeout(0)
    // The centre may have sent a request along with its answer.
    if (head.length > 0) socket.unshift(head)
    attempt.resolve(socket)
  })
  request.end()
  return attempt.promise.finally(() => {
    over.abort()
    signal.removeEventListener('abort', onAbort)
  })
}
