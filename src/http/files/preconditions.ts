import type { IncomingHttpHeaders } from 'node:http'

/** What conditional requests are compared with. */
export interface Validators {
  /** With its quotes. */
  readonly etag: string
  /** Whole seconds count: that is what the header can say. UTC epoch milliseconds; undefined: it never changes, and nobody dates it. */
  readonly modifiedAt: number | undefined
}

/** `failed`: 412; `unchanged`: 304. Order of RFC 9110, 13.2.2: an entity tag outweighs a date. */
export type Verdict = 'proceed' | 'unchanged' | 'failed'

/** For GET and HEAD. Dates that cannot be read are ignored. */
export function checkPreconditions(headers: IncomingHttpHeaders, { etag, modifiedAt }: Validators): Verdict {
  const modified = modifiedAt === undefined ? undefined : Math.floor(modifiedAt / 1000)
  const ifMatch = headers['if-match']
  if (ifMatch !== undefined) {
    if (!lists(ifMatch, etag, 'strong')) return 'failed'
  } else {
    const since = seconds(headers['if-unmodified-since'])
    if (since !== undefined && modified !== undefined && modified > since) return 'failed'
  }
  const ifNoneMatch = headers['if-none-match']
  if (ifNoneMatch !== undefined) return lists(ifNoneMatch, etag, 'weak') ? 'unchanged' : 'proceed'
  const since = seconds(headers['if-modified-since'])
  return since !== undefined && modified !== undefined && modified <= since ? 'unchanged' : 'proceed'
}

/** Whether `Range` counts: without `If-Range`, or when that names the present state. */
export function rangeApplies(headers: IncomingHttpHeaders, { etag, modifiedAt }: Validators): boolean {
  const ifRange = headers['if-range']
  if (typeof ifRange !== 'string') return true
  const text = ifRange.trim()
  if (text.startsWith('"') || text.startsWith('W/')) return text === etag
  return modifiedAt !== undefined && seconds(text) === Math.floor(modifiedAt / 1000)
}

function lists(header: string, etag: string, comparison: 'strong' | 'weak'): boolean {
  if (header.trim() === '*') return true
  const tags = header.match(/(?:W\/)?"[^"]*"/g) ?? []
  return tags.some((tag) => tag === etag || (comparison === 'weak' && tag === `W/${etag}`))
}

function seconds(date: string | undefined): number | undefined {
  const ms = date === undefined ? Number.NaN : Date.parse(date)
  return Number.isNaN(ms) ? undefined : Math.floor(ms / 1000)
}
