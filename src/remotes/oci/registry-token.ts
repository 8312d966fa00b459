import type { RegistryAnswer } from './registry-failure.ts'

export interface GrantedToken {
  readonly token: string
  /** By our clock; before it expires, so that no request goes out with a token that ends on its way. */
  readonly renewAtMs: number
}

/** What a token is good for when the service does not say (distribution token specification, `expires_in`). */
const DEFAULT_LIFE_SECONDS = 60
const MAX_LIFE_SECONDS = 24 * 3_600
/** Renewed this long before its end, or in the last fifth of a short life. */
const MARGIN_MS = 30_000
const MARGIN_SHARE = 0.2

/**
 * The token of an answer: `token`, or `access_token` as OAuth 2 names it. Its life counts from `issued_at` when the answer has a date
 * of the same clock to compare it with, and otherwise from the moment that it was asked for.
 * @returns undefined when there is none.
 */
export function tokenIn({ body, headers }: RegistryAnswer, askedAtMs: number): GrantedToken | undefined {
  const fields = parsed(body)
  const token = [fields.token, fields.access_token].find(
    (value) => typeof value === 'string' && /^[\x21-\x7e]+$/.test(value),
  )
  if (typeof token !== 'string') return undefined
  const seconds = Number(fields.expires_in)
  const lifeSeconds =
    Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, MAX_LIFE_SECONDS) : DEFAULT_LIFE_SECONDS
  const ageMs =
    Date.parse(headers.date ?? '') - Date.parse(typeof fields.issued_at === 'string' ? fields.issued_at : '')
  const lifeMs = lifeSeconds * 1_000 - (ageMs > 0 ? ageMs : 0)
  return { token, renewAtMs: askedAtMs + lifeMs - Math.min(MARGIN_MS, lifeMs * MARGIN_SHARE) }
}

function parsed(body: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body.toString())
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
