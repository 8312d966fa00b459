/** How a server wants to be told who asks (RFC 9110 section 11.6.1). */
export interface Challenge {
  /** Lower case: `basic`, `bearer`. */
  readonly scheme: string
  /** Names in lower case. */
  readonly parameters: Readonly<Record<string, string>>
}

const MAX_HEADER = 8_192
/** A parameter, `name=token` or `name="quoted"`, or else the name of a scheme. */
const PIECE = /([A-Za-z0-9!#$%&'*+.^_`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))|([A-Za-z0-9!#$%&'*+.^_`|~-]+)/g

/** All challenges of a `WWW-Authenticate`, in their order; several headers come joined by commas. */
export function parseChallenges(header: string | undefined): Challenge[] {
  const found: { scheme: string; parameters: Record<string, string> }[] = []
  for (const [, name, quoted, token, scheme] of (header ?? '').slice(0, MAX_HEADER).matchAll(PIECE)) {
    if (scheme !== undefined) found.push({ scheme: scheme.toLowerCase(), parameters: {} })
    else if (name !== undefined) {
      const last = found.at(-1)
      if (last !== undefined) last.parameters[name.toLowerCase()] = token ?? (quoted ?? '').replace(/\\(.)/g, '$1')
    }
  }
  return found
}
