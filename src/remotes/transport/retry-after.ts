import type { IncomingMessage } from 'node:http'

/** `Retry-After`, in milliseconds: seconds, or a time, which the answer's own date tells from. Undefined: none that can be read. */
export function retryAfterMs({ 'retry-after': value, date }: IncomingMessage['headers']): number | undefined {
  if (value === undefined) return undefined
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1_000
  if (!value.endsWith('GMT')) return undefined
  const delayMs = Date.parse(value) - Date.parse(date ?? '')
  return Number.isFinite(delayMs) ? Math.max(0, delayMs) : undefined
}
