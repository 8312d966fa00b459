import type { IncomingHttpHeaders } from 'node:http'
import { AppError, messageOf } from '../../core/errors.ts'
import { LinkDown } from '../transport/failures.ts'
import { remoteText } from '../transport/remote-text.ts'
import { retryAfterMs } from '../transport/retry-after.ts'
import { parseChallenges } from './auth-challenge.ts'

/** What a registry said of how often we may ask. */
export interface RateLimit {
  /** Requests left in the window. */
  readonly remaining: number
  readonly limit: number | undefined
  readonly windowSeconds: number | undefined
}

export interface RegistryAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** In the `detail` of every UPSTREAM_FAILED of this folder. */
export interface RegistryFailureDetail {
  readonly registry: string
  /** HTTP; missing when no answer came. */
  readonly status?: number
  /** Codes of the specification, as `DENIED`, in the answer's order. */
  readonly reasons?: readonly string[]
  /** How long the registry asked to be left alone. */
  readonly retryAfterMs?: number
}

/** Of a registry's own words. */
const MAX_WORDS = 500
const PASSING: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504])

/** The same request may be answered otherwise later. */
export const mayPass = (status: number): boolean => PASSING.has(status)

/**
 * The registry answered, but not what was needed.
 * @param what was asked: `PUT of manifest team/nginx:1.1`. @param redact takes secrets out of a text.
 */
export function refusedBy(
  host: string,
  what: string,
  { status, headers, body }: RegistryAnswer,
  redact: (text: string) => string,
): AppError {
  const reasons = reasonsOf(body)
  const words = remoteText(redact(body.subarray(0, MAX_WORDS * 8).toString()))
    .slice(0, MAX_WORDS)
    .trim()
  const waitMs = retryAfterMs(headers)
  // `insufficient_scope` is said there and nowhere else.
  const error = parseChallenges(headers['www-authenticate']).find(({ parameters }) => parameters.error !== undefined)
  const why = error === undefined ? '' : ` (${remoteText(error.parameters.error).slice(0, 64)})`
  const detail = { registry: host, status, reasons, ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }) }
  const message = `registry [${host}] answered ${status}${why} to ${what}${words === '' ? '' : `: ${words}`}`
  return new AppError('UPSTREAM_FAILED', message, detail, { retryable: mayPass(status) })
}

/** No answer that could be read. */
export function brokenOff(host: string, what: string, cause: unknown): AppError {
  const message = `registry [${host}] did not answer ${what}: ${messageOf(cause)}`
  return new AppError('UPSTREAM_FAILED', message, { registry: host }, { cause, retryable: cause instanceof LinkDown })
}

/** It answered as asked, but what it said cannot be true. */
export function notTrue(host: string, what: string, why: string): AppError {
  return new AppError('UPSTREAM_FAILED', `registry [${host}] answered ${what} with ${why}`, { registry: host })
}

/** HTTP status of a failure of this folder; undefined: no answer came, or it is no such failure. */
export function statusOf(error: unknown): number | undefined {
  if (!(error instanceof AppError) || error.code !== 'UPSTREAM_FAILED') return undefined
  return typeof error.detail.status === 'number' ? error.detail.status : undefined
}

/** @returns the specification's codes of a failure. */
export function reasonsOfFailure(error: unknown): readonly string[] {
  return error instanceof AppError && Array.isArray(error.detail.reasons) ? (error.detail.reasons as string[]) : []
}

function reasonsOf(body: Buffer): string[] {
  try {
    const { errors } = JSON.parse(body.toString()) as { errors?: unknown }
    if (!Array.isArray(errors)) return []
    const codes = errors.map((error) => (error as { code?: unknown } | null)?.code)
    return codes.filter((code) => typeof code === 'string' && /^[A-Z_]{1,64}$/.test(code)) as string[]
  } catch {
    return []
  }
}

/** `RateLimit-Remaining: 76;w=21600`. Undefined: the registry does not say. */
export function rateLimitOf(headers: IncomingHttpHeaders): RateLimit | undefined {
  const remaining = quantity(headers['ratelimit-remaining'] ?? headers['x-ratelimit-remaining'])
  if (remaining === undefined) return undefined
  const limit = quantity(headers['ratelimit-limit'] ?? headers['x-ratelimit-limit'])
  return { remaining: remaining.count, limit: limit?.count, windowSeconds: remaining.window ?? limit?.window }
}

function quantity(header: string | string[] | undefined): { count: number; window: number | undefined } | undefined {
  const [, count, window] = /^\s*(\d{1,12})(?:\s*;\s*w=(\d{1,12}))?/.exec(String(header ?? '')) ?? []
  return count === undefined
    ? undefined
    : { count: Number(count), window: window === undefined ? undefined : Number(window) }
}
