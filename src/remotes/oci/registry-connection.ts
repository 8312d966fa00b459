import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { LookupFunction } from 'node:net'
import type { Clock } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import { checkHost, guardedLookupFor, type OutgoingRules } from '../outgoing-url.ts'
import { LinkDown, NotConnected, NotOurProtocol } from '../transport/failures.ts'
import { asFailure } from '../transport/http-client.ts'
import { type ForwardProxy, proxyAddress } from '../upstream/upstream-client.ts'
import { createPouring, type OutgoingBody } from './outgoing-body.ts'
import { createSilencePatrol, type Watched } from './silence-patrol.ts'

/** Somebody else's registry, and how to be known there. */
export interface Registry {
  /** `https://h:5001/team`, as `resolveRegistry` gives it. */
  readonly url: string
  readonly username?: string | undefined
  readonly password?: string | undefined
  /** PEM trust anchor for this host alone. */
  readonly certificate?: string | undefined
  readonly proxy?: ForwardProxy | undefined
  /** Of every request. */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

export interface ConnectionLimits {
  /** At a time, to one host. */
  readonly connections: number
  readonly connectTimeoutMs: number
  /** Without a byte in either direction. */
  readonly silenceMs: number
}

export interface RegistryRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Buffer | OutgoingBody | undefined
}

export interface RegistryConnection extends Disposable {
  /**
   * One request, without redirects. The answer may come before all of the body was sent, which then ends. The caller consumes or destroys it.
   * @throws NotConnected; LinkDown when the connection broke or stayed silent; NotOurProtocol for what is not HTTP, TLS that is not
   * trusted, an address that is not allowed; what the body's source throws.
   */
  ask(url: URL, request: RegistryRequest, signal: AbortSignal): Promise<IncomingMessage>
}

export interface ConnectionDeps {
  readonly clock: Clock
  readonly rules: OutgoingRules
  /** Of host names; the system's, but in tests. */
  readonly lookup?: LookupFunction
}

/** In the shorter of its time-outs. */
const LOOKS = 4

export function createRegistryConnection(
  { url, certificate, proxy }: Registry,
  limits: ConnectionLimits,
  { clock, rules, lookup }: ConnectionDeps,
): RegistryConnection {
  const { hostname } = new URL(url)
  const through = proxy === undefined ? undefined : proxyAddress(proxy)
  const shared = {
    ...{ keepAlive: true, maxSockets: limits.connections, lookup: lookup ?? guardedLookupFor(rules) },
    ...(through === undefined ? {} : { proxyEnv: { HTTP_PROXY: through, HTTPS_PROXY: through } }),
  }
  const patrol = createSilencePatrol(clock, Math.min(limits.connectTimeoutMs, limits.silenceMs) / LOOKS)
  const plain = new HttpAgent(shared)
  const secure = new HttpsAgent(shared)
  const trusting = certificate === undefined ? secure : new HttpsAgent({ ...shared, ca: certificate })

  function begin(to: URL, { method, headers, body }: RegistryRequest, signal: AbortSignal): ClientRequest {
    const length = body === undefined ? lengthOfNone(method) : Buffer.isBuffer(body) ? body.length : body.sizeBytes
    const sized = length === undefined ? headers : { ...headers, 'content-length': String(length) }
    if (to.protocol === 'http:') return httpRequest(to, { method, headers: sized, agent: plain, signal })
    // The anchor counts for the host that it was given for, and for no other that this one names.
    const agent = to.hostname === hostname ? trusting : secure
    return httpsRequest(to, { method, headers: sized, agent, signal })
  }

  async function ask(to: URL, request: RegistryRequest, signal: AbortSignal): Promise<IncomingMessage> {
    signal.throwIfAborted()
    checkAddress(to, rules)
    if (through !== undefined) checkAddress(new URL(through), rules)
    const outgoing = begin(to, request, signal)
    const { body } = request
    const pouring = body === undefined || Buffer.isBuffer(body) ? undefined : createPouring(body, clock)
    const state = watch(outgoing, to, pouring)
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.once('response', (answer) => {
        state.answer = answer
        // Whoever answers before the end of our body does not want the rest.
        answer.once('close', () => void (outgoing.writableFinished || outgoing.destroy()))
        resolve(answer)
      })
      outgoing.on('error', reject)
    })
    answered.catch(() => undefined)
    try {
      if (pouring === undefined) outgoing.end(body)
      else await Promise.race([pouring.into(outgoing, signal, answered), answered])
      return await answered
    } catch (error) {
      outgoing.destroy()
      if (signal.aborted) throw signal.reason
      if (pouring?.sourceFailure !== undefined) throw pouring.sourceFailure
      // A server may close a kept connection at the very moment it is used again.
      const stale = outgoing.reusedSocket && (error as NodeJS.ErrnoException).code === 'ECONNRESET'
      if (stale && pouring === undefined && state.answer === undefined) return ask(to, request, signal)
      const failure = asFailure(error, to.host)
      const unheard = failure instanceof LinkDown && !(failure instanceof NotConnected) && !state.connected
      throw unheard ? new NotConnected(failure.message, { cause: error }) : failure
    }
  }

  /** Breaks a request that gets no connection, or that goes on no more, with the reason. */
  function watch(outgoing: ClientRequest, { host, protocol }: URL, pouring: { waitsForUs: boolean } | undefined) {
    const state = { connected: false, answer: undefined as IncomingMessage | undefined }
    const watched: Watched = {
      limitMs: limits.connectTimeoutMs,
      progress: () => 0,
      onSilence(limitMs) {
        const reason = state.connected
          ? new LinkDown(`${host}: nothing went on for ${limitMs} ms`)
          : new NotConnected(`${host}: no connection after ${limitMs} ms`)
        ;(state.answer ?? outgoing).destroy(reason)
      },
    }
    outgoing.once('socket', (socket) => {
      const connected = () => {
        state.connected = true
        watched.limitMs = limits.silenceMs
        // What waits for our disk, or for a limit of ours, is not the other side's silence.
        watched.progress = () => {
          const { answer } = state
          const isOurs = pouring?.waitsForUs || answer?.isPaused() || (answer?.readableLength ?? 0) > 0
          return isOurs ? Number.NaN : socket.bytesRead + socket.bytesWritten
        }
      }
      if (socket.connecting) socket.once(protocol === 'https:' ? 'secureConnect' : 'connect', connected)
      else connected()
      const watching = patrol.watch(watched)
      outgoing.once('close', () => watching[Symbol.dispose]())
    })
    return state
  }

  return {
    ask,
    [Symbol.dispose]() {
      patrol[Symbol.dispose]()
      plain.destroy()
      secure.destroy()
      trusting.destroy()
    },
  }
}

/** A request that could have a body says that it has none. */
const lengthOfNone = (method: RegistryRequest['method']): number | undefined =>
  method === 'POST' || method === 'PUT' || method === 'PATCH' ? 0 : undefined

/** The rules may have changed since the address was configured. */
function checkAddress(url: URL, { allowPrivate }: OutgoingRules): void {
  try {
    checkHost('registry', url, allowPrivate)
  } catch (cause) {
    throw new NotOurProtocol(`${url.host} is not allowed: ${messageOf(cause)}`, { cause })
  }
}
