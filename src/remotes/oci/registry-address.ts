import type { Clock } from '../../core/clock.ts'
import { isImageName } from '../../core/content-name.ts'
import { AppError, invalid, messageOf } from '../../core/errors.ts'
import { checkOutgoingUrl, type OutgoingRules } from '../outgoing-url.ts'
import { NotConnected, NotOurProtocol } from '../transport/failures.ts'

/** Where somebody else's registry is, as it was written. */
export interface RegistryAddress {
  /** Undefined: not written, so it is found out. */
  readonly scheme: 'https' | 'http' | undefined
  /** With its port, when one was written. */
  readonly host: string
  /** What all repositories begin with there: `team`, or empty. */
  readonly prefix: string
}

/** Names under which one registry is known; its interface has a host of its own. */
const DOCKER_HUB: ReadonlySet<string> = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io'])
const DOCKER_HUB_HOST = 'registry-1.docker.io'

const TRIES = 3
const BETWEEN_TRIES_MS = 1_000

/**
 * Reads `[scheme://]host[:port][/path]`.
 * @param field the request field, named in the refusal. @throws AppError PARAMETER_INVALID, also for a login in it, and for an address
 * that `rules` do not allow.
 */
export function parseRegistryAddress(field: string, text: string, rules: OutgoingRules): RegistryAddress {
  const trimmed = text.trim()
  const written = /^(https?):\/\//i.exec(trimmed)
  const scheme = written?.[1]?.toLowerCase() as RegistryAddress['scheme']
  const url = checkOutgoingUrl(field, trimmed.includes('://') ? trimmed : `https://${trimmed}`, rules)
  const prefix = url.pathname.replace(/^\/|\/+$/g, '')
  if (prefix !== '' && !isImageName(prefix)) {
    throw invalid(
      field,
      `[${prefix}] cannot begin the name of an image: use lower-case letters, digits, and . _ - between them`,
    )
  }
  // `new URL` leaves out a port that is the scheme's own; without a scheme it was written for a reason.
  const port = scheme === undefined && url.port === '' && /^[^/]*:443(?:\/|$)/.test(trimmed) ? ':443' : ''
  const host = DOCKER_HUB.has(url.host) ? DOCKER_HUB_HOST : `${url.host}${port}`
  return { scheme: host === DOCKER_HUB_HOST ? (scheme ?? 'https') : scheme, host, prefix }
}

/** `https://h:5001/team`: without a slash at its end. */
export const registryUrl = ({ host, prefix }: RegistryAddress, scheme: 'https' | 'http'): string =>
  `${scheme}://${host}${prefix === '' ? '' : `/${prefix}`}`

/**
 * The repository of an image at a registry: `https://h/team` and `nginx` are `team/nginx`.
 * @param url as `registryUrl` makes it. @throws AppError PARAMETER_INVALID when the specification has no such name.
 */
export function repositoryAt(url: string, image: string): string {
  const { host, pathname } = new URL(url)
  const prefix = pathname.replace(/^\/|\/+$/g, '')
  // Images without an owner have a folder of their own there.
  const official = host === DOCKER_HUB_HOST && prefix === '' && !image.includes('/') ? 'library' : ''
  const repository = [official, prefix, image].filter((part) => part !== '').join('/')
  if (!isImageName(repository)) throw invalid('packageName', `[${repository}] is no name of a repository`)
  return repository
}

export interface Resolving {
  readonly clock: Clock
  /** Resolves when something answered HTTP at `origin`, whatever it said. @throws LinkDown, NotOurProtocol. */
  readonly knock: (origin: URL, signal: AbortSignal) => Promise<void>
}

/**
 * The URL of a registry that answers. Without a scheme that is https; plain http only when nothing speaks TLS there and no credentials
 * would be sent, for whoever sits between could have caused that. A certificate that is not trusted never leads to http.
 * Three tries, a second apart.
 * @throws AppError CLUSTER_CONNECT_ERROR (retryable), CLUSTER_SSL_ERROR.
 */
export async function resolveRegistry(
  { clock, knock }: Resolving,
  address: RegistryAddress,
  { withCredentials }: { readonly withCredentials: boolean },
  signal: AbortSignal,
): Promise<string> {
  const schemes = address.scheme === undefined ? (['https', 'http'] as const) : [address.scheme]
  for (let attempt = 1; ; attempt++) {
    let failure: unknown
    for (const scheme of schemes) {
      if (scheme === 'http' && failure !== undefined && !speaksNoTls(failure)) break
      try {
        const url = registryUrl(address, scheme)
        await knock(new URL(new URL(url).origin), signal)
        // It is there, but the login would travel in plain text: that is for the user to decide.
        if (scheme === 'http' && failure !== undefined && withCredentials) throw plainOnly(address.host, failure)
        return url
      } catch (error) {
        signal.throwIfAborted()
        if (error instanceof AppError) throw error
        failure = failure !== undefined && scheme === 'http' ? failure : error
      }
    }
    if (attempt === TRIES) throw unreachable(address.host, failure)
    await clock.sleep(BETWEEN_TRIES_MS, signal)
  }
}

/** Nobody listens there, or who does answered with something else than TLS. */
function speaksNoTls(failure: unknown): boolean {
  if (failure instanceof NotConnected) return /ECONNREFUSED/.test(failure.message)
  if (!(failure instanceof NotOurProtocol) || !failure.tls) return false
  const { code = '' } = (failure.cause ?? {}) as { code?: string }
  return code === 'EPROTO' || /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST/.test(code)
}

function plainOnly(host: string, cause: unknown): AppError {
  const message = `registry [${host}] speaks plain HTTP only, and a password is set: write http:// before its address to send it in plain text`
  return new AppError('CLUSTER_SSL_ERROR', message, { registry: host }, { cause })
}

function unreachable(host: string, cause: unknown): AppError {
  const tls = cause instanceof NotOurProtocol && cause.tls
  const message = `registry [${host}] cannot be connected to: ${messageOf(cause)}`
  const extra = { cause, retryable: !(cause instanceof NotOurProtocol) }
  return new AppError(tls ? 'CLUSTER_SSL_ERROR' : 'CLUSTER_CONNECT_ERROR', message, { registry: host }, extra)
}
