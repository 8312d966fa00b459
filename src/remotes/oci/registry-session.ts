import type { IncomingMessage } from 'node:http'
import type { Clock } from '../../core/clock.ts'
import { type AppError, isRetryable, messageOf } from '../../core/errors.ts'
import type { Random } from '../../core/ids.ts'
import { checkRedirect, type OutgoingRules } from '../outgoing-url.ts'
import { LinkDown, NotConnected, NotOurProtocol } from '../transport/failures.ts'
import { asFailure, collect } from '../transport/http-client.ts'
import { retryAfterMs } from '../transport/retry-after.ts'
import type { OutgoingBody } from './outgoing-body.ts'
import { createRegistryAuth } from './registry-auth.ts'
import type { Registry, RegistryConnection } from './registry-connection.ts'
import {
  brokenOff,
  mayPass,
  notTrue,
  type RateLimit,
  type RegistryAnswer,
  rateLimitOf,
  refusedBy,
} from './registry-failure.ts'

export interface RegistryCall {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Below the registry's own address, `/v2/…` percent-encoded; or whole, as a registry gave it. */
  readonly to: string | URL
  /** For messages: `HEAD of blob sha256:… in team/nginx`. */
  readonly what: string
  readonly scopes: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer | OutgoingBody | undefined
  /** Statuses that are given to the caller; redirects not among them are followed when the method only reads. */
  readonly accepts: readonly number[]
}

/** Requests to one registry: with the right token, again when that may help, never faster than it allows. */
export interface RegistrySession extends Disposable {
  readonly host: string
  /** Scheme, host and port. */
  readonly origin: URL
  /** The caller consumes or destroys the answer. @throws AppError UPSTREAM_FAILED, with a `RegistryFailureDetail`. */
  open(call: RegistryCall, signal: AbortSignal): Promise<IncomingMessage>
  /** The same, with the whole answer. */
  send(call: RegistryCall, signal: AbortSignal): Promise<RegistryAnswer>
  /** Before the next try of something that goes on over several requests. @param attempt from 0. */
  pause(attempt: number, signal: AbortSignal): Promise<void>
  /** What `error` of an answer's stream means. */
  broken(what: string, error: unknown): AppError
  /** As last told. */
  rateLimit(): RateLimit | undefined
}

interface Deps {
  readonly clock: Clock
  readonly random: Random
  readonly rules: OutgoingRules
  readonly connection: RegistryConnection
  readonly patience?: Patience
}

/** How much is waited for a registry that may answer otherwise in a moment. */
export interface Patience {
  readonly attempts: number
  /** A registry that wants to be left alone for longer is left to whoever asked us. */
  readonly longestPauseMs: number
}
const PATIENCE: Patience = { attempts: 5, longestPauseMs: 60_000 }
const FIRST_PAUSE_MS = 500
const MAX_REDIRECTS = 5
/** A page of tags or an index; a manifest is 4 MiB at most. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024
const MAX_REFUSAL_BYTES = 64 * 1024
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

export function createRegistrySession(registry: Registry, deps: Deps): RegistrySession {
  const { clock, random, rules, connection, patience = PATIENCE } = deps
  const base = new URL(registry.url)
  const closing = new AbortController()
  const auth = createRegistryAuth(registry, { clock, rules, connection, closed: closing.signal, patiently })
  let limit: RateLimit | undefined
  /** One refusal for asking too often counts for all requests. */
  let quietUntilMs = 0

  async function pause(attempt: number, signal: AbortSignal): Promise<void> {
    await clock.sleep(FIRST_PAUSE_MS * 2 ** attempt * (0.5 + random.next()), signal)
  }

  /** @returns whether the same may be asked again now. */
  async function waited(
    attempt: number,
    answer: Pick<RegistryAnswer, 'status' | 'headers'>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const askedMs = retryAfterMs(answer.headers)
    if (attempt + 1 >= patience.attempts || (askedMs ?? 0) > patience.longestPauseMs) return false
    if (askedMs === undefined) await pause(attempt, signal)
    else {
      if (answer.status === 429) quietUntilMs = Math.max(quietUntilMs, clock.now() + askedMs)
      await clock.sleep(askedMs, signal)
    }
    return true
  }

  async function patiently(ask: () => Promise<RegistryAnswer>, signal: AbortSignal): Promise<RegistryAnswer> {
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await ask()
        if (!mayPass(answer.status) || !(await waited(attempt, answer, signal))) return answer
      } catch (error) {
        signal.throwIfAborted()
        if (!isRetryable(error) || attempt + 1 >= patience.attempts) throw error
        await pause(attempt, signal)
      }
    }
  }

  /** One try, with redirects. `foreign`: who answered is somebody that the registry sent us to. */
  async function attemptOnce(call: RegistryCall, authorization: string | undefined, signal: AbortSignal) {
    let url = typeof call.to === 'string' ? new URL(call.to, base) : call.to
    for (let redirects = 0; ; redirects++) {
      const foreign = url.origin !== base.origin
      const login = foreign || authorization === undefined ? {} : { authorization }
      const { method, body } = call
      const answer = await connection.ask(
        url,
        { method, headers: { ...registry.headers, ...call.headers, ...login }, body },
        signal,
      )
      const { statusCode: status = 0, headers } = answer
      const follows = REDIRECTS.has(status) && headers.location !== undefined && !call.accepts.includes(status)
      if (!follows || (method !== 'GET' && method !== 'HEAD')) return { answer, foreign }
      discard(answer)
      if (redirects === MAX_REDIRECTS) throw notTrue(base.host, call.what, `more than ${MAX_REDIRECTS} redirects`)
      try {
        url = checkRedirect(headers.location ?? '', url, rules)
      } catch (cause) {
        throw notTrue(base.host, call.what, `a redirect that is not allowed: ${messageOf(cause)}`)
      }
    }
  }

  function failureOf(what: string, error: unknown): unknown {
    return error instanceof LinkDown || error instanceof NotOurProtocol ? brokenOff(base.host, what, error) : error
  }

  async function open(call: RegistryCall, signal: AbortSignal): Promise<IncomingMessage> {
    let renewed = false
    for (let attempt = 0; ; ) {
      closing.signal.throwIfAborted()
      if (clock.now() < quietUntilMs) await clock.sleep(quietUntilMs - clock.now(), signal)
      const authorization = await auth.authorizationFor(call.scopes, signal)
      let got: { readonly answer: IncomingMessage; readonly foreign: boolean }
      try {
        got = await attemptOnce(call, authorization, signal)
      } catch (error) {
        signal.throwIfAborted()
        // How much of a streamed body came through is for the caller to find out.
        const unheard = error instanceof NotConnected || (error instanceof LinkDown && !isStreamed(call))
        if (!unheard || attempt + 1 >= patience.attempts) throw failureOf(call.what, error)
        await pause(attempt++, signal)
        continue
      }
      const { answer, foreign } = got
      limit = rateLimitOf(answer.headers) ?? limit
      const status = answer.statusCode ?? 0
      if (call.accepts.includes(status)) return answer
      const refusal = await wholeOf(call, answer, MAX_REFUSAL_BYTES, signal)
      if (status === 401 && !foreign && !renewed) {
        renewed = true
        if (auth.refused(answer.headers['www-authenticate'], call.scopes, authorization)) continue
      }
      const again = isStreamed(call) ? status === 429 : mayPass(status)
      if (again && (await waited(attempt, refusal, signal))) attempt++
      else throw refusedBy(base.host, call.what, refusal, auth.redact)
    }
  }

  async function wholeOf(call: RegistryCall, answer: IncomingMessage, maxBytes: number, signal: AbortSignal) {
    try {
      return await collect(answer, maxBytes)
    } catch (error) {
      signal.throwIfAborted()
      throw brokenOff(base.host, call.what, asFailure(error, base.host))
    }
  }

  return {
    host: base.host,
    origin: new URL(base.origin),
    open,
    async send(call, signal) {
      return wholeOf(call, await open(call, signal), MAX_ANSWER_BYTES, signal)
    },
    pause,
    broken: (what, error) => brokenOff(base.host, what, asFailure(error, base.host)),
    rateLimit: () => limit,
    [Symbol.dispose]() {
      closing.abort(brokenOff(base.host, 'any more', new LinkDown('the client was closed')))
      connection[Symbol.dispose]()
    },
  }
}

const isStreamed = ({ body }: RegistryCall): boolean => body !== undefined && !Buffer.isBuffer(body)

function discard(answer: IncomingMessage): void {
  answer.on('error', () => {}).destroy()
}
