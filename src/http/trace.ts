import type { IncomingMessage } from 'node:http'

/** W3C Trace Context, version 00 and later ones, which keep its beginning. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-|$)/

/** The caller's trace id when its `traceparent` is well-formed, else a new one: 32 hex digits. */
export function traceIdOf({ headers }: Pick<IncomingMessage, 'headers'>, makeId: () => string): string {
  const { traceparent } = headers
  return (typeof traceparent === 'string' && TRACEPARENT.exec(traceparent)?.[1]) || makeId()
}
