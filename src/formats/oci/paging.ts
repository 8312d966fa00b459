import { ociError } from './errors.ts'
import type { ImageRequest } from './operation.ts'

/** `n` and `last` of the specification's lists. */
export interface Slice {
  readonly limit: number
  readonly last: string | undefined
}

/** @throws AppError for an `n` that is no whole number. */
export function sliceOf({ query: { n, last } }: Pick<ImageRequest, 'query'>, mostAtOnce: number): Slice {
  if (n !== undefined && !/^\d{1,15}$/.test(n)) {
    throw ociError(
      'UNSUPPORTED',
      `[n] is [${n.slice(0, 40)}], which is no number of entries`,
      { n: n.slice(0, 40) },
      { status: 400 },
    )
  }
  const limit = n === undefined ? mostAtOnce : Math.min(Number(n), mostAtOnce)
  return { limit, last: last === undefined || last === '' ? undefined : last }
}

/** @param url without a query. */
export function nextLink(url: string, query: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
  )
  return { link: `<${url}?${given.join('&')}>; rel="next"` }
}
