import type { IncomingHttpHeaders } from 'node:http'
import { messageOf } from '../../core/errors.ts'
import { checkRedirect, type OutgoingRules } from '../outgoing-url.ts'

/**
 * Where a request goes on that a registry answered with a `Location` or a `Link`. Of a relative one, and of one that names the host
 * that we asked, scheme, host and port of our request are kept: registries behind a proxy often do not know them. The query is kept
 * as it was written, for it may be signed.
 * @throws Error saying why it cannot be followed.
 */
export function nextLocation(location: string | undefined, asked: URL, rules: OutgoingRules): URL {
  if (location === undefined || location === '') throw new Error('no Location')
  const to = URL.parse(location, asked)
  if (to === null) throw new Error('a Location that is no address')
  if (to.hostname === asked.hostname) {
    to.protocol = asked.protocol
    to.port = asked.port
  }
  try {
    return checkRedirect(to.href, asked, rules)
  } catch (error) {
    throw new Error(`a Location that is not allowed: ${messageOf(error)}`)
  }
}

/** Adds the digest that ends an upload, and leaves the rest of the query alone. */
export const withDigest = (location: URL, digest: string): URL =>
  new URL(`${location.href}${location.search === '' ? '?' : '&'}digest=${encodeURIComponent(digest)}`)

/** How many bytes an upload has by its `Range: 0-1023`; undefined: it does not say. An empty upload says `0-0` or, better, `0--1`. */
export function bytesTaken({ range }: IncomingHttpHeaders): number | undefined {
  const [, last] = /^(?:bytes=)?0-(-?\d{1,16})$/.exec(range?.trim() ?? '') ?? []
  return last === undefined ? undefined : Number(last) + 1
}
