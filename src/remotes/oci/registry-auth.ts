import type { IncomingMessage } from 'node:http'
import type { Clock } from '../../core/clock.ts'
import { AppError, messageOf } from '../../core/errors.ts'
import { unlessAborted } from '../../core/unless-aborted.ts'
import { checkRedirect, type OutgoingRules } from '../outgoing-url.ts'
import { asFailure, collect } from '../transport/http-client.ts'
import { parseChallenges } from './auth-challenge.ts'
import type { Registry, RegistryConnection, RegistryRequest } from './registry-connection.ts'
import { brokenOff, notTrue, type RegistryAnswer, refusedBy } from './registry-failure.ts'
import { type GrantedToken, tokenIn } from './registry-token.ts'
import { basicOf, getToken, IDENTITY_TOKEN_USER, postForToken } from './token-request.ts'

/** Tells a registry who we are, in the way that it asks for. */
export interface RegistryAuth {
  /**
   * Value of `Authorization` for what a request needs, e.g. `repository:team/nginx:pull`; undefined: none is asked for.
   * @throws AppError UPSTREAM_FAILED when there is no token to be had.
   */
  authorizationFor(scopes: readonly string[], signal: AbortSignal): Promise<string | undefined>
  /**
   * A request with `used` was answered with 401. @returns whether another try has another `Authorization`.
   */
  refused(challenge: string | undefined, scopes: readonly string[], used: string | undefined): boolean
  /** A text without passwords and tokens. */
  redact(text: string): string
}

interface Deps {
  readonly clock: Clock
  readonly rules: OutgoingRules
  readonly connection: RegistryConnection
  /** Ends what is shared by several requests. */
  readonly closed: AbortSignal
  /** Sends a request again while its answer may pass. */
  readonly patiently: (ask: () => Promise<RegistryAnswer>, signal: AbortSignal) => Promise<RegistryAnswer>
}

interface BearerWay {
  readonly kind: 'bearer'
  readonly realm: URL
  readonly service: string
}
type AskedWay = { readonly kind: 'basic' } | BearerWay
type Way = { readonly kind: 'none' } | AskedWay

const MAX_ANSWER_BYTES = 256 * 1024
const MAX_TOKENS = 2_000
const VERSION_CHECK = 'GET of /v2/'

export function createRegistryAuth(
  registry: Registry,
  { clock, rules, connection, closed, patiently }: Deps,
): RegistryAuth {
  const base = new URL(registry.url)
  const { username, password = '' } = registry
  const login = username === undefined || username === '' ? undefined : { username, password }
  const basic = login === undefined ? undefined : basicOf(login)
  const tokens = new Map<string, GrantedToken>()
  const pending = new Map<string, Promise<GrantedToken>>()
  /** Scopes that the registry itself named for a request of ours. */
  const named = new Map<string, string>()
  let way: Way | undefined
  let finding: Promise<Way> | undefined
  /** The token service knows only the newer of its two protocols. */
  let posts = login?.username === IDENTITY_TOKEN_USER

  const redact = (text: string): string => {
    const secrets = [
      password,
      basic,
      encodeURIComponent(password),
      JSON.stringify(password).slice(1, -1),
      ...[...tokens.values()].map(({ token }) => token),
    ]
    const known = secrets.filter((secret): secret is string => secret !== undefined && secret !== '')
    const cleared = known.reduce((left, secret) => left.replaceAll(secret, '******'), text)
    return cleared.replace(/\b(basic|bearer)\s+[\w.~+/=-]{8,}/gi, '$1 ******')
  }

  async function ask(url: URL, request: RegistryRequest, what: string): Promise<RegistryAnswer> {
    let answer: IncomingMessage
    try {
      answer = await connection.ask(url, request, closed)
      return { ...(await collect(answer, MAX_ANSWER_BYTES)), status: answer.statusCode ?? 0 }
    } catch (error) {
      throw brokenOff(base.host, what, asFailure(error, base.host))
    }
  }

  async function findWay(): Promise<Way> {
    const url = new URL('/v2/', base)
    const answer = await patiently(() => ask(url, { method: 'GET', headers: {} }, VERSION_CHECK), closed)
    if (answer.status === 200) return { kind: 'none' }
    const found = answer.status === 401 ? wayOf(answer.headers['www-authenticate']) : undefined
    if (found === undefined) throw refusedBy(base.host, VERSION_CHECK, answer, redact)
    return found
  }

  /** Undefined: it asks for nothing that we know. */
  function wayOf(header: string | undefined): AskedWay | undefined {
    const challenges = parseChallenges(header)
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer')
    if (bearer?.parameters.realm !== undefined) {
      return { kind: 'bearer', realm: realmAt(bearer.parameters.realm), service: bearer.parameters.service ?? '' }
    }
    return challenges.some(({ scheme }) => scheme === 'basic') ? { kind: 'basic' } : undefined
  }

  /** Where the password goes: over https, or to the host that was configured. */
  function realmAt(realm: string): URL {
    let url: URL
    try {
      url = checkRedirect(realm, new URL('/v2/', base), rules)
    } catch (cause) {
      throw notTrue(base.host, VERSION_CHECK, `a token service that is not allowed: ${messageOf(cause)}`)
    }
    if (url.protocol === 'http:' && url.hostname !== base.hostname && login !== undefined) {
      throw notTrue(
        base.host,
        VERSION_CHECK,
        `a token service without TLS on another host, ${url.host}: no password is sent there`,
      )
    }
    return url
  }

  async function currentWay(signal: AbortSignal): Promise<Way> {
    if (way !== undefined) return way
    finding ??= findWay()
      .then((found) => {
        way ??= found
        return way
      })
      .finally(() => {
        finding = undefined
      })
    finding.catch(() => undefined)
    return unlessAborted(finding, signal)
  }

  async function tokenFor(bearer: BearerWay, scopes: readonly string[], signal: AbortSignal): Promise<string> {
    const key = keyOf(bearer, scopes)
    const known = tokens.get(key)
    if (known !== undefined && clock.now() < known.renewAtMs) return known.token
    let fetching = pending.get(key)
    if (fetching === undefined) {
      fetching = fetchToken(bearer, scopes)
        .then((granted) => {
          remember(key, granted)
          return granted
        })
        .finally(() => pending.delete(key))
      fetching.catch(() => undefined)
      pending.set(key, fetching)
    }
    return (await unlessAborted(fetching, signal)).token
  }

  function remember(key: string, granted: GrantedToken): void {
    tokens.delete(key)
    tokens.set(key, granted)
    if (tokens.size <= MAX_TOKENS) return
    const [oldest = ''] = tokens.keys()
    tokens.delete(oldest)
    named.delete(oldest)
  }

  async function fetchToken(bearer: BearerWay, scopes: readonly string[]): Promise<GrantedToken> {
    const { realm, service } = bearer
    const extra = named.get(keyOf(bearer, scopes))
    const wanted = [...new Set([...scopes, ...(extra === undefined ? [] : extra.split(' '))])]
    const what = `a request for a token at ${realm.host}`
    const wish = { realm, service, scopes: wanted }
    const send = () => {
      const { url, request } = posts && login !== undefined ? postForToken(wish, login) : getToken(wish, login)
      return ask(url, request, what)
    }
    const askedAtMs = clock.now()
    let answer = await patiently(send, closed)
    if (!posts && login !== undefined && (answer.status === 404 || answer.status === 405)) {
      posts = true
      answer = await patiently(send, closed)
      if (answer.status !== 200) posts = false
    }
    if (answer.status !== 200) throw loginRefused(what, answer)
    const granted = tokenIn(answer, askedAtMs)
    if (granted === undefined) throw notTrue(base.host, what, 'no token')
    return granted
  }

  function loginRefused(what: string, answer: RegistryAnswer): AppError {
    const failure = refusedBy(base.host, what, answer, redact)
    if (answer.status !== 401 && answer.status !== 403) return failure
    const hint = login === undefined ? 'no user name is configured' : 'check user name and password'
    return new AppError('UPSTREAM_FAILED', `${failure.message} (${hint})`, failure.detail)
  }

  return {
    redact,
    async authorizationFor(scopes, signal) {
      const current = await currentWay(signal)
      if (current.kind === 'none') return undefined
      if (current.kind === 'bearer') return `Bearer ${await tokenFor(current, scopes, signal)}`
      // Without a login the registry's own refusal says more than we could.
      return basic === undefined ? undefined : `Basic ${basic}`
    },
    refused(header, scopes, used) {
      const asked = wayOf(header)
      if (asked === undefined) return false
      if (asked.kind === 'basic') {
        way = asked
        return basic !== undefined && used !== `Basic ${basic}`
      }
      way = asked
      const key = keyOf(asked, scopes)
      const scope = parseChallenges(header).find(({ scheme }) => scheme === 'bearer')?.parameters.scope
      if (scope !== undefined && scope !== '') named.set(key, scope)
      // Somebody else may have renewed it meanwhile.
      if (`Bearer ${tokens.get(key)?.token}` === used) tokens.delete(key)
      return true
    },
  }
}

const keyOf = ({ realm, service }: BearerWay, scopes: readonly string[]): string =>
  JSON.stringify([realm.href, service, [...scopes].sort()])
