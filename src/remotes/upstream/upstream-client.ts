import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { LookupFunction } from 'node:net'
import type { Clock } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import { checkHost, checkRedirect, guardedLookupFor, type OutgoingRules } from '../outgoing-url.ts'
import { LinkDown, NotConnected, NotOurProtocol } from '../transport/failures.ts'
import { asFailure } from '../transport/http-client.ts'
import { watchSilence } from './silence.ts'

/** A forward proxy between us and the upstream. */
export interface ForwardProxy {
  readonly host: string
  readonly port: number
  readonly username?: string | undefined
  readonly password?: string | undefined
}

/** A server whose files we fetch, and how to be known there. */
export interface Upstream {
  /** Without a slash at its end. */
  readonly url: string
  readonly username?: string | undefined
  readonly password?: string | undefined
  readonly proxy?: ForwardProxy | undefined
  readonly connectTimeoutMs: number
  /** Without a byte from the other side. */
  readonly readTimeoutMs: number
}

export interface UpstreamCall {
  readonly method: 'GET' | 'HEAD'
  /** Appended to the upstream's URL; begins with `/`, percent-encoded. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

/** Fetches from servers of others without holding what they send. */
export interface UpstreamClient extends Disposable {
  /**
   * The answer once its headers are there, whatever its status; up to 5 redirects are followed, each under the same rules of
   * address, and credentials go to the upstream's own origin only. The caller consumes or destroys the answer.
   * @throws NotConnected; LinkDown when the connection broke or stayed silent; NotOurProtocol for what is not HTTP, a redirect that
   * is not allowed, TLS that is not trusted. The answer itself breaks with LinkDown, too.
   */
  ask(upstream: Upstream, call: UpstreamCall, signal: AbortSignal): Promise<IncomingMessage>
}

interface UpstreamClientDeps {
  readonly clock: Clock
  readonly rules: OutgoingRules
  /** Of host names; the system's, but in tests. */
  readonly lookup?: LookupFunction
}

const MAX_REDIRECTS = 5
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
const IDLE_CONNECTIONS = 8

export function createUpstreamClient({ clock, rules, lookup }: UpstreamClientDeps): UpstreamClient {
  const shared = { keepAlive: true, maxFreeSockets: IDLE_CONNECTIONS, lookup: lookup ?? guardedLookupFor(rules) }
  const agents = new Map<string, { readonly http: HttpAgent; readonly https: HttpsAgent }>()

  /** Connections are shared by all upstreams behind one proxy. */
  function agentsOf(proxy: ForwardProxy | undefined) {
    const address = proxy === undefined ? '' : proxyAddress(proxy)
    const known = agents.get(address)
    if (known !== undefined) return known
    const through = address === '' ? {} : { proxyEnv: { HTTP_PROXY: address, HTTPS_PROXY: address } }
    const made = { http: new HttpAgent({ ...shared, ...through }), https: new HttpsAgent({ ...shared, ...through }) }
    agents.set(address, made)
    return made
  }

  /** One request, without redirects. */
  function request(
    upstream: Upstream,
    url: URL,
    { method, headers }: Pick<UpstreamCall, 'method' | 'headers'>,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const secure = url.protocol === 'https:'
    const agent = agentsOf(upstream.proxy)[secure ? 'https' : 'http']
    const cut = new AbortController()
    const both = AbortSignal.any([signal, cut.signal])
    const outgoing = (secure ? httpsRequest : httpRequest)(url, { method, agent, headers, signal: both })
    const connecting = watchSilence(
      clock,
      upstream.connectTimeoutMs,
      () => 0,
      () => {
        cut.abort(new NotConnected(`${url.host}: no connection after ${upstream.connectTimeoutMs} ms`))
      },
    )
    return new Promise((resolve, reject) => {
      let connected = false
      let reading: Disposable | undefined
      let answer: IncomingMessage | undefined
      outgoing.once('socket', (socket) => {
        const start = () => {
          connected = true
          connecting[Symbol.dispose]()
          // What waits for our disk is not the other side's silence: a paused answer counts as alive.
          const alive = () => (answer?.isPaused() ? Number.NaN : socket.bytesRead)
          reading = watchSilence(clock, upstream.readTimeoutMs, alive, () => {
            cut.abort(new LinkDown(`${url.host}: nothing came for ${upstream.readTimeoutMs} ms`))
          })
        }
        if (socket.connecting) socket.once(secure ? 'secureConnect' : 'connect', start)
        else start()
      })
      outgoing.once('close', () => {
        connecting[Symbol.dispose]()
        reading?.[Symbol.dispose]()
      })
      outgoing.once('response', (response) => {
        answer = response
        resolve(response)
      })
      outgoing.on('error', (error) => {
        if (signal.aborted) return reject(signal.reason)
        if (cut.signal.aborted) return reject(cut.signal.reason)
        // A server may close a kept connection at the very moment it is used again.
        if (outgoing.reusedSocket && (error as NodeJS.ErrnoException).code === 'ECONNRESET' && answer === undefined) {
          return request(upstream, url, { method, headers }, signal).then(resolve, reject)
        }
        const failure = asFailure(error, url.host)
        const down = failure instanceof LinkDown && !connected
        reject(down ? new NotConnected(failure.message, { cause: error }) : failure)
      })
      outgoing.end()
    })
  }

  return {
    async ask(upstream, call, signal) {
      const base = new URL(upstream.url)
      checkAddress(base, rules)
      if (upstream.proxy !== undefined) checkAddress(new URL(proxyAddress(upstream.proxy)), rules)
      let url = new URL(upstream.url + call.path)
      let trusted = true
      for (let redirects = 0; ; redirects++) {
        trusted &&= url.origin === base.origin
        const login = trusted ? authorizationOf(upstream) : {}
        const answer = await request(upstream, url, { ...call, headers: { ...call.headers, ...login } }, signal)
        const { location } = answer.headers
        if (!REDIRECTS.has(answer.statusCode ?? 0) || location === undefined) return answer
        answer.on('error', () => {}).destroy()
        if (redirects === MAX_REDIRECTS)
          throw new NotOurProtocol(`${base.host} redirects more than ${MAX_REDIRECTS} times`)
        url = follow(location, url, rules)
      }
    },
    [Symbol.dispose]() {
      for (const { http, https } of agents.values()) {
        http.destroy()
        https.destroy()
      }
    },
  }
}

/** The rules may have changed since the address was configured. */
function checkAddress(url: URL, { allowPrivate }: OutgoingRules): void {
  try {
    checkHost('url', url, allowPrivate)
  } catch (cause) {
    throw new NotOurProtocol(`${url.host} is not allowed: ${messageOf(cause)}`, { cause })
  }
}

function follow(location: string, from: URL, rules: OutgoingRules): URL {
  try {
    return checkRedirect(location, from, rules)
  } catch (cause) {
    throw new NotOurProtocol(`${from.host} redirects to an address that is not allowed: ${messageOf(cause)}`, { cause })
  }
}

function authorizationOf({ username, password }: Upstream): { authorization?: string } {
  if (username === undefined) return {}
  return { authorization: `Basic ${Buffer.from(`${username}:${password ?? ''}`).toString('base64')}` }
}

export function proxyAddress({ host, port, username, password }: ForwardProxy): string {
  const login = username === undefined ? '' : `${encodeURIComponent(username)}:${encodeURIComponent(password ?? '')}@`
  return `http://${login}${host.includes(':') ? `[${host}]` : host}:${port}`
}
