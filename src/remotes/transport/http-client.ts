import {
  type AgentOptions,
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Clock } from '../../core/clock.ts'
import type { PullSource } from '../../core/pull-source.ts'
import { guardedLookup } from '../outgoing-url.ts'
import { type Credentials, credentialHeaders } from './credentials.ts'
import { LinkDown, NotOurProtocol, RemoteRefusal } from './failures.ts'
import { type BodyPace, writePulled } from './pulled-body.ts'
import { remoteText } from './remote-text.ts'

/** A server of somebody else, and how to be known there. */
export interface HttpTarget extends Credentials {
  readonly url: string
  /** PEM trust anchor for this target alone. */
  readonly certificate?: string | undefined
  /** The target cannot be connected to: requests go through connections that it opened. */
  readonly way?: OpenWay | undefined
}

/** Connections that are there already, for calls and for streams. They outlive whoever uses them. */
export interface OpenWay {
  readonly calls: HttpAgent
  readonly streams: HttpAgent
}

export interface HttpCall {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  /** Appended to the target's URL; begins with `/`. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer | Readable | PullSource | undefined
  /** Of a streamed body. */
  readonly bodyBytes?: number | undefined
  /** Hears how the connection took a pulled body, when all of it went out. */
  readonly onPace?: ((pace: BodyPace) => void) | undefined
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

export interface HttpClient extends Disposable {
  /**
   * One call over a kept-alive connection. Every complete answer is returned, whatever its status.
   * @throws LinkDown when the connection could not be made, broke, stayed silent for `idleMs`, or the answer took `answerMs`;
   * NotOurProtocol when what came back is not HTTP.
   */
  send(call: HttpCall, signal: AbortSignal): Promise<HttpAnswer>
  /**
   * A POST whose answer may come while its body goes out, over a connection that no other call waits for. The caller writes, listens
   * and watches for silence; errors go through `asFailure`.
   */
  duplex(call: Pick<HttpCall, 'path' | 'headers'>, signal: AbortSignal): ClientRequest
}

export interface HttpClientLimits {
  readonly connections: number
  /** Without a byte in either direction. */
  readonly idleMs: number
  /** From the end of the request, or the first byte of an answer before that, to the end of the answer. */
  readonly answerMs: number
  readonly maxAnswerBytes: number
}

export function createHttpClient(target: HttpTarget, limits: HttpClientLimits, clock: Clock): HttpClient {
  const base = new URL(target.url)
  const secure = base.protocol === 'https:'
  const shared = { keepAlive: true, maxSockets: limits.connections, lookup: guardedLookup }
  const trust = target.certificate === undefined ? {} : { ca: target.certificate }
  const agentFor = (options: AgentOptions) =>
    secure ? new HttpsAgent({ ...options, ...trust }) : new HttpAgent(options)
  const agent = target.way?.calls ?? agentFor(shared)
  // Streams last for hours: those that a worker has open must not keep other calls waiting.
  const streams = target.way?.streams ?? agentFor({ ...shared, maxSockets: Number.POSITIVE_INFINITY })
  const credentials = credentialHeaders(target)

  const urlOf = (path: string) => base.origin + base.pathname.replace(/\/$/, '') + path
  const headersOf = ({ headers }: Pick<HttpCall, 'headers'>): Record<string, string> => ({ ...headers, ...credentials })

  /** Whoever gives up waiting for it breaks the request, and with it this. */
  function pour({ body, onPace }: HttpCall, request: ClientRequest, signal: AbortSignal): Promise<void> {
    if (body instanceof Readable) return pipeline(body, request)
    const poured = writePulled(body as PullSource, request, clock, signal).then(onPace)
    poured.catch(() => undefined)
    return poured
  }

  async function send(call: HttpCall, signal: AbortSignal): Promise<HttpAnswer> {
    const headers = headersOf(call)
    if (Buffer.isBuffer(call.body)) headers['content-length'] = String(call.body.length)
    else if (call.bodyBytes !== undefined) headers['content-length'] = String(call.bodyBytes)
    const options: RequestOptions = { method: call.method, agent, headers, timeout: limits.idleMs, signal }
    const url = urlOf(call.path)
    const request = secure ? httpsRequest(url, options) : httpRequest(url, options)
    request.on('timeout', () => request.destroy(new Error(`no answer for ${limits.idleMs} ms`)))
    const answer = new Promise<HttpAnswer>((resolve, reject) => {
      request.once('response', (response) => collect(response, limits.maxAnswerBytes).then(resolve, reject))
      request.on('error', reject)
    })
    answer.catch(() => undefined)
    const over = new AbortController()
    const late = Promise.withResolvers<never>()
    late.promise.catch(() => undefined)
    const expectAnswer = () => {
      const why = `${base.host}: no whole answer within ${limits.answerMs} ms`
      clock.sleep(limits.answerMs, over.signal).then(
        () => late.reject(new LinkDown(why)),
        () => undefined,
      )
    }
    request.once('finish', expectAnswer).once('response', expectAnswer)
    try {
      if (call.body === undefined || Buffer.isBuffer(call.body)) request.end(call.body)
      // An answer before the end of our body is a refusal: it counts, and the rest of the body is not sent.
      else await Promise.race([pour(call, request, signal), answer, late.promise])
      const result = await Promise.race([answer, late.promise])
      if (!request.writableFinished) request.destroy()
      return result
    } catch (error) {
      request.destroy()
      if (signal.aborted) throw signal.reason
      const early = await settled(answer)
      if (early !== undefined) return early
      throw asFailure(error, base.host)
    } finally {
      over.abort()
      if (call.body instanceof Readable) call.body.destroy()
    }
  }

  return {
    send,
    duplex(call, signal) {
      const options: RequestOptions = { method: 'POST', agent: streams, headers: headersOf(call), signal }
      return secure ? httpsRequest(urlOf(call.path), options) : httpRequest(urlOf(call.path), options)
    },
    [Symbol.dispose]() {
      if (target.way !== undefined) return
      agent.destroy()
      streams.destroy()
    },
  }
}

export async function collect(response: IncomingMessage, maxBytes: number): Promise<HttpAnswer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes) throw new NotOurProtocol(`it answered with more than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }
}

/** The answer, if it is there already. */
async function settled(answer: Promise<HttpAnswer>): Promise<HttpAnswer | undefined> {
  return Promise.race([answer, Promise.resolve(undefined)]).catch(() => undefined)
}

/** What a failed request means. @param host of the target, for the message. */
export function asFailure(error: unknown, host: string): Error {
  if (error instanceof NotOurProtocol || error instanceof LinkDown || error instanceof RemoteRefusal) return error
  const { code = '' } = error as { code?: string }
  // What a certificate says is in it.
  const message = remoteText((error as Error).message)
  if (code.startsWith('HPE_')) return new NotOurProtocol(`${host} does not speak HTTP`, { cause: error })
  if (code.startsWith('ERR_TLS') || code.includes('CERT') || code.includes('SSL') || code === 'EPROTO') {
    return new NotOurProtocol(`TLS with ${host} failed: ${message}`, { cause: error, tls: true })
  }
  if (code === 'EADDRNOTALLOWED') return new NotOurProtocol(message, { cause: error })
  return new LinkDown(`${host}: ${code === '' ? message : `${code}, ${message}`}`, { cause: error })
}
