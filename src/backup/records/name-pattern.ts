import { invalid } from '../../core/errors.ts'
import { createExpressionJudge, type ExpressionJudge, matcherOf } from '../../tasks/constraints/expressions.ts'

/** Characters of a pattern of project or repository names. */
const MAX_CHARACTERS = 256
/** `*` alone is no regular expression; the others are how the reference's users write it. */
const MATCH_ALL: ReadonlySet<string> = new Set(['*', '.*', '^.*$'])
/** What makes a pattern a regular expression; a dot alone does not, names hold dots. */
const REGULAR = /\.\*|\.\+|[\^$()[\]{}+|\\]/

/** Judges the patterns of one task. */
export function createPatternJudge(): ExpressionJudge {
  const judge = createExpressionJudge()
  return {
    check(field, pattern) {
      if (pattern.length > MAX_CHARACTERS) throw invalid(field, `it is longer than ${MAX_CHARACTERS} characters`)
      judge.check(field, expressionOf(pattern))
    },
  }
}

/** Whether a name matches one of the pattern language (backup.md 2.1): everything, a glob, or a regular expression, all anchored. */
export function nameMatcher(pattern: string): (name: string) => boolean {
  if (MATCH_ALL.has(pattern)) return () => true
  const matching = matcherOf([expressionOf(pattern)])
  return (name) => matching(name).length > 0
}

const expressionOf = (pattern: string): string => {
  if (MATCH_ALL.has(pattern)) return '.*'
  return REGULAR.test(pattern) ? pattern : pattern.replace(/[.*?]/g, (sign) => GLOB[sign] ?? sign)
}
const GLOB: Readonly<Record<string, string>> = { '.': '\\.', '*': '.*', '?': '.' }
