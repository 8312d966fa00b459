import type { Expression, ExpressionBuilder, SqlBool } from 'kysely'

/**
 * "Begins with `prefix`", literally and case-sensitively. A range instead of LIKE: nothing to escape, the same meaning in both
 * databases (text compares as UTF-8 bytes), and an index on the column serves it.
 */
export function startsWith<DB, TB extends keyof DB>(
  eb: ExpressionBuilder<DB, TB>,
  column: Expression<string | null>,
  prefix: string,
): Expression<SqlBool> {
  const next = successor(prefix)
  const from = eb(column, '>=', prefix)
  return next === undefined ? from : eb.and([from, eb(column, '<', next)])
}

/** The first text, in order of UTF-8 bytes, that comes after all texts with this prefix; undefined: there is none. */
export function successor(prefix: string): string | undefined {
  const points = Array.from(prefix, (char) => char.codePointAt(0)!)
  while (points.length > 0) {
    const last = points.pop()!
    if (last === 0x10ffff) continue
    // Surrogates are no characters of their own.
    const next = last + 1 >= 0xd800 && last + 1 <= 0xdfff ? 0xe000 : last + 1
    return String.fromCodePoint(...points, next)
  }
  return undefined
}
