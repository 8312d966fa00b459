/** Patterns of names in one folder; `*` stands for any characters, all others for themselves. */
export interface NamePatterns {
  /** Those that the name fits. */
  matching(name: string): Iterable<string>
}

/**
 * Looks a name up by a part that a pattern must hold, so that a name is compared with few patterns, however many there are: each pattern
 * waits under that literal part of it which the fewest others have.
 */
export function createNamePatterns(patterns: readonly string[]): NamePatterns {
  const unique = [...new Set(patterns)]
  const owners = new Map<string, number>()
  for (const pattern of unique) for (const part of partsOf(pattern)) owners.set(part, (owners.get(part) ?? 0) + 1)

  const always: string[] = []
  const byPart = new Map<string, Candidate[]>()
  for (const pattern of unique) {
    const part = partsOf(pattern).reduce<string | undefined>((best, next) => rarer(best, next, owners), undefined)
    if (part === undefined) always.push(pattern)
    else (byPart.get(part) ?? put(byPart, part, [])).push({ pattern, parts: pattern.split('*') })
  }
  const lengths = [...new Set([...byPart.keys()].map(({ length }) => length))].sort((a, b) => a - b)

  return {
    *matching(name) {
      yield* always
      const seen = new Set<string>()
      for (const length of lengths) {
        for (let at = 0; at + length <= name.length; at++) {
          const part = name.slice(at, at + length)
          const waiting = byPart.get(part)
          if (waiting === undefined || seen.has(part)) continue
          seen.add(part)
          for (const { pattern, parts } of waiting) if (fits(name, parts)) yield pattern
        }
      }
    },
  }
}

interface Candidate {
  readonly pattern: string
  /** Between its `*`. */
  readonly parts: readonly string[]
}
function put<K, V>(map: Map<K, V>, key: K, value: V): V {
  map.set(key, value)
  return value
}

/** The literal parts of a pattern, each once; none for one of nothing but `*`. */
const partsOf = (pattern: string): string[] => [...new Set(pattern.split('*').filter((part) => part !== ''))]

function rarer(best: string | undefined, next: string, owners: ReadonlyMap<string, number>): string {
  if (best === undefined) return next
  const [few, more] = [owners.get(next)!, owners.get(best)!]
  return few < more || (few === more && next.length > best.length) ? next : best
}

/** First part at the beginning, last at the end, the others between them as early as they come. */
function fits(name: string, parts: readonly string[]): boolean {
  const first = parts[0]!
  const last = parts.at(-1)!
  if (parts.length === 1) return name === first
  if (name.length < first.length + last.length || !name.startsWith(first) || !name.endsWith(last)) return false
  const end = name.length - last.length
  let at = first.length
  for (const part of parts.slice(1, -1)) {
    const found = name.indexOf(part, at)
    if (found < 0 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}
