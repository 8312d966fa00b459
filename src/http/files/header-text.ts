import type { IncomingHttpHeaders } from 'node:http'

/** Trimmed; undefined when the header is not there or blank. */
export function headerText(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name.toLowerCase()]
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined
}
