import { lookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { invalid } from '../core/errors.ts'
import { unlessAborted } from '../core/unless-aborted.ts'
import { addressKind } from './outgoing-address.ts'

export interface OutgoingRules {
  /** Loopback and private ranges; true for clusters, by configuration for everything else. */
  readonly allowPrivate: boolean
}

const PRIVATE_ADDRESS = 'a private address; security.allowPrivateTargets allows them'
const LOCAL_NAME = /(^|\.)localhost\.?$/i

/** `clusters.example:8040` → `http://clusters.example:8040`; an address with a scheme stays as it is. */
export function withScheme(url: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(url) ? url : `http://${url}`
}

/**
 * Refuses addresses that this server must not call for somebody else (SSRF): other schemes than http and https, link-local and
 * other addresses that are nobody's server, and private ones unless allowed. Credentials in an address would be shown wherever it
 * is. Pure: what a host name resolves to is checked by `guardedLookup` when the connection is made.
 * @param name the request field, named in the refusal.
 * @throws AppError PARAMETER_INVALID.
 */
export function checkOutgoingUrl(name: string, url: string, { allowPrivate }: OutgoingRules): URL {
  const parsed = URL.parse(url)
  if (parsed === null || /[\u0000-\u0020]/.test(url)) throw invalid(name, 'it is not an address')
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:')
    throw invalid(name, 'only http and https are allowed')
  if (parsed.username !== '' || parsed.password !== '') {
    throw invalid(name, 'give user name and password in fields of their own')
  }
  if (parsed.search !== '' || parsed.hash !== '') throw invalid(name, 'it must end before any ? or #')
  checkHost(name, parsed, allowPrivate)
  return parsed
}

/**
 * Where an answer sends us on, under the same rules; such an address may have a query, and never leads from https to http.
 * @param location as the header has it, maybe relative. @throws AppError PARAMETER_INVALID naming `location`.
 */
export function checkRedirect(location: string, from: URL, { allowPrivate }: OutgoingRules): URL {
  const to = URL.parse(location, from)
  if (to === null) throw invalid('location', 'it is not an address')
  if (to.protocol !== 'http:' && to.protocol !== 'https:') throw invalid('location', 'only http and https are allowed')
  if (from.protocol === 'https:' && to.protocol === 'http:') throw invalid('location', 'it leads from https to http')
  to.username = ''
  to.password = ''
  to.hash = ''
  checkHost('location', to, allowPrivate)
  return to
}

/** Numbers are known by now, whatever they were written as: `URL` makes `0x7f000001` `127.0.0.1`. */
export function checkHost(name: string, { hostname }: Pick<URL, 'hostname'>, allowPrivate: boolean): void {
  const host = hostname.replace(/^\[|\]$/g, '')
  const kind = isIP(host) === 0 ? (LOCAL_NAME.test(host) ? 'private' : 'public') : addressKind(host)
  if (kind === 'refused') throw invalid(name, `${host} is a link-local or reserved address`)
  if (kind === 'private' && !allowPrivate) {
    throw invalid(name, `${host} is ${PRIVATE_ADDRESS}`)
  }
}

/**
 * Refuses a name that leads to no address that we may call, as far as that can be told by now: where nothing resolves, the connection
 * tells, which looks again in any case (`guardedLookupFor`).
 * @throws AppError PARAMETER_INVALID.
 */
export async function checkResolved(
  name: string,
  { hostname }: Pick<URL, 'hostname'>,
  rules: OutgoingRules,
  signal: AbortSignal,
  resolve: typeof lookup = lookup,
): Promise<void> {
  const host = hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) !== 0) return
  const found = new Promise<NodeJS.ErrnoException | null>((done) => {
    guardedLookupFor(rules, resolve)(host, {}, done)
  })
  const failure = await unlessAborted(found, signal)
  if (failure?.code === 'EADDRNOTALLOWED') throw invalid(name, failure.message)
}

/** The lookup of `node:http` for outgoing connections: a name that resolves to a refused address is not connected to. */
export const guardedLookup: LookupFunction = guardedLookupFor({ allowPrivate: true })

/**
 * What it answers is what is connected to, so a name that resolves otherwise a moment later gains nothing (DNS rebinding).
 * Addresses written as numbers are not looked up: `checkOutgoingUrl` and `checkRedirect` see those.
 */
export function guardedLookupFor({ allowPrivate }: OutgoingRules, resolve: typeof lookup = lookup): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, '', 0)
      const allowed = addresses.filter(({ address }) => {
        const kind = addressKind(address)
        return kind === 'public' || (kind === 'private' && allowPrivate)
      })
      const [first] = allowed
      if (first === undefined) {
        const isPrivate = addresses.some(({ address }) => addressKind(address) === 'private')
        const where = isPrivate && !allowPrivate ? PRIVATE_ADDRESS : 'a link-local or reserved address'
        const failure: NodeJS.ErrnoException = new Error(`${hostname} resolves to ${where}`)
        failure.code = 'EADDRNOTALLOWED'
        return callback(failure, '', 0)
      }
      if (options.all === true) callback(null, allowed)
      else callback(null, first.address, first.family)
    })
  }
}
